#!/usr/bin/env bash
# Sees to the base image: the one that is there, else from its registry, else (as root, where no registry is reachable)
# a Debian or Ubuntu of the same name made by mmdebstrap out of the distribution's packages.
#
#   scripts/image/base.sh debian:bookworm-slim          for IMAGE_TOOL: docker (default), podman or buildah
#   scripts/image/base.sh debian:bookworm-slim FILE     as an archive of its root file system, for other tools
set -euo pipefail

[ $# -ge 1 ] || { sed -n '2,6s/^# \{0,1\}//p' "$0"; exit 2; }
root=$(cd "$(dirname "$0")/../.." && pwd)
image=$1
file=${2:-}
# shellcheck source=scripts/image/tool.sh
. "$root/scripts/image/tool.sh"
say() { echo "base: $*" >&2; }

if [ -z "$file" ]; then
  if tool_there "$image"; then exit 0; fi
  say "pulling $image"
  if answer=$(timeout "${PULL_TIMEOUT_S:-120}" "$image_tool" pull --quiet "$image" 2>&1); then exit 0; fi
  say "it cannot be had from a registry: $(tail -n 1 <<<"$answer")"
fi

name=${image##*/}
tag=${name#*:}
suite=${tag%-slim}
case "$image" in
  debian:*) ;;
  ubuntu:*) say "only Debian is made here; take BASE_IMAGE=debian:bookworm-slim, or load $image yourself"; exit 1 ;;
  *) say "only debian:SUITE is made here; load $image yourself ($image_tool load, $image_tool import)"; exit 1 ;;
esac
case "$suite" in [a-z]*) ;; *) say "$image names no suite: take debian:bookworm-slim, for one"; exit 1 ;; esac
command -v mmdebstrap >/dev/null || { say "no mmdebstrap here (Debian: apt-get install mmdebstrap)"; exit 1; }
[ "$(id -u)" -eq 0 ] || { say "making a base needs root"; exit 1; }

archive=${file:-$root/target/image/base-$suite.tar}
mkdir -p "$(dirname "$archive")"
if [ ! -s "$archive" ]; then
  say "making it by mmdebstrap"
  # Without MIRROR it is Debian's own, with its updates and security suites.
  sources=()
  if [ -n "${MIRROR:-}" ]; then
    sources=("deb $MIRROR $suite main" "deb $MIRROR $suite-updates main"
      "deb ${SECURITY_MIRROR:-${MIRROR%/debian}/debian-security} $suite-security main")
  fi
  mmdebstrap --quiet --format=tar --variant=minbase --include=ca-certificates "$suite" "$archive.new" ${sources[@]+"${sources[@]}"}
  mv "$archive.new" "$archive"
fi
[ -n "$file" ] || tool_import "$archive" "$image"
