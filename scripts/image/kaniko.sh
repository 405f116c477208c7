#!/bin/sh
# Builds an image with Kaniko and pushes it to one registry or two, in a job of .gitlab-ci.yml (BusyBox' shell is enough).
#
#   scripts/image/kaniko.sh CONTEXT DOCKERFILE STAGE IMAGE TAG [SUFFIX]
#
# ACR_REGISTRY, ACR_PROJECT, ACR_AUTH    the first registry, a folder in it (may be empty), base64 of user:password
# NCR_REGISTRY, NCR_PROJECT, NCR_AUTH    the second one; none if NCR_REGISTRY is empty
# CI_COMMIT_TAG                          set for tags only: those move `latest`, branches do not
set -eu

[ $# -ge 5 ] || { sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 2; }
context=$1 dockerfile=$2 stage=$3 image=$4 tag=$5 suffix=${6:-}
[ -n "${ACR_REGISTRY:-}" ] || { echo "kaniko: ACR_REGISTRY is not set" >&2; exit 1; }

folder=${KANIKO_FOLDER:-/kaniko}
mkdir -p "$folder/.docker"
entry() { printf '"%s":{"auth":"%s"}' "$1" "$2"; }
{
  printf '{"auths":{'
  entry "$ACR_REGISTRY" "${ACR_AUTH:-}"
  if [ -n "${NCR_REGISTRY:-}" ]; then printf ','; entry "$NCR_REGISTRY" "${NCR_AUTH:-}"; fi
  printf '}}\n'
} >"$folder/.docker/config.json"

set -- --context "$context" --dockerfile "$dockerfile" --target "$stage" --skip-unused-stages
# In the target image's Dockerfile build.sh has written these.
set -- "$@" --build-arg "CI_COMMIT_TAG=${CI_COMMIT_TAG:-none}" --build-arg "CI_COMMIT_SHA=${CI_COMMIT_SHA:-unknown}"
destinations() {
  place=$1${2:+/$2}/$image
  echo "$place:$tag$suffix"
  if [ -n "${CI_COMMIT_TAG:-}" ]; then echo "$place:latest$suffix"; fi
}
for destination in $(destinations "$ACR_REGISTRY" "${ACR_PROJECT:-}") \
  $([ -z "${NCR_REGISTRY:-}" ] || destinations "$NCR_REGISTRY" "${NCR_PROJECT:-}"); do
  set -- "$@" --destination "$destination"
done
"$folder/executor" "$@"
