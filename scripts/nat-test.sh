#!/usr/bin/env bash
# A gateway behind NATs, in network namespaces, with a real browser on the other side: `make nat-test`. Needs root;
# without it, or without the packages, it says so and skips. NAT_LONG=1 runs every row against Janus, too.
set -uo pipefail
cd "$(dirname "$0")/.."

if [ -z "${PORTUNUS_BIN:-}" ]; then
  cargo build --quiet --locked --profile ci --package portunus || exit 1
  export PORTUNUS_BIN=$PWD/target/ci/portunus
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
# A signal for this script is for node, which takes the namespaces away.
node --test-reporter=spec tests/nat/all.mjs </dev/null > >(tee "$log") 2>&1 &
tests=$!
trap 'kill -TERM "$tests" 2>/dev/null' INT TERM
wait "$tests"
result=$?
wait

sum() {
  sed 's/\x1b\[[0-9;]*m//g' "$log" | grep -oE "^ℹ ($1) [0-9]+" | grep -oE '[0-9]+$' | awk '{ total += $1 } END { print total + 0 }'
}
printf '\n%d passed, %d failed, %d skipped\n' "$(sum pass)" "$(sum 'fail|cancelled')" "$(sum skipped)"
exit "$result"
