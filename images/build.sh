#!/bin/bash
# Builds the image etcd-operator/NAME:TAG from NAME.Dockerfile and one static program, as an archive that containerd imports.
#   build.sh NAME PROGRAM FOLDER [TAG]
set -euo pipefail

name=$1 program=$2 folder=$3 tag=${4:-dev}
image=etcd-operator/$name:$tag archive=$folder/$name.tar
[[ $tag == dev ]] || archive=$folder/$name-$tag.tar
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# A context with nothing but the program: whatever else lies around cannot end up in the image.
mkdir "$work/context"
cp "$program" "$work/context/"
buildah() { command buildah --storage-driver vfs --root "$work/root" --runroot "$work/run" "$@"; }

buildah bud --quiet --isolation chroot --timestamp 0 -t "$image" -f "$(dirname "$0")/$name.Dockerfile" "$work/context" >/dev/null
mkdir -p "$folder"
rm -f "$archive"
buildah push --quiet "$image" "docker-archive:$archive:$image"
echo "$image  $archive  $(du -h "$archive" | cut -f1)"
