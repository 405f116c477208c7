#!/usr/bin/env bash
# Measures the hot paths, in release: instructions of packets and requests against those of benches/instructions.txt, then
# every crate's `ns_per_packet` example and the forwarding path as a whole in CPU time, to compare on one quiet machine.
#
#   scripts/bench.sh             fails when a count has changed by more than the table allows
#   scripts/bench.sh --accept    writes the counts down, those that `make test` holds to as well; measures no time
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "${1:-}" = --accept ]; then
  for profile in ci release; do
    printf '\n=== instructions, profile %s\n' "$profile"
    scripts/bench-instructions.sh "$profile" --accept
  done
  exit
fi

printf '=== instructions\n'
result=0
scripts/bench-instructions.sh release || result=1

for example in crates/*/examples/ns_per_packet.rs; do
  package=$(sed -n 's/^name = "\(.*\)"$/\1/p' "${example%/examples/*}/Cargo.toml")
  printf '\n=== %s\n' "$package"
  cargo run --quiet --release --locked --package "$package" --example ns_per_packet
done

printf '\n=== portunus-benches\n'
cargo run --quiet --release --locked --package portunus-benches --bin forwarding
[ "$result" -eq 0 ] || echo "bench: instruction counts have changed, see the table above" >&2
exit "$result"
