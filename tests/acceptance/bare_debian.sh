#!/usr/bin/env bash
# The newcomer's two commands on a bare Debian 12: clone, `make demo`, `make test`, and nothing else typed.
#
# Usage (as root, with debootstrap installed):  tests/acceptance/bare_debian.sh FOLDER
#
#   FOLDER   gets the Debian root (about 6 GB with all packages); it is kept, and made anew by the next call
#   GOALS    make's goals, default "demo demo test": the second demo must do no set-up again
#
# Further variables: debian_root.sh. The real data of ../shared, where present, is shown beside the clone, as CI has it.
set -euo pipefail

folder=$(realpath -m "${1:?usage: bare_debian.sh FOLDER}")
repository=$(cd "$(dirname "$0")/../.." && pwd)
root=$folder/root
. "$repository/tests/acceptance/debian_root.sh"

unmount_all() {
  local place
  for place in home/shared mnt/origin dev proc; do
    if mountpoint -q "$root/$place"; then umount --lazy "$root/$place"; fi
  done
}

mount_all() {
  mkdir -p "$root/mnt/origin" "$root/home/shared"
  cp /etc/resolv.conf "$root/etc/resolv.conf"
  mount -t proc proc "$root/proc"
  mount --bind /dev "$root/dev"
  mount --bind -o ro "$repository" "$root/mnt/origin"
  if [ -d "$repository/../shared" ]; then mount --bind -o ro "$repository/../shared" "$root/home/shared"; fi
}

in_root() {
  local carried
  mapfile -t carried < <(package_settings)
  chroot "$root" /usr/bin/env -i HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    LANG=C.UTF-8 "${carried[@]}" bash -ec "$1"
}

trap unmount_all EXIT
unmount_all
unpack_debian "$folder"
mount_all
in_root 'git clone --quiet /mnt/origin /home/turbine-health'
for goal in ${GOALS:-demo demo test}; do
  echo "### make $goal"
  started=$SECONDS
  in_root "cd /home/turbine-health && make $goal"
  echo "### make $goal: passed in $((SECONDS - started)) s"
done
