#!/usr/bin/env bash
# Build the image without a Docker daemon and run the whole demo in it as its own user, with the network cut.
#
# Usage (as root, with debootstrap and buildah installed):  tests/acceptance/container.sh FOLDER
#
# FOLDER gets the Debian root and the image store (about 15 GB). Further variables: debian_root.sh.
# REBUILD=1 only builds, a second time, after a change of code: it must take seconds.
set -euo pipefail

folder=$(realpath -m "${1:?usage: container.sh FOLDER}")
repository=$(cd "$(dirname "$0")/../.." && pwd)
. "$repository/tests/acceptance/debian_root.sh"

export BUILDAH_ISOLATION=chroot STORAGE_DRIVER=vfs
store=(--root "$folder/store" --runroot "$folder/runroot")

build_base() {
  if buildah "${store[@]}" inspect --type image localhost/bare-debian >/dev/null 2>&1; then return; fi
  unpack_debian "$folder"
  local container
  container=$(buildah "${store[@]}" from scratch)
  buildah "${store[@]}" add --quiet "$container" "$folder/root" /
  buildah "${store[@]}" commit --quiet "$container" localhost/bare-debian >/dev/null
  buildah "${store[@]}" rm "$container" >/dev/null
}

build_image() {
  local arguments=() line started=$SECONDS
  while read -r line; do arguments+=(--env "$line"); done < <(package_settings)
  buildah "${store[@]}" bud --layers --quiet --build-arg BASE_IMAGE=localhost/bare-debian "${arguments[@]}" \
    --file "$repository/docker/Dockerfile" --tag localhost/turbine-health "$repository"
  echo "### image built in $((SECONDS - started)) s"
}

# In a network namespace that has nothing but its own loopback.
demo_without_network() {
  local container started=$SECONDS
  container=$(buildah "${store[@]}" from localhost/turbine-health)
  unshare --net bash -ec "ip link set lo up
    ! python3 -c 'import socket; socket.create_connection((\"192.0.2.1\", 80), 2)' 2>/dev/null
    buildah ${store[*]} run --user 10001:10001 $container -- bash -ec 'id; docker/entrypoint demo; ls -l data/lake/gold'"
  buildah "${store[@]}" rm "$container" >/dev/null
  echo "### demo in the container, network cut: passed in $((SECONDS - started)) s"
}

build_base
build_image
[ -n "${REBUILD:-}" ] || demo_without_network
