#!/usr/bin/env bash
# Runs a command as a client outside of a docker host: in a network namespace of its own, with a cable to the host and
# docker there at its usual bridge. Needs root.
#
#   scripts/image/lab.sh COMMAND ARGUMENT...
#
# Where a docker daemon runs, this machine is the host. Else the host is a second namespace, with a daemon of its own in
# it (with-docker.sh); then nothing of this machine is touched. The command is told the host's address (LAB_HOST), its own
# (LAB_CLIENT), and the namespaces (LAB_HOST_NETNS, empty for this machine; LAB_CLIENT_NETNS).
set -euo pipefail

[ $# -gt 0 ] || { sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 2; }
[ "$(id -u)" -eq 0 ] || { echo "lab: needs root, for network namespaces" >&2; exit 3; }
here=$(cd "$(dirname "$0")" && pwd)
number=$(($$ % 200))
export LAB_HOST=10.79.$number.1 LAB_CLIENT=10.79.$number.2
client=portunus-client-$$
cable=pimg$$

host=""
docker info >/dev/null 2>&1 || host=portunus-host-$$
finish() {
  trap '' INT TERM
  ip netns del "$client" 2>/dev/null || true
  if [ -n "$host" ]; then ip netns del "$host" 2>/dev/null || true; else ip link del "$cable" 2>/dev/null || true; fi
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

ip netns add "$client"
ip -n "$client" link set lo up
in_host=()
if [ -n "$host" ]; then
  ip netns add "$host"
  ip -n "$host" link set lo up
  in_host=(-n "$host")
fi
ip "${in_host[@]}" link add "$cable" type veth peer name uplink netns "$client"
ip "${in_host[@]}" addr add "$LAB_HOST/24" dev "$cable"
ip "${in_host[@]}" link set "$cable" up
ip -n "$client" addr add "$LAB_CLIENT/24" dev uplink
ip -n "$client" link set uplink up
ip -n "$client" route add default via "$LAB_HOST"
# What a daemon needs for its bridge: a way out, even if nobody is there.
if [ -n "$host" ]; then ip -n "$host" route add default via "$LAB_CLIENT"; fi

export LAB_HOST_NETNS=$host LAB_CLIENT_NETNS=$client
DOCKER_NETNS=$host "$here/with-docker.sh" ip netns exec "$client" "$@"
