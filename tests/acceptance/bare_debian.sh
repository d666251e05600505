#!/usr/bin/env bash
# The newcomer's two commands on a bare Debian 12: clone, `make demo`, `make test`, and nothing else typed.
#
# Usage (as root, with debootstrap installed):  tests/acceptance/bare_debian.sh FOLDER
#
#   FOLDER            gets the Debian root (about 6 GB with all packages); it is kept, and made anew by the next call
#   DEBIAN_MIRROR     as debootstrap's last argument; empty: its default
#   CA_CERTIFICATES   folder of *.crt that this network needs; default /usr/local/share/ca-certificates
#   PIP_CONFIG_FILE   pip settings to carry over; default /etc/pip.conf. PIP_INDEX_URL and the like are carried over too
#   GOALS             make's goals, default "demo demo test": the second demo must do no set-up again
#
# The real data of ../shared, where present, is shown beside the clone, as CI has it.
set -euo pipefail

folder=$(realpath -m "${1:?usage: bare_debian.sh FOLDER}")
repository=$(cd "$(dirname "$0")/../.." && pwd)
base=$folder/base.tar
root=$folder/root
certificates=${CA_CERTIFICATES:-/usr/local/share/ca-certificates}

unmount_all() {
  local place
  for place in work/shared mnt/origin dev proc; do
    if mountpoint -q "$root/$place"; then umount --lazy "$root/$place"; fi
  done
}

# The packages a newcomer has: git, make, python3; and the certificates that this network needs.
make_base() {
  [ ! -f "$base" ] || return 0
  mkdir -p "$folder"
  debootstrap --variant=minbase --include=git,make,python3,ca-certificates bookworm "$folder/base" ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"}
  tar -C "$folder/base" -cf "$base.new" .
  mv "$base.new" "$base"
  rm -rf --one-file-system "$folder/base"
}

make_root() {
  unmount_all
  rm -rf --one-file-system "$root"
  mkdir -p "$root"
  tar -C "$root" -xf "$base"
  mkdir -p "$root/mnt/origin" "$root/work/shared"
  cp /etc/resolv.conf "$root/etc/resolv.conf"
  if [ -d "$certificates" ]; then cp -r "$certificates/." "$root/usr/local/share/ca-certificates/"; fi
  chroot "$root" update-ca-certificates >/dev/null
  local pip_settings=${PIP_CONFIG_FILE:-/etc/pip.conf}
  if [ -f "$pip_settings" ]; then cp "$pip_settings" "$root/etc/pip.conf"; fi
  mount -t proc proc "$root/proc"
  mount --bind /dev "$root/dev"
  mount --bind -o ro "$repository" "$root/mnt/origin"
  if [ -d "$repository/../shared" ]; then mount --bind -o ro "$repository/../shared" "$root/work/shared"; fi
}

in_root() {
  local carried
  mapfile -t carried < <(env | grep -E '^(PIP_|https?_proxy|no_proxy|HTTPS?_PROXY|NO_PROXY|CI=)' | grep -v '^PIP_CONFIG_FILE=' || true)
  chroot "$root" /usr/bin/env -i HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    LANG=C.UTF-8 "${carried[@]}" bash -ec "$1"
}

trap unmount_all EXIT
make_base
make_root
in_root 'git clone --quiet /mnt/origin /work/turbine-health'
for goal in ${GOALS:-demo demo test}; do
  echo "### make $goal"
  started=$SECONDS
  in_root "cd /work/turbine-health && make $goal"
  echo "### make $goal: passed in $((SECONDS - started)) s"
done
