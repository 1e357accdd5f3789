#!/usr/bin/env bash
# What a newcomer gets, for people before a release: the committed tree cloned anew, `make demo`, `make test`, with a home,
# caches and builds of its own that are empty. The toolchains stay, and what says how this machine reaches registries:
# proxies, certificates, the settings of cargo, go and git. Everything it made is removed at the end, KEEP=1 keeps it; WHAT=demo
# tries one target.
set -euo pipefail
cd "$(dirname "$0")/.."

if [[ -e ${ETCD_TESTBED_DIR:-/var/lib/etcd-testbed} ]]; then
  echo "fresh: a testbed runs here, or the remains of one: make down" >&2
  exit 1
fi
[[ -z $(git status --porcelain) ]] || echo "fresh: what is not committed is not tried"

room=$(mktemp -d "${TMPDIR:-/var/tmp}/etcd-fresh-XXXXXX")
# shellcheck disable=SC2317  # called by the trap
finish() {
  trap '' INT TERM
  # An interrupted boot may have left something; nothing was there before.
  if [[ -e ${ETCD_TESTBED_DIR:-/var/lib/etcd-testbed} ]]; then in_room make down || true; fi
  if [[ ${KEEP:-} ]]; then echo "fresh: kept in $room"; return; fi
  # Go makes the folders of its modules read-only.
  chmod -R u+w "$room"
  rm -rf "$room"
}
trap finish EXIT
trap 'exit 130' INT TERM

git clone --quiet --no-hardlinks . "$room/clone"
git -C "$room/clone" checkout --quiet "$(git rev-parse HEAD)"

# What goes over: where programs are, how people are spoken to, and how registries are reached.
kept=(
  PATH TERM LANG COLUMNS USER SHELL TZ ETCD_TESTBED_DIR
  '.*_[pP][rR][oO][xX][yY]' 'SSL_CERT_.*' '.*_CA_(BUNDLE|FILE|INFO)' 'GIT_SSL_.*'
  GOPROXY GOSUMDB GONOSUMDB GONOPROXY GOPRIVATE GOINSECURE GOAUTH GOVCS GOTOOLCHAIN GOFLAGS
  'CARGO_(HTTP|NET|REGISTRY|REGISTRIES|SOURCE)_.*' 'RUSTUP_.*' 'DEBIAN_.*'
)
mapfile -t names < <(compgen -e | grep -xE "$(IFS='|'; echo "${kept[*]}")")
environment=()
for name in "${names[@]}"; do environment+=("$name=${!name}"); done

home=$room/home
mkdir -p "$home/.cargo" "$home/.config/go"
cargo_home=${CARGO_HOME:-$HOME/.cargo}
for file in config config.toml; do
  [[ -e $cargo_home/$file ]] && cp "$cargo_home/$file" "$home/.cargo/"
done
go_settings=$(go env GOENV)
[[ -e $go_settings ]] && cp "$go_settings" "$home/.config/go/env"
[[ ! -e $HOME/.gitconfig ]] || cp "$HOME/.gitconfig" "$home/"
# Named, since the copied settings may name others.
environment+=(
  "HOME=$home" "CARGO_HOME=$home/.cargo" "RUSTUP_HOME=${RUSTUP_HOME:-$HOME/.rustup}" "GOENV=$home/.config/go/env"
  "GOPATH=$home/go" "GOMODCACHE=$home/go/pkg/mod" "GOCACHE=$home/.cache/go-build" "ETCD_TESTBED_CACHE=$home/.cache/etcd-operator"
)

in_room() { env --ignore-environment --chdir="$room/clone" "${environment[@]}" "$@"; }

for target in ${WHAT:-demo test}; do
  began=$SECONDS
  echo "== fresh: make $target =="
  in_room make "$target"
  echo "== fresh: make $target passed after $(((SECONDS - began) / 60)) min $(((SECONDS - began) % 60)) s =="
done
