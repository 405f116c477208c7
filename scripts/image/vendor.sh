#!/usr/bin/env bash
# Fetches what a build of the image needs, where cargo and npm are here: crates to image/vendor, packages of the sample
# pages to html_samples/node_modules. Then the build itself needs no network. What is not here, the build fetches.
set -euo pipefail
cd "$(dirname "$0")/../.."

stamp=image/vendor/.made-of
if ! command -v cargo >/dev/null; then
  echo "vendor: no cargo here, so crates are fetched in the build" >&2
elif ! cmp --silent Cargo.lock "$stamp"; then
  echo "vendor: crates to image/vendor" >&2
  rm -rf image/vendor
  cargo vendor --quiet --locked --versioned-dirs image/vendor >/dev/null
  # A third of it is for Windows and is never compiled; only the manifests are read.
  for crate in image/vendor/{winapi,windows}*; do
    [ -d "$crate" ] && find "$crate" -type f \( -name '*.a' -o -name '*.lib' -o -path '*/src/?*' \) ! -name lib.rs -delete
  done
  # Cargo goes by the time of a file: what was fetched again is not compiled again.
  find image/vendor -exec touch --no-dereference --date=2000-01-01 {} +
  cp Cargo.lock "$stamp"
fi

if ! command -v npm >/dev/null; then
  echo "vendor: no npm here, so janus.js is fetched in the build" >&2
elif [ ! -f html_samples/node_modules/.installed ] || [ html_samples/package-lock.json -nt html_samples/node_modules/.installed ]; then
  npm ci --prefix html_samples --ignore-scripts --no-audit --no-fund --loglevel=error </dev/null
  touch html_samples/node_modules/.installed
fi
