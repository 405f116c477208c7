#!/usr/bin/env bash
# Measures the hot paths, in release: every crate's `ns_per_packet` example, then the forwarding path as a whole.
# Numbers to compare on one quiet machine.
set -euo pipefail
cd "$(dirname "$0")/.."

for example in crates/*/examples/ns_per_packet.rs; do
  package=$(sed -n 's/^name = "\(.*\)"$/\1/p' "${example%/examples/*}/Cargo.toml")
  printf '\n=== %s\n' "$package"
  cargo run --quiet --release --locked --package "$package" --example ns_per_packet
done

printf '\n=== portunus-benches\n'
cargo run --quiet --release --locked --package portunus-benches --bin forwarding
