#!/bin/bash
# Builds the image etcd-operator/NAME:dev from NAME.Dockerfile and one static program, as an archive that containerd imports.
#   build.sh NAME PROGRAM FOLDER
set -euo pipefail

name=$1 program=$2 folder=$3
image=etcd-operator/$name:dev
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# A context with nothing but the program: whatever else lies around cannot end up in the image.
mkdir "$work/context"
cp "$program" "$work/context/"
buildah() { command buildah --storage-driver vfs --root "$work/root" --runroot "$work/run" "$@"; }

buildah bud --quiet --isolation chroot --timestamp 0 -t "$image" -f "$(dirname "$0")/$name.Dockerfile" "$work/context" >/dev/null
mkdir -p "$folder"
rm -f "$folder/$name.tar"
buildah push --quiet "$image" "docker-archive:$folder/$name.tar:$image"
echo "$image  $folder/$name.tar  $(du -h "$folder/$name.tar" | cut -f1)"
