#!/usr/bin/env bash
# The chart's tests (`make chart-test`), skipped with a reason where their packages cannot be had.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

tests/chart/setup.sh
if [ ! -x target/chart-venv/bin/python ]; then
  echo "skipped: $(cat target/chart-venv.reason 2>/dev/null || echo 'chart: no set-up')"
  echo "ℹ skipped 1"
  exit 0
fi
exec target/chart-venv/bin/python -B tests/chart/all.py "$@"
