#!/usr/bin/env bash
# Runs a command with a docker daemon: the one that is there, or (as root) one of its own under target/image/docker,
# which ends with the command.
#
#   scripts/image/with-docker.sh COMMAND ARGUMENT...
#
# Its own daemon makes no bridge and touches no packet filter of the machine: what needs a network uses the machine's
# (`--network host`, which BUILD_NETWORK then says). With DOCKER_NETNS=name it lives in that network namespace instead and
# has its usual bridge there, publishing and all.
set -euo pipefail

[ $# -gt 0 ] || { sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 2; }
root=$(cd "$(dirname "$0")/../.." && pwd)
say() { echo "with-docker: $*" >&2; }

command -v docker >/dev/null || { say "no docker here (Debian: apt-get install docker.io)"; exit 3; }
if docker info >/dev/null 2>&1; then exec "$@"; fi
[ "$(id -u)" -eq 0 ] || { say "no docker daemon answers, and only root may start one"; exit 3; }
command -v dockerd >/dev/null || { say "no docker daemon answers, and there is no dockerd to start (Debian: apt-get install docker.io)"; exit 3; }

folder=$root/target/image/docker
mkdir -p "$folder"
# One at a time may use the folder.
exec 9>"$folder/lock"
flock --nonblock 9 || { say "another daemon uses $folder; waiting for its end"; flock 9; }

# The path of a Unix socket has a limit of about a hundred characters, so it is not in there.
state=$(mktemp -d /tmp/portunus-docker.XXXXXX)
options=(--data-root "$folder/data" --exec-root "$state/exec" --pidfile "$state/pid" --host "unix://$state/socket")
into=()
if [ -n "${DOCKER_NETNS:-}" ]; then
  # Not `ip netns exec`: it hides the control groups.
  into=(nsenter "--net=/var/run/netns/$DOCKER_NETNS")
else
  options+=(--bridge none --iptables=false --ip6tables=false --ip-forward=false --ip-masq=false)
  export BUILD_NETWORK=${BUILD_NETWORK:-host}
fi

"${into[@]}" dockerd "${options[@]}" >"$folder/log" 2>&1 9>&- &
daemon=$!
ready=""
finish() {
  trap '' INT TERM
  # What an earlier build made and nothing is built on any more.
  [ -z "$ready" ] || timeout 60 docker image prune --force >/dev/null 2>&1 || true
  kill "$daemon" 2>/dev/null || true
  wait "$daemon" 2>/dev/null || true
  # A daemon that was killed leaves mounts behind.
  while read -r mount; do umount "$mount" 2>/dev/null || true; done < <(awk -v under="$state/" 'index($2, under) == 1 { print $2 }' /proc/mounts)
  rm -rf "$state"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

export DOCKER_HOST="unix://$state/socket"
for _ in $(seq 150); do
  if docker info >/dev/null 2>&1; then ready=yes; break; fi
  kill -0 "$daemon" 2>/dev/null || break
  sleep 0.2
done
[ -n "$ready" ] || { say "dockerd does not start; the end of its log:"; tail -n 15 "$folder/log" >&2; exit 1; }
"$@" 9>&-
