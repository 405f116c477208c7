#!/usr/bin/env bash
# Makes target/chart-venv, where Helm's library and the schemas of Kubernetes are. Where that cannot be, it says why, leaves the
# reason in target/chart-venv.reason for the tests to repeat, and is content: nothing else needs them.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

venv=target/chart-venv
list=tests/chart/requirements.txt
stamp=$venv/.installed
reason=$venv.reason

if [ -f "$stamp" ] && cmp -s "$list" "$stamp"; then exit 0; fi
mkdir -p target
rm -rf "$venv" "$reason"

refuse() {
  rm -rf "$venv"
  echo "$1" | tee "$reason" >&2
  exit 0
}

command -v python3 >/dev/null || refuse "chart: no python3 here"
[ "$(uname -sm)" = "Linux x86_64" ] || refuse "chart: Helm's library is there for Linux on x86_64 only"
python3 -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 15))' || refuse "chart: $(python3 -V) is not among 3.10 to 3.14"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
python3 -m venv "$venv" >"$log" 2>&1 || refuse "chart: python3 -m venv fails (package python3-venv?): $(tail -n 1 "$log")"
echo "setup: installing Helm's library and the schemas of Kubernetes, once"
"$venv/bin/pip" install --quiet --disable-pip-version-check --no-input --only-binary :all: --require-hashes -r "$list" \
  </dev/null >"$log" 2>&1 || refuse "chart: PyPI gives no packages: $(grep -m 1 -i error "$log" || tail -n 1 "$log")"
cp "$list" "$stamp"
