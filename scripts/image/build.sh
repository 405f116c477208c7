#!/usr/bin/env bash
# In the build image: makes the content of the target image, and that image itself unless IMAGE_TOOL is external.
#
#   ./build.sh           the content: /image/root is its tree, /image/out a folder to build Dockerfile.exec in
#   ./build.sh --info    prints what this image is made of
#
# JANUS_REPO, JANUS_VERSION   source to build instead of the copy in here: a git repository, its branch, tag or commit
# IMAGE_TOOL                  docker, podman, buildah: make (and with IMAGE_REGISTRY push) the target image, too; external: do not
# TARGET_IMAGE_NAME, TARGET_IMAGE_TAG, IMAGE_REGISTRY, IMAGE_REGISTRY_USER, IMAGE_REGISTRY_PASSWORD    as in container.sh
# CI_COMMIT_TAG, CI_COMMIT_SHA, SOURCE_DATE_EPOCH    what /build.info and the labels say
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
source=$here/src
output=$here/out
root=$here/root
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$here/target}
say() { echo "build: $*" >&2; }
fail() { say "$*"; exit 1; }

version() { sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' "$source/Cargo.toml"; }

# The repository as it may be shown: its address may have a token.
repository=$(sed -E 's|//[^/@]*@|//|; s|[?#].*||' <<<"${JANUS_REPO:-}")

info() {
  echo "version:     $(version)"
  echo "commit:      ${CI_COMMIT_SHA:-unknown}"
  echo "tag:         ${CI_COMMIT_TAG:-none}"
  echo "source:      ${repository:-in the build image}${JANUS_VERSION:+, $JANUS_VERSION}"
  echo "time:        $created"
  echo "compiler:    $(rustc --version)"
  echo "base:        $(. /etc/os-release && echo "$PRETTY_NAME")"
}

# Without a date of the source there is one of now: then two builds differ in it.
epoch=${SOURCE_DATE_EPOCH:-$(date +%s)}
created=$(date --utc --date="@$epoch" +%Y-%m-%dT%H:%M:%SZ)

# A network with an authority of its own: its certificate is in this image's bundle (setup.sh).
bundle=/etc/ssl/certs/ca-certificates.crt
export CARGO_HTTP_CAINFO=${CARGO_HTTP_CAINFO:-$bundle} GIT_SSL_CAINFO=${GIT_SSL_CAINFO:-$bundle}

take_source() {
  [ -n "${JANUS_REPO:-}" ] || { [ -z "${JANUS_VERSION:-}" ] || fail "JANUS_VERSION=$JANUS_VERSION chooses nothing without JANUS_REPO"; return 0; }
  say "source: $repository ${JANUS_VERSION:-}"
  source=$here/source
  rm -rf "$source"
  git clone --quiet "$JANUS_REPO" "$source"
  [ -z "${JANUS_VERSION:-}" ] || git -C "$source" checkout --quiet --detach "$JANUS_VERSION" -- 2>/dev/null \
    || git -C "$source" checkout --quiet "$JANUS_VERSION" || fail "$repository has no $JANUS_VERSION"
  grep -q '^name = "portunus"' "$source/crates/gateway/Cargo.toml" 2>/dev/null || fail "$repository is no source of Portunus"
  CI_COMMIT_SHA=$(git -C "$source" rev-parse HEAD)
}

# Crates come from image/vendor, where container.sh put them, so that no network is needed; else cargo fetches them.
cargo_() {
  local vendor=$source/image/vendor
  if [ -d "$vendor" ]; then
    cargo --offline --config 'source.crates-io.replace-with="vendored"' --config "source.vendored.directory=\"$vendor\"" "$@"
  else
    cargo "$@"
  fi
}

compile() {
  triple=$(rustc -vV | sed -n 's/^host: //p')
  # A static program runs where there is nothing else. With --target, programs that only build are not made so.
  export RUSTFLAGS="-C target-feature=+crt-static --remap-path-prefix=$source=. --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=cargo"
  # What the gateway says of itself at its start and in answers to `info`.
  export PORTUNUS_COMMIT=${CI_COMMIT_SHA:-unknown} PORTUNUS_BUILD_TIME=$created
  [ "${CI_COMMIT_TAG:-none}" = none ] || PORTUNUS_COMMIT="$PORTUNUS_COMMIT, tag $CI_COMMIT_TAG"
  say "compiling for $triple"
  (cd "$source" && cargo_ build --locked --profile image --target "$triple" \
    --package portunus --package portunus-postproc --package xtask --bin portunus --bin portunus-pp-rec --bin xtask)
  made=$CARGO_TARGET_DIR/$triple/image
}

programs() {
  local program
  install -d "$root/janus/bin"
  for program in portunus portunus-pp-rec; do
    # Not by the profile: cargo forgets `strip` for packages that it has exceptions for.
    strip --strip-all -o "$root/janus/bin/$program" "$made/$program"
    chmod 755 "$root/janus/bin/$program"
    # A static program has no interpreter: in an empty image there would be none.
    if LC_ALL=C grep -q -a -m 1 '/ld-linux' "$root/janus/bin/$program"; then fail "$program is not static"; fi
  done
  # By these names it is the other tools.
  ln -s portunus-pp-rec "$root/janus/bin/mjr2pcap"
  ln -s portunus-pp-rec "$root/janus/bin/pcap2mjr"
  ln -s portunus "$root/janus/bin/janus"
  "$root/janus/bin/portunus" --version >/dev/null
}

configuration() {
  if [ -n "$(ls -A "$here/janus_config" 2>/dev/null)" ]; then
    say "configuration: that of the host"
    cp -R "$here"/janus_config/. "$root/janus/etc/janus/"
  else
    "$source/scripts/image/config.sh" "$source/config" "$root/janus/etc/janus"
  fi
}

# janus.js and its adapter: those that container.sh had fetched, else npm fetches what the lock file says.
packages() {
  local samples=$source/html_samples
  if [ -d "$samples/node_modules/janus-gateway" ] && [ -d "$samples/node_modules/webrtc-adapter" ]; then
    npm_packages=$samples/node_modules
    return
  fi
  say "fetching janus.js"
  command -v npm >/dev/null || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends npm >/dev/null; }
  npm_packages=$(mktemp -d)
  cp "$samples/package.json" "$samples/package-lock.json" "$npm_packages/"
  NODE_EXTRA_CA_CERTS=$bundle npm ci --prefix "$npm_packages" --ignore-scripts --no-audit --no-fund --loglevel=error </dev/null
  npm_packages=$npm_packages/node_modules
}

samples() {
  packages
  install -d "$root/janus/html"
  find "$source/html_samples" -maxdepth 1 -type f ! -name 'package*.json' ! -name '.*' -exec install -m 644 -t "$root/janus/html" {} +
  install -m 644 "$npm_packages/janus-gateway/npm/src/janus.js" "$npm_packages/webrtc-adapter/out/adapter.js" "$root/janus/html/"
}

# Authorities for outgoing TLS: those of the distribution, without those that were added for the network that builds.
authorities() {
  install -d "$root/etc/ssl/certs"
  find /usr/share/ca-certificates/mozilla -name '*.crt' | sort | xargs cat >"$root/etc/ssl/certs/ca-certificates.crt"
  [ -s "$root/etc/ssl/certs/ca-certificates.crt" ] || fail "no authorities in /usr/share/ca-certificates"
}

# What the image is made of, for those who must know: names, versions and licences of all parts, and the texts.
bill() {
  local glibc certificates
  glibc=$(dpkg-query -W -f '${Version}' libc6-dev)
  certificates=$(dpkg-query -W -f '${Version}' ca-certificates)
  (cd "$source" && cargo_ metadata --locked --format-version=1 --filter-platform "$triple") >"$output/metadata.json"
  "$made/xtask" bill "$output/metadata.json" "$root" \
    --created "$created" --package portunus --package portunus-postproc \
    --npm "$source/html_samples/package-lock.json" --npm-folder "$npm_packages" \
    --debian "glibc=$glibc=LGPL-2.1-or-later=/usr/share/doc/libc6-dev/copyright" \
    --debian "ca-certificates=$certificates=MPL-2.0=/usr/share/doc/ca-certificates/copyright" \
    --text "$source/LICENSE-MIT" --text "$source/LICENSE-APACHE"
  rm "$output/metadata.json"
}

tree() {
  rm -rf "$root" "$output"
  mkdir -p "$output"
  install -d -m 755 "$root"/{archive,etc/certs,janus/etc/janus_host}
  install -d -m 1777 "$root/tmp"
  # What the gateway writes: its user may, and any user of group 0, as platforms have that choose the number themselves.
  install -d -m 775 "$root"/{html,janus/etc/janus,janus/etc/janus_fallback,janus/bin/janus-recordings}
  programs
  configuration
  samples
  authorities
  # Without it the resolver would look for files that are not there.
  echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
  bill
  info | tee "$root/build.info"
}

# An archive with owners and a fixed order and time: equal content gives an equal image.
pack() {
  local own=(janus/etc/janus html janus/etc/janus_fallback janus/bin/janus-recordings) exclude=() path
  chmod -R g=u "$root/janus/etc/janus"
  # For the Dockerfile that does all in one, and copies the folder.
  [ "$(id -u)" -ne 0 ] || chown -R 10001:0 "${own[@]/#/$root/}"
  for path in "${own[@]}"; do exclude+=(--exclude="./$path"); done
  local options=(--format=gnu --numeric-owner --sort=name "--mtime=@$epoch" --directory="$root")
  tar --create --file="$output/root.tar" "${options[@]}" --owner=0 --group=0 "${exclude[@]}" .
  tar --append --file="$output/root.tar" "${options[@]}" --owner=10001 --group=0 "${own[@]/#/./}"
  cp "$root/sbom.json" "$root/LICENSES.txt" "$root/build.info" "$output/"
  # Who builds with other tools than ours need not name them.
  sed -e "s|^ARG VERSION=.*|ARG VERSION=$(version)|" -e "s|^ARG CI_COMMIT_TAG=.*|ARG CI_COMMIT_TAG=${CI_COMMIT_TAG:-none}|" \
    -e "s|^ARG CI_COMMIT_SHA=.*|ARG CI_COMMIT_SHA=${CI_COMMIT_SHA:-unknown}|" -e "s|^ARG CREATED=.*|ARG CREATED=$created|" \
    "$source/Dockerfile.exec" >"$output/Dockerfile.exec"
  say "content: $(du -sh "$root" | cut -f 1), without samples $(du -sh --exclude=html "$root" | cut -f 1)"
}

# Sourced: only the parts, for tests.
[ "${BASH_SOURCE[0]}" = "$0" ] || return 0
if [ "${1:-}" = --info ]; then info; exit; fi
[ $# -eq 0 ] || fail "usage: build.sh [--info]"
case "${IMAGE_TOOL:-external}" in docker | podman | buildah | external) ;; *) fail "IMAGE_TOOL is docker, podman, buildah or external, not '$IMAGE_TOOL'" ;; esac
take_source
compile
tree
pack
[ "${IMAGE_TOOL:-external}" = external ] || "$source/scripts/image/target.sh" "$output"
