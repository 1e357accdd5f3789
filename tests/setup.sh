#!/usr/bin/env bash
# Installs what builds and the testbed need. Silent and quick when everything is there, so every target can depend on it.
set -euo pipefail

packages=(
  containerd runc containernetworking-plugins # what runs pods
  iptables iproute2 conntrack util-linux      # networks, namespaces, loop devices
  e2fsprogs xfsprogs                          # volumes
  catatonit buildah                           # the pause image, and images in general
  protobuf-compiler libprotobuf-dev           # etcd-client is generated from etcd's own protocol files
  musl-tools                                  # static programs for images
)

missing=()
for package in "${packages[@]}"; do
  dpkg-query --show --showformat='${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^ii' || missing+=("$package")
done
if ((${#missing[@]})); then
  echo "setup: installing ${missing[*]}"
  sudo=(); ((EUID == 0)) || sudo=(sudo)
  "${sudo[@]}" apt-get update -qq
  DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi

target=$(uname -m)-unknown-linux-musl
if ! [[ -d "$(rustc --print sysroot)/lib/rustlib/$target" ]]; then
  echo "setup: adding the Rust target $target"
  rustup target add "$target"
fi

command -v go >/dev/null || { echo "setup: the testbed builds Kubernetes with Go 1.26 or newer: https://go.dev/dl/" >&2; exit 1; }
