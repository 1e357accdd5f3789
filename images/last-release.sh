#!/usr/bin/env bash
# Builds the image etcd-operator/agent:last from the agent of the last release: tests run it beside today's.
#   last-release.sh FOLDER
# The release is the commit named in the file last-release. Its program is built once a machine, into the cache of the tests,
# as the agent that crashes is: without optimisation.
set -euo pipefail

here=$(dirname "$0") folder=$1
commit=$(<"$here/last-release")
cache=${ETCD_TESTBED_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/etcd-operator}
# A folder with the right name is a finished build: it gets its name at the end.
built=$cache/last-release-${commit:0:16} work=$cache/last-release.building

build() {
  if ! git -C "$here" cat-file -e "$commit^{commit}" 2>/dev/null; then
    echo "last-release: this clone does not have commit $commit of the last release, as a shallow one may not: git fetch --unshallow" >&2
    return 1
  fi
  local target
  target=$(uname -m)-unknown-linux-musl
  echo "last-release: building the agent of $commit, once a machine"
  rm -rf "$work"
  mkdir -p "$work/source" "$work/built"
  git -C "$here/.." archive "$commit" | tar -x -C "$work/source"
  # In its folder, so that its own settings of cargo count; what it builds is no part of this clone's.
  (cd "$work/source" && CARGO_TARGET_DIR=$work/target "${CARGO:-cargo}" build --locked --target "$target" -p etcd-agent)
  mv "$work/target/$target/debug/etcd-agent" "$work/built/"
  mv "$work/built" "$built"
  rm -rf "$work"
}

mkdir -p "$cache"
exec 9>"$cache/last-release.lock"
flock 9
[[ -d $built ]] || build
"$here/build.sh" agent "$built/etcd-agent" "$folder" last
