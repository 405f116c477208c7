#!/usr/bin/env bash
# Runs a command in a network namespace of its own with one address that is not loopback, and exports it as
# GATEWAY_ADDRESS. For oracles that refuse loopback for media; needs root.
#
#   scripts/in-namespace.sh npm --prefix tests/browser test
set -euo pipefail

if [ $# -eq 0 ]; then
  sed -n '2,5s/^# \{0,1\}//p' "$0"
  exit 2
fi
[ "$(id -u)" -eq 0 ] || { echo "in-namespace: needs root (or sudo)" >&2; exit 1; }

space="portunus-$$"
address=10.77.0.1
ip netns add "$space"
trap 'ip netns del "$space"' EXIT
ip -n "$space" link set lo up
ip -n "$space" link add media0 type veth peer name media1
ip -n "$space" addr add "$address/24" dev media0
ip -n "$space" link set media0 up
ip -n "$space" link set media1 up
# Firefox gathers candidates only where a default route is.
ip -n "$space" route add default via 10.77.0.2 dev media0
GATEWAY_ADDRESS=$address ip netns exec "$space" "$@"
