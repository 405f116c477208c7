#!/usr/bin/env bash
# In the build image: installs what building needs. A base that brings its own Rust keeps it; else it comes from Debian.
# (The machine's own set-up for `make run` and `make test` is scripts/setup.sh.)
#
# IMAGE_TOOL  docker, podman or buildah are installed, too, for build.sh to make the target image; external: none
set -euo pipefail

tool=${IMAGE_TOOL:-external}
packages=(ca-certificates curl gcc git libc6-dev openssl)
case "$tool" in
  external) ;;
  docker) packages+=(docker.io) ;;
  podman | buildah) packages+=("$tool") ;;
  *) echo "setup: IMAGE_TOOL is docker, podman, buildah or external, not '$tool'" >&2; exit 2 ;;
esac
# Debian keeps a Rust that is new enough for its browsers, in the suites of updates.
command -v cargo >/dev/null || packages+=(cargo-web rustc-web)

export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${packages[@]}" </dev/null >/dev/null
rm -rf /var/lib/apt/lists/*

# Authorities of the network that builds, for this image only: build.sh keeps them out of the target image.
for file in /image/ca/*.crt; do
  [ -f "$file" ] || continue
  install -D -m 644 -t /usr/local/share/ca-certificates/portunus "$file"
  update-ca-certificates >/dev/null
done
echo "setup: $(rustc --version), $(gcc -dumpfullversion)"
