# shellcheck shell=bash
# Sourced: the same few steps with docker, podman or buildah, as IMAGE_TOOL says.
# BUILD_NETWORK is handed to builds where it is set, as on a daemon without a bridge.

image_tool=${IMAGE_TOOL:-docker}

tool_check() {
  command -v "$image_tool" >/dev/null || { echo "no $image_tool here (Debian: apt-get install ${image_tool/%docker/docker.io})" >&2; return 1; }
  if [ "$image_tool" = docker ] && ! docker info >/dev/null 2>&1; then
    echo "no docker daemon answers; start it, or (as root) run this through scripts/image/with-docker.sh" >&2
    return 1
  fi
}

# tool_build STAGE IMAGE DOCKERFILE CONTEXT [OPTION...]
tool_build() {
  local stage=$1 image=$2 dockerfile=$3 context=$4 network=()
  shift 4
  [ -z "${BUILD_NETWORK:-}" ] || network=(--network "$BUILD_NETWORK")
  case "$image_tool" in
    docker) docker build "${network[@]}" --target "$stage" --tag "$image" --file "$dockerfile" "$@" "$context" ;;
    # Only docker's own format knows health checks.
    podman) podman build --format docker "${network[@]}" --target "$stage" --tag "$image" --file "$dockerfile" "$@" "$context" ;;
    buildah) buildah bud --format docker "${network[@]}" --target "$stage" --tag "$image" --file "$dockerfile" "$@" "$context" ;;
  esac
}

# tool_push IMAGE...: to IMAGE_REGISTRY, nowhere if that is unset. The password goes by standard input, never by argument.
tool_push() {
  local image
  [ -n "${IMAGE_REGISTRY:-}" ] || return 0
  if [ -n "${IMAGE_REGISTRY_USER:-}" ]; then
    printf '%s' "${IMAGE_REGISTRY_PASSWORD:-}" | "$image_tool" login --username "$IMAGE_REGISTRY_USER" --password-stdin "${IMAGE_REGISTRY%%/*}"
  fi
  for image in "$@"; do
    "$image_tool" tag "$image" "$IMAGE_REGISTRY/$image"
    "$image_tool" push "$IMAGE_REGISTRY/$image"
  done
}

tool_there() {
  case "$image_tool" in
    buildah) buildah inspect --type image "$1" >/dev/null 2>&1 ;;
    *) "$image_tool" image inspect "$1" >/dev/null 2>&1 ;;
  esac
}

# tool_import ARCHIVE IMAGE: an image of a root file system.
tool_import() {
  local container
  if [ "$image_tool" = buildah ]; then
    container=$(buildah from scratch)
    buildah add --quiet "$container" "$1" / >/dev/null
    buildah commit --quiet --rm "$container" "$2" >/dev/null
  else
    "$image_tool" import "$1" "$2" >/dev/null
  fi
}

# From IMAGE_REGISTRY, to go by its plain name.
tool_fetch() {
  "$image_tool" pull "$IMAGE_REGISTRY/$1" && "$image_tool" tag "$IMAGE_REGISTRY/$1" "$1"
}

# tool_run NAME IMAGE [--env K=V | --volume FROM:TO[:ro]]...: runs it to its end, with its output; what it leaves stays
# until tool_remove. CONTENT_NETWORK is its network, by default the tool's own, as with builds.
tool_run() {
  local name=$1 image=$2 cache=${2%%:*} options=() code=0
  shift 2
  if [ "$image_tool" = buildah ]; then tool_run_buildah "$name" "$image" "$@"; return; fi
  options=(--volume "${cache//\//_}_cargo:/image/target")
  [ -z "${CONTENT_NETWORK:-${BUILD_NETWORK:-}}" ] || options+=(--network "${CONTENT_NETWORK:-$BUILD_NETWORK}")
  "$image_tool" create --name "$name" "${options[@]}" "$@" "$image" >/dev/null
  "$image_tool" start "$name" >/dev/null
  # In the background, so that signals are heard at once.
  "$image_tool" logs --follow "$name" &
  wait $! || true
  code=$("$image_tool" wait "$name")
  [ "$code" -eq 0 ]
}

tool_run_buildah() {
  local name=$1 image=$2 volumes=() settings=()
  shift 2
  while [ $# -gt 0 ]; do
    case "$1" in --env) settings+=(--env "$2") ;; --volume) volumes+=(--volume "$2") ;; esac
    shift 2
  done
  mkdir -p target/image/cargo
  buildah from --pull-never --name "$name" "$image" >/dev/null
  [ ${#settings[@]} -eq 0 ] || buildah config "${settings[@]}" "$name"
  buildah run --volume "$PWD/target/image/cargo:/image/target" "${volumes[@]}" "$name" -- /image/build.sh &
  wait $!
}

# tool_copy NAME FROM TO: a folder out of what ran.
tool_copy() {
  case "$image_tool" in
    buildah) mkdir -p "$3" && buildah run "$1" -- tar --create --directory="$2" . | tar --extract --directory="$3" ;;
    *) "$image_tool" cp "$1:$2" "$3" >/dev/null ;;
  esac
}

tool_remove() {
  case "$image_tool" in
    buildah) buildah rm "$1" >/dev/null 2>&1 || true ;;
    *) "$image_tool" rm --force --volumes "$1" >/dev/null 2>&1 || true ;;
  esac
}
