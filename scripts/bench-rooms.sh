#!/usr/bin/env bash
# Measures joins, memory and time to first frame of a video room, ours and the installed Janus' in turns, in a network
# namespace with an address of its own (Janus gathers no loopback candidates). Needs root, and two cores: the gateways
# get core 1, the client core 0. Arguments go to the tool: scripts/bench-rooms.sh --rounds 5
set -euo pipefail
cd "$(dirname "$0")/.."

[ "$(id -u)" -eq 0 ] || { echo "bench-rooms: needs root (or sudo) for a network namespace" >&2; exit 1; }
target=${CARGO_TARGET_DIR:-target}
cargo build --quiet --release --locked --package portunus --package portunus-benches --bin portunus --bin rooms

oracle=()
if janus=$(command -v janus); then
  oracle=(--janus "$janus")
  # It says its version and takes that for a wrong option.
  { "$janus" --version 2>/dev/null || true; } | sed -n '1p'
  ldd "$janus" | awk '/libsrtp|libnice/ { print $1, $3 }'
else
  echo "bench-rooms: no janus here; only our own figures" >&2
fi
uname -srm
uptime
scripts/in-namespace.sh taskset -c 0 "$target/release/rooms" --portunus "$target/release/portunus" "${oracle[@]}" "$@"
uptime
