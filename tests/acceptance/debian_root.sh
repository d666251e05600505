# A bare Debian 12 root, for the scripts beside this one (sourced, needs root and debootstrap).
#
#   DEBIAN_MIRROR     as debootstrap's last argument; empty: its default
#   CA_CERTIFICATES   folder of *.crt that this network needs; default /usr/local/share/ca-certificates
#   PIP_CONFIG_FILE   pip settings to carry over; default /etc/pip.conf. PIP_INDEX_URL and the like are carried over too

# unpack_debian FOLDER: FOLDER/root, anew; FOLDER/base.tar keeps what was downloaded.
unpack_debian() {
  local folder=$1 root=$1/root
  local certificates=${CA_CERTIFICATES:-/usr/local/share/ca-certificates} pip_settings=${PIP_CONFIG_FILE:-/etc/pip.conf}
  if [ ! -f "$folder/base.tar" ]; then
    mkdir -p "$folder"
    debootstrap --variant=minbase --include=git,make,python3,ca-certificates bookworm "$folder/base" ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"}
    tar -C "$folder/base" -cf "$folder/base.tar.new" .
    mv "$folder/base.tar.new" "$folder/base.tar"
    rm -rf --one-file-system "$folder/base"
  fi
  rm -rf --one-file-system "$root"
  mkdir -p "$root"
  tar -C "$root" -xf "$folder/base.tar"
  if [ -d "$certificates" ]; then cp -r "$certificates/." "$root/usr/local/share/ca-certificates/"; fi
  chroot "$root" update-ca-certificates >/dev/null
  if [ -f "$pip_settings" ]; then cp "$pip_settings" "$root/etc/pip.conf"; fi
}

# What of the caller's environment says how packages are reached, as NAME=VALUE lines.
package_settings() {
  env | grep -E '^(PIP_|https?_proxy|no_proxy|HTTPS?_PROXY|NO_PROXY)' | grep -v '^PIP_CONFIG_FILE=' || true
}
