#!/usr/bin/env bash
# Makes the image's configuration of the samples: copies config/*.jcfg and sets what settings.txt says. A key that a sample
# does not have, or no longer has, is an error.
#
#   scripts/image/config.sh config FOLDER
set -euo pipefail

[ $# -eq 2 ] || { sed -n '2,5s/^# \{0,1\}//p' "$0"; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$2"
for sample in "$1"/*.jcfg; do
  name=$(basename "$sample")
  awk -v name="$name" -v settings="$here/settings.txt" '
    function fail(what) { print "config: " name ": " what > "/dev/stderr"; failed = 1; exit 1 }
    BEGIN {
      while ((getline line < settings) > 0) {
        if (line ~ /^[[:space:]]*(#|$)/ || split(line, word) < 4 || word[1] != name) continue
        value = line
        for (i = 1; i <= 3; i++) sub(/^[^[:space:]]+[[:space:]]+/, "", value)
        wanted[word[2] SUBSEP word[3]] = value
      }
    }
    /^[a-z0-9-]+: \{/ { section = $1; sub(":", "", section) }
    /^\};/ { section = "" }
    section != "" && match($0, /^  #?[a-z0-9_]+ = /) {
      key = substr($0, RSTART, RLENGTH); gsub(/[ #=]/, "", key)
      if ((section, key) in wanted) {
        print "  " key " = " wanted[section, key]
        delete wanted[section, key]
        next
      }
    }
    { print }
    END {
      if (failed) exit 1
      for (left in wanted) { split(left, word, SUBSEP); fail("no " word[1] "." word[2] " to set") }
    }' "$sample" >"$2/$name"
done
cat "$here/rooms.jcfg" >>"$2/janus.plugin.videoroom.jcfg"
# A file that is in none of the samples sets nothing.
while read -r name _; do
  case "$name" in '' | '#'*) continue ;; esac
  [ -f "$1/$name" ] || { echo "config: $name is none of the samples" >&2; exit 1; }
done <"$here/settings.txt"
