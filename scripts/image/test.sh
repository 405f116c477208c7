#!/usr/bin/env bash
# Builds the image if need be and tests it: `make image-test`. The last line says how many tests passed, failed and were
# skipped. Without root or docker everything that needs them is skipped, with the reason.
#
#   IMAGE_BUILT=true    test the images that are there
#   ONLY=text           the test files whose name contains it
set -uo pipefail
cd "$(dirname "$0")/../.." || exit
export TARGET_IMAGE_NAME=${TARGET_IMAGE_NAME:-janus} TARGET_IMAGE_TAG=${TARGET_IMAGE_TAG:-latest}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
failed=0
why=""
if [ "$(id -u)" -ne 0 ]; then
  why="root is needed for network namespaces and a docker daemon"
elif ! scripts/image/with-docker.sh true 2>"$log"; then
  why=$(tail -n 1 "$log")
elif [ "${IMAGE_BUILT:-}" != true ] && ! scripts/image/with-docker.sh ./container.sh; then
  echo "image-test: the image is not built" >&2
  failed=1
fi

: >"$log"
# lab-*: as a client outside of a docker host. One after the other: they share the machine's cores, and some measure time.
run() {
  local wrapper=() files=() file
  [ "$1" = here ] || wrapper=("$1")
  shift
  for file in "$@"; do case "$file" in *"${ONLY:-}"*) files+=("$file") ;; esac; done
  [ ${#files[@]} -gt 0 ] || return 0
  "${wrapper[@]}" node --test --test-concurrency=1 --test-reporter=spec "${files[@]}" </dev/null 2>&1 | tee -a "$log"
  [ "${PIPESTATUS[0]}" -eq 0 ] || failed=1
}
outside=(tests/image/lab-*.test.mjs)
inside=()
for file in tests/image/*.test.mjs; do case "$file" in */lab-*) ;; *) inside+=("$file") ;; esac; done
if [ "$failed" -eq 0 ]; then
  if [ -n "$why" ]; then
    export IMAGE_SKIP=$why
    run here "${outside[@]}"
  else
    run scripts/image/lab.sh "${outside[@]}"
  fi
fi
run here "${inside[@]}"

sum() { sed 's/\x1b\[[0-9;]*m//g' "$log" | grep -oE "$1" | grep -oE '[0-9]+' | awk '{ total += $1 } END { print total + 0 }'; }
failed_tests=$(sum '^ℹ (fail|cancelled) [0-9]+')
[ "$failed" -eq 0 ] || [ "$failed_tests" -gt 0 ] || failed_tests=1
printf '\n%d passed, %d failed, %d skipped\n' "$(sum '^ℹ pass [0-9]+')" "$failed_tests" "$(sum '^ℹ skipped [0-9]+')"
[ "$failed" -eq 0 ]
