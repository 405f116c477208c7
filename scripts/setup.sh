#!/usr/bin/env bash
# Makes a machine ready: `scripts/setup.sh run` for building and running, `scripts/setup.sh test` for all checks too,
# `scripts/setup.sh bench` for measuring, `scripts/setup.sh image` for the container image and its tests (what is in the build image itself: scripts/image/setup.sh).
# Installs missing Debian or Ubuntu packages itself when it may (root, or sudo without a password); otherwise it names
# the packages and the command. What is there already is left alone.
set -euo pipefail
cd "$(dirname "$0")/.."

purpose=${1:-run}
case "$purpose" in run | test | bench | image) ;; *) echo "usage: scripts/setup.sh [run|test|bench|image]" >&2; exit 2 ;; esac

missing=()    # packages that are needed
wanted=()     # packages whose tests are skipped, with a word, where they are not to be had

# Some of them are where only root looks.
PATH=$PATH:/usr/sbin:/sbin
has() { command -v "$1" >/dev/null 2>&1; }
need() { has "$1" || missing+=("$2"); }

if [ "$purpose" = image ]; then
  # A machine that has docker can build it; what tests need is not needed for that. docker.io alone lacks iptables.
  # A client alone builds nothing: a daemon must answer, or be there to be started.
  has dockerd || docker info >/dev/null 2>&1 || wanted+=(docker.io)
  has iptables || wanted+=(iptables)
  has ip || wanted+=(iproute2)
  has mmdebstrap || wanted+=(mmdebstrap)
  has buildah || wanted+=(buildah)
  has shellcheck || wanted+=(shellcheck)
  has node || wanted+=(nodejs npm)
  has openssl || wanted+=(openssl)
  has chromium || has google-chrome || has google-chrome-stable || wanted+=(chromium)
  python3 -c 'import yaml' 2>/dev/null || wanted+=(python3-yaml)
elif [ "$purpose" = bench ]; then
  need c++ build-essential
  has valgrind || wanted+=(valgrind)
  has ip || wanted+=(iproute2)
  has node || wanted+=(nodejs)
  has janus || wanted+=(janus)
else
  need c++ build-essential
  need git git
  need node nodejs
  need npm npm
  need curl curl
fi
if [ "$purpose" = test ]; then
  need pkg-config pkg-config
  need openssl openssl
  need timeout coreutils
  [ -f /usr/include/srtp2/srtp.h ] || missing+=(libsrtp2-dev)
  has chromium || has google-chrome || has google-chrome-stable || missing+=(chromium)
  has firefox-esr || has firefox || wanted+=(firefox-esr)
  has janus || wanted+=(janus)
  has ip || wanted+=(iproute2)
  has iptables || wanted+=(iptables)
  has conntrack || wanted+=(conntrack)
  has tcpdump || wanted+=(tcpdump)
  has python3 || wanted+=(python3)
  # Of the chart's tests: the module that makes environments, which Debian has in a package of its own.
  python3 -c 'import ensurepip' 2>/dev/null || wanted+=(python3-venv)
  has nginx || [ -x /usr/sbin/nginx ] || wanted+=(nginx-light)
  has turnserver || wanted+=(coturn)
  has janus-pp-rec || wanted+=(janus-tools)
  has ffprobe || wanted+=(ffmpeg)
  has valgrind || wanted+=(valgrind)
  [ -d /usr/share/janus/demos ] || wanted+=(janus-demos)
fi

# Not grep -q: it would leave at the first match, and apt-cache, still writing, would fail the pipe.
available() { apt-cache policy "$1" 2>/dev/null | grep 'Candidate: [^(]' >/dev/null; }

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi
}

may_install() {
  has apt-get && { [ "$(id -u)" -eq 0 ] || { has sudo && sudo -n true 2>/dev/null; }; }
}

if [ ${#missing[@]} -gt 0 ] || [ ${#wanted[@]} -gt 0 ]; then
  if may_install; then
    as_root apt-get update -qq
    present=()
    for package in "${wanted[@]}"; do
      if available "$package"; then present+=("$package"); else echo "setup: no package $package here; its tests will say so and be skipped" >&2; fi
    done
    for package in "${missing[@]}"; do
      # Ubuntu's chromium is a bridge to a snap; Google's package does as well.
      available "$package" || { echo "setup: no package $package here; for a browser: https://www.google.com/chrome/" >&2; exit 1; }
    done
    echo "setup: installing ${missing[*]} ${present[*]}"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" "${present[@]}" >/dev/null
    # These are wanted as programs; as services they would hold their ports.
    for service in janus nginx-light coturn; do
      if [[ " ${present[*]} " == *" $service "* ]] && has systemctl; then
        as_root systemctl disable --now "${service%-light}" >/dev/null 2>&1 || true
      fi
    done
  elif [ ${#missing[@]} -gt 0 ]; then
    echo "setup: missing: ${missing[*]}" >&2
    echo "setup: install with: sudo apt-get install ${missing[*]} ${wanted[*]}" >&2
    exit 1
  else
    echo "setup: for all tests: sudo apt-get install ${wanted[*]}" >&2
  fi
fi

# npm ci once per lock file.
packages() {
  local folder=$1 stamp="$1/node_modules/.installed"
  if [ ! -f "$stamp" ] || [ "$folder/package-lock.json" -nt "$stamp" ]; then
    npm ci --prefix "$folder" --ignore-scripts --no-audit --no-fund --loglevel=error </dev/null
    touch "$stamp"
  fi
}

if [ "$purpose" = image ]; then
  # Rust is in the build image; the rest is for its tests.
  if has npm; then packages html_samples; packages tests/browser; fi
  exit 0
fi

if ! has cargo; then
  # rustup's own place is not always in PATH.
  if [ -x "$HOME/.cargo/bin/cargo" ]; then
    echo "setup: cargo is in ~/.cargo/bin, which is not in PATH; run: . ~/.cargo/env" >&2
  else
    echo "setup: no Rust here; install it with: curl https://sh.rustup.rs -sSf | sh" >&2
  fi
  exit 1
fi

[ "$purpose" != bench ] || exit 0

major=$(node -p 'process.versions.node.split(".")[0]')
if [ "$purpose" = test ] && [ "$major" -lt 20 ]; then
  echo "setup: Node $(node -v) is too old for the tests, 20 is needed (https://nodejs.org/en/download)" >&2
  exit 1
fi

packages html_samples

if [ "$purpose" = test ]; then
  packages tests/browser
  packages tests/janode
  tests/chart/setup.sh
  # Without optimisation they are built in a third of the time and are quick enough.
  tool() {
    if ! has "$1" && [ ! -x "target/tools/bin/$1" ]; then
      echo "setup: building $1, once"
      cargo install --quiet --locked --debug --root target/tools "$1@$2" </dev/null
    fi
  }
  tool cargo-deny 0.20.2
  tool cargo-fuzz 0.13.2
fi
