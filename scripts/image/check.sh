#!/usr/bin/env bash
# Checks what build.sh made, without starting a container: size, owners, programs, configuration, bill of materials.
#
#   scripts/image/check.sh FOLDER      SIZE_BUDGET_MB (20): the most that all but the samples may take
set -euo pipefail

[ $# -eq 1 ] || { sed -n '2,4s/^# \{0,1\}//p' "$0"; exit 2; }
content=$1
budget=$((${SIZE_BUDGET_MB:-20} * 1000 * 1000))
failed=0
problem() { echo "check: $*" >&2; failed=1; }

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
tar --extract --no-same-owner --file="$content/root.tar" --directory="$root"

# Apparent bytes: what travels and what is stored, whatever the block size.
size=$(find "$root" -type f ! -path "$root/janus/html/*" -printf '%s\n' | awk '{ sum += $1 } END { print sum + 0 }')
samples=$(find "$root/janus/html" -type f -printf '%s\n' | awk '{ sum += $1 } END { print sum + 0 }')
echo "check: $((size / 1000)) kB without the samples, which are $((samples / 1000)) kB; budget $((budget / 1000)) kB"
[ "$size" -le "$budget" ] || problem "the image is larger than its budget"

for program in portunus portunus-pp-rec mjr2pcap pcap2mjr; do
  file=$root/janus/bin/$program
  [ -x "$file" ] || { problem "no $program"; continue; }
  # An interpreter or a folder of this machine would be missed, or told, elsewhere.
  if LC_ALL=C grep -q -a -m 1 '/ld-linux' "$file"; then problem "$program is not static"; fi
  if LC_ALL=C grep -q -a -m 1 -E '/(root|home)/[a-z.]+/|/image/src' "$file"; then problem "$program names folders of the machine that built it"; fi
done
for tool in portunus-pp-rec mjr2pcap pcap2mjr; do
  said=$(env -i "$root/janus/bin/$tool" --version) || problem "$tool does not start"
  [[ $said == "$tool "* ]] || problem "$tool says that it is $said"
done
version=$(env -i "$root/janus/bin/portunus" --version) || problem "portunus does not start"
[ "$(readlink "$root/janus/bin/janus")" = portunus ] || problem "no link janus"

# What may be written belongs to the image's user, and group 0 may write there; all else belongs to root.
listing=$(tar --list --verbose --numeric-owner --file="$content/root.tar")
for path in html janus/etc/janus janus/etc/janus_fallback janus/bin/janus-recordings; do
  grep -q -E "^drwxrwxr-x 10001/0 .* \./$path/$" <<<"$listing" || problem "/$path is not for the image's user to write in"
done
strangers=$(grep -v -E '^[^ ]+ (0/0|10001/0) ' <<<"$listing" || true)
[ -z "$strangers" ] || problem "owners that the image does not know: $strangers"
if [ -n "$(find "$root" -type f -perm /6000)" ]; then problem "programs that change their user"; fi
if [ -e "$root/bin/sh" ] || [ -e "$root/usr/bin/env" ]; then problem "a shell"; fi

grep -q "^version: " "$root/build.info" || problem "/build.info says no version"
grep -q '"bomFormat": "CycloneDX"' "$root/sbom.json" || problem "/sbom.json is no bill of materials"
grep -q 'pkg:cargo/tokio@' "$root/sbom.json" || problem "/sbom.json does not name tokio"
grep -q 'pkg:deb/debian/glibc@' "$root/sbom.json" || problem "/sbom.json does not name the C library"
grep -q 'Permission is hereby granted' "$root/LICENSES.txt" || problem "/LICENSES.txt has no texts"
for page in index.html janus.js adapter.js; do [ -s "$root/janus/html/$page" ] || problem "no /janus/html/$page"; done

# The certificates are mounted when it runs: stand-ins here.
if command -v openssl >/dev/null; then
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=check -keyout "$root/privkey.pem" -out "$root/fullchain.pem" 2>/dev/null
  mkdir "$root/config"
  for file in "$root"/janus/etc/janus/*.jcfg; do
    sed "s|\"/etc/certs/|\"$root/|" "$file" >"$root/config/$(basename "$file")"
  done
  said=$(cd "$root/janus/bin" && env -i "$root/janus/bin/portunus" -F "$root/config" --check-config 2>&1) || problem "its configuration is not right: $said"
fi

[ "$failed" -eq 0 ] && echo "check: ${version%%$'\n'*}: all right"
exit "$failed"
