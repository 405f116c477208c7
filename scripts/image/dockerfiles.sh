#!/usr/bin/env bash
# Makes Dockerfile.build and Dockerfile.exec of Dockerfile, for pipelines that build in two steps. With --check it changes
# nothing and fails if they are not what it would make.
set -euo pipefail
cd "$(dirname "$0")/../.."

# The comment that begins a stage belongs to it.
stages() {
  awk -v wanted=" $* " '
    /^# --- / { stage = $3; sub(":", "", stage) }
    stage != "" && index(wanted, " " stage " ")' Dockerfile
}

made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
{
  printf '# Made of Dockerfile by scripts/image/dockerfiles.sh. Context: this folder.\n\n'
  grep '^ARG BASE_IMAGE=' Dockerfile
  printf '\n'
  stages build
} | sed '$!N;/^\n$/!P;D' >"$made/Dockerfile.build"
{
  printf '# Made of Dockerfile by scripts/image/dockerfiles.sh. Context: the folder that scripts/image/build.sh fills.\n'
  printf '# An archive keeps owners and modes; the names of a folder of artefacts would not.\n\n'
  grep '^ARG BASE_IMAGE=' Dockerfile
  printf '\n'
  stages shell exec | sed 's|^COPY --from=content /image/root/ /$|ADD root.tar /|'
} >"$made/Dockerfile.exec"

if [ "${1:-}" = --check ]; then
  for file in Dockerfile.build Dockerfile.exec; do
    diff -u "$file" "$made/$file" || { echo "dockerfiles: $file is not made of Dockerfile; run scripts/image/dockerfiles.sh" >&2; exit 1; }
  done
else
  cp "$made/Dockerfile.build" "$made/Dockerfile.exec" .
fi
