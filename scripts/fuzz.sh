#!/bin/sh
# Runs every fuzz target on its kept corpus: scripts/fuzz.sh [seconds per target, default 10] [target ...]
#
# New inputs that a run finds go to fuzz/target/corpus, which is not kept; what deserves to stay is copied to
# fuzz/corpus/<target> by hand. Fails if a target crashes, hangs or runs out of memory; the input is then under
# fuzz/artifacts/<target>. Needs cargo-fuzz: cargo install cargo-fuzz --locked
set -eu
cd "$(dirname "$0")/.."

seconds=${1:-10}
case $seconds in
'' | *[!0-9]*) echo "usage: $0 [seconds per target] [target ...]" >&2; exit 2 ;;
esac
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- $(ls fuzz/fuzz_targets | sed -n 's/\.rs$//p')

if ! cargo fuzz --version >/dev/null 2>&1; then
    echo "cargo-fuzz is missing: cargo install cargo-fuzz --locked" >&2
    exit 2
fi
# The sanitizer and the coverage counters are switches of a nightly compiler.
export RUSTC_BOOTSTRAP=1
out=fuzz/target/runs
mkdir -p "$out"

for target; do
    if [ ! -f "fuzz/fuzz_targets/$target.rs" ]; then
        echo "no fuzz target $target" >&2
        exit 2
    fi
done
echo "building $# targets"
cargo fuzz build || exit 1

number=0
failed=
for target; do
    number=$((number + 1))
    mkdir -p "fuzz/target/corpus/$target" "fuzz/corpus/$target"
    printf '[%s/%s] %-6s %s s ... ' "$number" "$#" "$target" "$seconds"
    if cargo fuzz run "$target" "fuzz/target/corpus/$target" "fuzz/corpus/$target" -- \
        -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
        >"$out/$target.log" 2>&1; then
        runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$out/$target.log")
        coverage=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$out/$target.log" | tail -1)
        echo "ok, ${runs:-?} runs, ${coverage:-?} edges"
    else
        echo "FAILED"
        failed="$failed $target"
        grep -E 'panicked at|ERROR:|SUMMARY:|Test unit written|libFuzzer:' "$out/$target.log" | head -20 || true
        sed -n '/panicked at/,/note:/p' "$out/$target.log" | head -20
        echo "all of it: $out/$target.log"
    fi
done
if [ -n "$failed" ]; then
    echo "findings in:$failed" >&2
    exit 1
fi
