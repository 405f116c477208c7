#!/usr/bin/env bash
# Makes the target images of a folder that build.sh filled: TARGET_IMAGE_NAME:TAG, and the same with a shell as TAG-shell.
# With IMAGE_REGISTRY they are pushed. Variables as in container.sh.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=scripts/image/tool.sh
. "$here/tool.sh"
[ $# -eq 1 ] || { sed -n '2,3s/^# \{0,1\}//p' "$0"; exit 2; }
context=$1
name=${TARGET_IMAGE_NAME:-janus}
tag=${TARGET_IMAGE_TAG:-latest}
for file in root.tar Dockerfile.exec; do
  [ -f "$context/$file" ] || { echo "target: no $file in $context, which is not what build.sh makes" >&2; exit 1; }
done

tool_build shell "$name:$tag-shell" "$context/Dockerfile.exec" "$context" --build-arg "BASE_IMAGE=${BASE_IMAGE:-debian:bookworm-slim}"
tool_build exec "$name:$tag" "$context/Dockerfile.exec" "$context" --build-arg "BASE_IMAGE=${BASE_IMAGE:-debian:bookworm-slim}"
tool_push "$name:$tag-shell" "$name:$tag"
