#!/usr/bin/env bash
# Builds the container in two stages: the build image, then, by running it, the content of the target image and that image
# itself. Prints how to start it. docs/container.md has it all.
#
# Everything is set in the environment, and everything may be left out; `. scripts/config` is a place to keep it.
#
#   IMAGE_TOOL             docker (default), podman, buildah; external: prepares the folder for another tool to build in
#   IMAGE_REGISTRY         where images are pushed to, as HOST or HOST/PROJECT; nowhere by default
#   IMAGE_REGISTRY_USER, IMAGE_REGISTRY_PASSWORD    to log in there
#   BUILD_IMAGE_NAME, BUILD_IMAGE_TAG               janus_build, latest
#   TARGET_IMAGE_NAME, TARGET_IMAGE_TAG             janus, latest
#   BASE_IMAGE             debian:bookworm-slim
#   JANUS_REPO, JANUS_VERSION    source to build instead of this folder's: a git repository of Portunus; branch, tag or commit
#   SKIP_BUILD_IMAGE       true: take the build image that is there
#   SKIP_TARGET_IMAGE      true: make the build image only
#   BUILD_WITH_HOST_CONFIG_DIR   true: the configuration in the image is that of ./janus_config
#   EXTRA_CA               a PEM file of authorities to trust while building, for networks that have one of their own
#   CI_COMMIT_TAG          goes to /build.info and the labels
# Only for the commands that are printed:
#   HOST_NAME              <host>.<domain>
#   RUN_WITH_HOST_CONFIGURATION_DIR, COPY_JANUS_SAMPLES, CONFIG_GEN_SCRIPT    as the image itself takes them
set -euo pipefail
case "${EXTRA_CA:-/}" in /*) ;; *) EXTRA_CA=$PWD/$EXTRA_CA ;; esac
cd "$(dirname "$0")"

[ $# -eq 0 ] || { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "$0"; exit 2; }

IMAGE_TOOL=${IMAGE_TOOL:-docker}
build_image=${BUILD_IMAGE_NAME:-janus_build}:${BUILD_IMAGE_TAG:-latest}
target_image=${TARGET_IMAGE_NAME:-janus}:${TARGET_IMAGE_TAG:-latest}
BASE_IMAGE=${BASE_IMAGE:-debian:bookworm-slim}
HOST_NAME=${HOST_NAME:-<host>.<domain>}
export IMAGE_TOOL BASE_IMAGE

fail() { echo "container: $*" >&2; exit 1; }
step() { printf '\n=== %s\n' "$*"; }
is_true() { [ "${!1:-false}" = true ]; }

# --- what was asked for

for name in SKIP_BUILD_IMAGE SKIP_TARGET_IMAGE BUILD_WITH_HOST_CONFIG_DIR RUN_WITH_HOST_CONFIGURATION_DIR COPY_JANUS_SAMPLES; do
  case "${!name:-false}" in true | false) ;; *) fail "$name is true or false, not '${!name}'" ;; esac
done
case "$IMAGE_TOOL" in docker | podman | buildah | external) ;; *) fail "IMAGE_TOOL is docker, podman, buildah or external, not '$IMAGE_TOOL'" ;; esac
for name in build_image target_image; do
  [[ ${!name} =~ ^[a-z0-9]+([._/-]+[a-z0-9]+)*:[A-Za-z0-9_][A-Za-z0-9_.-]*$ ]] || fail "'${!name}' is no name and tag of an image"
done
if [ -n "${CONFIG_GEN_SCRIPT:-}" ]; then
  [[ $CONFIG_GEN_SCRIPT =~ ^[A-Za-z0-9_][A-Za-z0-9_.-]*$ ]] || fail "CONFIG_GEN_SCRIPT is the name of a file in the configuration folder, not '$CONFIG_GEN_SCRIPT'"
fi
[ -z "${JANUS_VERSION:-}" ] || [ -n "${JANUS_REPO:-}" ] || fail "JANUS_VERSION chooses nothing without JANUS_REPO; for this folder check the version out"
[ -z "${IMAGE_REGISTRY_PASSWORD:-}" ] || [ -n "${IMAGE_REGISTRY_USER:-}" ] || fail "IMAGE_REGISTRY_PASSWORD is of no use without IMAGE_REGISTRY_USER"
[ -z "${IMAGE_REGISTRY_USER:-}" ] || [ -n "${IMAGE_REGISTRY:-}" ] || fail "IMAGE_REGISTRY_USER is of no use without IMAGE_REGISTRY"
[ -z "${EXTRA_CA:-}" ] || grep -q -- '-----BEGIN CERTIFICATE-----' "$EXTRA_CA" 2>/dev/null || fail "EXTRA_CA: no certificates (PEM) in '$EXTRA_CA'"
if is_true BUILD_WITH_HOST_CONFIG_DIR; then
  [ -n "$(find janus_config -maxdepth 1 -name '*.jcfg' 2>/dev/null)" ] || fail "BUILD_WITH_HOST_CONFIG_DIR: there are no .jcfg files in ./janus_config"
  [ -z "${CONFIG_GEN_SCRIPT:-}" ] || is_true RUN_WITH_HOST_CONFIGURATION_DIR || [ -f "janus_config/$CONFIG_GEN_SCRIPT" ] \
    || fail "CONFIG_GEN_SCRIPT: there is no janus_config/$CONFIG_GEN_SCRIPT"
fi

. scripts/image/tool.sh
[ "$IMAGE_TOOL" = external ] || tool_check || exit 1

# --- what ends with this script, however it ends

running=""
placed=""
finish() {
  trap '' INT TERM
  [ -z "$running" ] || tool_remove "$running"
  [ -z "$placed" ] || rm -f "$placed"
  rm -rf image/out.new
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# --- the steps

stage_base() {
  step "1 of 4: the base, $BASE_IMAGE"
  scripts/image/base.sh "$BASE_IMAGE"
  scripts/image/vendor.sh
  if [ -n "${EXTRA_CA:-}" ]; then
    # A name of its own: whoever has put one there keeps it.
    placed=scripts/image/ca/extra-$$.crt
    cp "$EXTRA_CA" "$placed"
  fi
}

# What is built: for /build.info and the labels.
source_of() {
  CI_COMMIT_SHA=${CI_COMMIT_SHA:-$(git rev-parse HEAD 2>/dev/null && git diff --quiet HEAD 2>/dev/null || echo "(changed)")}
  CI_COMMIT_SHA=$(tr '\n' ' ' <<<"$CI_COMMIT_SHA" | sed 's/ *$//')
  SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || true)}
  export CI_COMMIT_SHA SOURCE_DATE_EPOCH CI_COMMIT_TAG=${CI_COMMIT_TAG:-none}
}

stage_build_image() {
  if is_true SKIP_BUILD_IMAGE; then
    step "2 of 4: the build image $build_image, which is there (SKIP_BUILD_IMAGE)"
    tool_there "$build_image" || { [ -n "${IMAGE_REGISTRY:-}" ] && tool_fetch "$build_image"; } || fail "there is no $build_image"
    return
  fi
  step "2 of 4: the build image, $build_image"
  tool_build build "$build_image" Dockerfile.build . --build-arg "BASE_IMAGE=$BASE_IMAGE" --build-arg IMAGE_TOOL=external \
    --build-arg "CI_COMMIT_TAG=$CI_COMMIT_TAG" --build-arg "CI_COMMIT_SHA=$CI_COMMIT_SHA" --build-arg "SOURCE_DATE_EPOCH=$SOURCE_DATE_EPOCH"
  tool_push "$build_image"
}

# Runs the build image; what it makes comes to image/out. Compiled crates stay in a volume for the next time.
stage_content() {
  step "3 of 4: the content of the target image, by $build_image"
  local options=(--env IMAGE_TOOL=external) name
  for name in JANUS_REPO JANUS_VERSION CI_COMMIT_TAG CI_COMMIT_SHA SOURCE_DATE_EPOCH; do
    [ -z "${!name:-}" ] || options+=(--env "$name=${!name}")
  done
  if is_true BUILD_WITH_HOST_CONFIG_DIR; then options+=(--volume "$PWD/janus_config:/image/janus_config:ro"); fi
  mkdir -p image
  rm -rf image/out.new
  running=portunus-build-$$
  tool_run "$running" "$build_image" "${options[@]}" || fail "the build image ended with an error"
  tool_copy "$running" /image/out image/out.new
  rm -rf image/out
  mv image/out.new image/out
  tool_remove "$running"
  running=""
}

stage_target() {
  step "4 of 4: the target image, $target_image and $target_image-shell"
  scripts/image/target.sh image/out
}

# The two ways to start it: in the background, and to look at it. Names of hosts and folders are examples.
printed_command() {
  local image=$target_image tool=$IMAGE_TOOL
  [ "$tool" != buildah ] || tool=docker
  # A script needs a shell.
  [ -z "${CONFIG_GEN_SCRIPT:-}" ] || image=$target_image-shell
  [ -z "${IMAGE_REGISTRY:-}" ] || image=$IMAGE_REGISTRY/$image
  printf '%s run %s --name janus' "$tool" "$1"
  printf ' \\\n  %s' "-p 8089:8089 -p 7889:7889 -p 10000:10000/udp" "-e PUBLIC_IP=<public address> -e MEDIA_PORT=10000"
  local name
  for name in RUN_WITH_HOST_CONFIGURATION_DIR COPY_JANUS_SAMPLES; do
    if is_true "$name"; then printf ' \\\n  -e %s=true' "$name"; fi
  done
  [ -z "${CONFIG_GEN_SCRIPT:-}" ] || printf ' \\\n  -e CONFIG_GEN_SCRIPT=%s' "$CONFIG_GEN_SCRIPT"
  printf ' \\\n  -v %s' "/etc/letsencrypt/live/$HOST_NAME:/etc/certs" /etc/letsencrypt/archive:/archive \
    /var/janus/recordings:/janus/bin/janus-recordings
  if is_true RUN_WITH_HOST_CONFIGURATION_DIR; then printf ' \\\n  -v %s' /var/janus/janus_config:/janus/etc/janus_host; fi
  printf ' \\\n  -v %s \\\n  %s\n' /var/www/html/container:/html "$image"
}

print_commands() {
  step "done. To start it in the background, or to see it at work:"
  printf '\n%s\n\n%s\n' "$(printed_command -d)" "$(printed_command -it)"
  printf '\nThe media port goes with PUBLIC_IP and MEDIA_PORT; without the three no media port is published (docs/container.md).\n'
  [ "$IMAGE_TOOL" != buildah ] || printf 'From buildah to docker: buildah push %s docker-daemon:%s\n' "$target_image" "$target_image"
}

if [ "$IMAGE_TOOL" = external ]; then
  scripts/image/vendor.sh
  echo "container: ready for another tool. Build image: context . with Dockerfile.build. Then run it (its entry point makes"
  echo "container: /image/out), and build the target image with /image/out as context and its Dockerfile.exec."
  [ -z "${EXTRA_CA:-}" ] || echo "container: EXTRA_CA: put it into scripts/image/ca as a file *.crt before."
  exit 0
fi
source_of
stage_base
stage_build_image
if is_true SKIP_TARGET_IMAGE; then step "done: $build_image (SKIP_TARGET_IMAGE)"; exit 0; fi
stage_content
stage_target
print_commands
