#!/usr/bin/env bash
# Builds the gateway and starts it with config/ and the sample pages: `make run`.
# Everything in the environment (PORTUNUS_...) reaches the gateway; arguments are passed on to it.
set -euo pipefail
cd "$(dirname "$0")/.."

port=${PORTUNUS_HTTP_PORT:-8088}
if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
  echo "run: port $port is busy: another gateway (the packaged janus?) listens there." >&2
  echo "run: stop it (sudo systemctl stop janus), or take another port: PORTUNUS_HTTP_PORT=8090 make run" >&2
  exit 1
fi

scripts/setup.sh run
cargo build --release --locked --package portunus

# On one machine, without a network, browsers and the gateway meet on loopback.
export PORTUNUS_NAT_ALLOW_LOOPBACK=${PORTUNUS_NAT_ALLOW_LOOPBACK:-true}
export PORTUNUS_DEMOS_FOLDER=${PORTUNUS_DEMOS_FOLDER:-$PWD/html_samples}
export PORTUNUS_HTTP_PORT=$port
echo
echo "  Sample pages:  http://localhost:$port/demos/"
echo "  Janus API:     http://localhost:$port/janus"
echo
exec "${CARGO_TARGET_DIR:-target}/release/portunus" -F config "$@"
