#!/usr/bin/env bash
# Counts the instructions that a packet and a request take (callgrind) and holds them against benches/instructions.txt.
#
#   scripts/bench-instructions.sh ci             as `make test` does: everything is built in that profile there
#   scripts/bench-instructions.sh release        as `make bench` does
#   scripts/bench-instructions.sh ci --accept    writes the figures down
set -euo pipefail
cd "$(dirname "$0")/.."

profile=${1:?ci or release}
shift
cargo build --quiet --locked --profile "$profile" --package portunus-benches --bin instructions
program=${CARGO_TARGET_DIR:-target}/$profile/instructions
tools="$(rustc --version), $(getconf GNU_LIBC_VERSION), $(valgrind --version 2>/dev/null || true)"
exec "$program" --profile "$profile" --tools "$tools" --table benches/instructions.txt "$@"
