#!/usr/bin/env bash
# Measures our gateway beside the installed Janus: the same load on each in turn, one core for the server and one for the client,
# in a network namespace with an address of its own (Janus gathers no loopback candidates), and the bare loops of the same hour.
# Writes docs/benchmarks-janus.md. Needs root, two cores, node and janus (`make bench-janus` installs them).
#
#   JANUS=/opt/janus/bin/janus   another Janus than the one on the PATH
#   ROUNDS=5 SECONDS_EACH=10     runs of each, and how long each measures
#   ONLY='echo|meeting'          some of the scenarios
#   OUT=FILE                     write elsewhere, the chart beside it
set -euo pipefail
cd "$(dirname "$0")/.."

[ "$(id -u)" -eq 0 ] || { echo "bench-janus: needs root (or sudo) for a network namespace" >&2; exit 1; }
[ "$(nproc)" -ge 2 ] || { echo "bench-janus: needs two cores, one for the server and one for the client" >&2; exit 1; }
janus=${JANUS:-$(command -v janus || true)}
[ -n "$janus" ] || { echo "bench-janus: no janus here (JANUS=path/to/janus)" >&2; exit 1; }
command -v node >/dev/null || { echo "bench-janus: needs node" >&2; exit 1; }
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
cargo build --quiet --release --locked --package portunus --package portunus-loadtest --package portunus-benches
PORTUNUS_BIN="$target/release/portunus" LOADTEST_BIN="$target/release/portunus-loadtest" \
  FORWARDING_BIN="$target/release/forwarding" JANUS_BIN="$janus" \
  exec scripts/in-namespace.sh node benches/janus/main.mjs
