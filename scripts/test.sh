#!/usr/bin/env bash
# All checks, one stage after the other: `make test`. A failed stage does not stop the next ones; the table at the end
# says how long each took, and the last line how many tests passed and failed.
#
#   scripts/test.sh              every stage
#   scripts/test.sh tidy unit    only these
set -uo pipefail
cd "$(dirname "$0")/.."

# One profile for everything that is compiled here, so that each crate is built once (clippy shares its build scripts).
PROFILE=ci
export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-auto}
export PATH="$PWD/target/tools/bin:$PATH"

stage_format() { cargo fmt --all --check; }
stage_clippy() { cargo clippy --workspace --all-targets --locked --profile "$PROFILE" -- -D warnings; }
stage_tidy() { cargo run --quiet --locked --profile "$PROFILE" --package xtask -- tidy; }
stage_deny() { cargo deny --offline --log-level error check bans licenses sources; }
stage_unit() {
  if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --workspace --locked --cargo-profile "$PROFILE" --no-fail-fast --status-level fail --final-status-level fail
  else
    cargo test --workspace --all-targets --locked --profile "$PROFILE" --no-fail-fast
  fi
}
stage_doc() { cargo test --workspace --doc --locked --profile "$PROFILE" --quiet; }
stage_fuzz() { scripts/fuzz.sh "${FUZZ_SECONDS:-5}"; }
stage_gateway() { cargo build --locked --profile "$PROFILE" --package portunus --package portunus-postproc --package portunus-loadtest; }
stage_bench-instructions() { scripts/bench-instructions.sh "$PROFILE"; }
stage_chart() { PORTUNUS_BIN=${PORTUNUS_BIN:-$root/target/$PROFILE/portunus} tests/chart/run.sh; }
stage_differential() { WRAPPER=$(namespace) node_tests tests/differential all.mjs; }
stage_janode() { node_tests tests/janode all.mjs; }
stage_operate() { node_tests tests/operate all.mjs; }
stage_browser() { node_tests tests/browser suites/all.mjs; }

node_tests() {
  # shellcheck disable=SC2086
  (cd "$1" && PORTUNUS_BIN="$root/target/$PROFILE/portunus" LOADTEST_BIN="$root/target/$PROFILE/portunus-loadtest" \
    ${WRAPPER:-} node --test --test-reporter=spec "$2")
}

# Janus takes no media over loopback: where a namespace may be made, what needs a connection is compared too.
namespace() {
  local probe="portunus-probe-$$"
  if [ "$(id -u)" -eq 0 ] && ip netns add "$probe" 2>/dev/null; then
    ip netns del "$probe"
    echo "$root/scripts/in-namespace.sh"
  fi
}

ALL=(format clippy tidy deny unit doc bench-instructions fuzz gateway chart differential janode operate browser)
root=$PWD
stages=("$@")
[ ${#stages[@]} -gt 0 ] || stages=("${ALL[@]}")

# What went wrong, once more: who sees only the end of this output sees that. node repeats its failures at its end.
repeat_failure() {
  printf '\n=== failed: %s\n' "$1"
  sed 's/\x1b\[[0-9;]*m//g' "$logs/$1" >"$logs/plain"
  if grep -q '^✖ failing tests:' "$logs/plain"; then
    sed -n '/^✖ failing tests:/,$p' "$logs/plain" | grep -v '^    at ' | head -n 40
  else
    tail -n 40 "$logs/plain"
  fi
}

logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
table=()
broken=()
failed=0
passed_tests=0
failed_tests=0
skipped_tests=0

# What the runners say of themselves: nextest's and cargo's "N passed", node's "ℹ pass N".
sum_of() {
  sed 's/\x1b\[[0-9;]*m//g' "$1" | grep -oE "$2" | grep -oE '[0-9]+' | awk '{ total += $1 } END { print total + 0 }'
}
count() {
  passed_tests=$((passed_tests + $(sum_of "$1" '[0-9]+ passed|^ℹ pass [0-9]+')))
  failed_tests=$((failed_tests + $(sum_of "$1" '[0-9]+ failed|^ℹ (fail|cancelled) [0-9]+')))
  skipped_tests=$((skipped_tests + $(sum_of "$1" '[0-9]+ ignored|^ℹ skipped [0-9]+')))
}

for stage in "${stages[@]}"; do
  if ! declare -F "stage_$stage" >/dev/null; then
    echo "test: no stage $stage; there are: ${ALL[*]}" >&2
    exit 2
  fi
  printf '\n=== %s\n' "$stage"
  began=$SECONDS
  "stage_$stage" </dev/null 2>&1 | tee "$logs/$stage"
  if [ "${PIPESTATUS[0]}" -eq 0 ]; then result=ok; else result=FAILED; failed=$((failed + 1)); broken+=("$stage"); fi
  count "$logs/$stage"
  table+=("$(printf '%-18s %-8s %4d s' "$stage" "$result" $((SECONDS - began)))")
done

printf '\n=== stages, %d s in all\n' "$SECONDS"
printf '%s\n' "${table[@]}"
for stage in "${broken[@]}"; do repeat_failure "$stage"; done
printf '\n%d passed, %d failed, %d skipped; %d of %d stages failed\n' \
  "$passed_tests" "$failed_tests" "$skipped_tests" "$failed" "${#stages[@]}"
[ "$failed" -eq 0 ]
