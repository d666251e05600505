#!/usr/bin/env bash
# Build the image without a Docker daemon, run the whole demo in it as its own user with the network cut, and start the
# services of the compose file one by one with their own commands: the database, MLflow's server, and jobs that use it.
#
# Usage (as root, with debootstrap, buildah, Go and PostgreSQL installed):  tests/acceptance/container.sh FOLDER
#
# FOLDER gets the Debian root and the image store (about 15 GB). Further variables: debian_root.sh.
# GOALS    what to do, default "image demo compose"; "image" alone, after a change of code, must take seconds
set -euo pipefail

folder=$(realpath -m "${1:?usage: container.sh FOLDER}")
repository=$(cd "$(dirname "$0")/../.." && pwd)
. "$repository/tests/acceptance/debian_root.sh"

export BUILDAH_ISOLATION=chroot STORAGE_DRIVER=vfs
store=(--root "$folder/store" --runroot "$folder/runroot")
compose=$repository/docker/compose.yaml
# The parser that Docker Compose itself uses.
compose_parser=github.com/compose-spec/compose-go/v2/cmd@v2.16.2

image() {
  build_base
  build_image
}

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

# in_image NAME=VALUE|HOST:INSIDE… -- COMMAND…: as the image's own user, with variables and volumes.
in_image() {
  local container code=0
  container=$(new_container)
  in_container "$container" "$@" || code=$?
  buildah "${store[@]}" rm "$container" >/dev/null
  return $code
}

# Without the image's own volume, which buildah may lay over the one that a run is given.
new_container() {
  local container
  container=$(buildah "${store[@]}" from localhost/turbine-health)
  buildah "${store[@]}" config --volume /data- "$container" >/dev/null
  echo "$container"
}

# in_container CONTAINER …: the same in one that is there already; making one copies the whole image.
# A volume on /etc/hosts needs --no-hosts, or buildah's own file lies over it every other time.
in_container() {
  local container=$1 options=()
  shift
  while [ "$1" != -- ]; do
    case "$1" in
      *=*) options+=(--env "$1") ;;
      *:/etc/hosts:*) options+=(--no-hosts --volume "$1") ;;
      *) options+=(--volume "$1") ;;
    esac
    shift
  done
  shift
  buildah "${store[@]}" run --user 10001:10001 "${options[@]}" "$container" -- "$@"
}

# A volume that the image's user may write.
volume() {
  install -d -o 10001 -g 10001 "$folder/volumes/$1"
  echo "$folder/volumes/$1"
}

# In a network namespace that has nothing but its own loopback.
demo() {
  local started=$SECONDS
  rm -rf "$folder/volumes/data"
  export -f in_image new_container in_container
  export folder data
  data=$(volume data)
  unshare --net bash -euo pipefail -c "$(declare -p store)"'
    ip link set lo up
    if python3 -c "import socket; socket.create_connection((\"192.0.2.1\", 80), 2)" 2>/dev/null; then exit 1; fi
    in_image "$data:/data" -- bash -ec "id; docker/entrypoint demo"'
  ls -l "$data/lake/gold"
  echo "### demo in the container, network cut: passed in $((SECONDS - started)) s"
}

compose() {
  local started=$SECONDS
  go run "$compose_parser" "$compose" >"$folder/compose.yaml"
  echo "### compose file: read by $compose_parser"
  [ -n "$(volume data)" ] && mkdir -p "$folder/secrets"
  local user
  for user in database reader; do openssl rand -hex 24 >"$folder/secrets/${user}_password"; done
  printf '127.0.0.1 localhost database mlflow\n' >"$folder/hosts"
  chmod -R a+rX "$folder/secrets"
  trap stop_services EXIT
  start_database
  echo "### database: accepts connections, after $((SECONDS - started)) s"
  start_mlflow
  echo "### mlflow: healthy, after $((SECONDS - started)) s"
  job train --config conf/simulated.yaml
  job predict --config conf/simulated.yaml
  refuse_the_reader
  echo "### compose: services and jobs passed in $((SECONDS - started)) s"
}

# What PostgreSQL's image does at its first start, with the environment of the service, by this machine's PostgreSQL.
start_database() {
  local programs data=$folder/database
  programs=$(dirname "$(find /usr/lib/postgresql -name initdb | sort -V | tail -1)")
  rm -rf "$data" && install -d -o nobody -m 700 "$data"
  postgres=(setpriv --reuid nobody --regid nogroup --clear-groups env -C "$data" "PATH=$programs:$PATH")
  "${postgres[@]}" initdb -D "$data/data" --username mlflow --pwfile "$folder/secrets/database_password" \
    --auth scram-sha-256 >"$folder/database.log"
  "${postgres[@]}" pg_ctl -D "$data/data" --wait --log "$data/log" \
    --options "-c listen_addresses=127.0.0.1 -c unix_socket_directories=$data -p 5432" start >>"$folder/database.log"
  export PGHOST=127.0.0.1 PGPORT=5432
  PGPASSWORD=$(<"$folder/secrets/database_password")
  export PGPASSWORD
  createdb --username mlflow mlflow
  POSTGRES_USER=mlflow POSTGRES_DB=mlflow READER_PASSWORD_FILE=$folder/secrets/reader_password \
    "$repository/docker/database/reader.sh"
  pg_isready --quiet --username mlflow --dbname mlflow
}

# compose_value SERVICE KEY…: of the file as the parser understood it, a list word by word.
compose_value() {
  "$repository/.venv/bin/python" - "$folder/compose.yaml" "$@" <<'PYTHON'
import sys

import yaml

found = yaml.safe_load(open(sys.argv[1]))["services"]
for key in sys.argv[2:]:
    found = found[key]
if isinstance(found, dict):
    found = [f"{name}={value}" for name, value in found.items()]
print(*(found if isinstance(found, list) else [found]), sep="\n")
PYTHON
}

start_mlflow() {
  local environment command check attempt
  mapfile -t environment < <(compose_value mlflow environment)
  mapfile -t command < <(compose_value mlflow command)
  mapfile -t check < <(compose_value mlflow healthcheck test | tail -n +2)
  server=$(new_container)
  # A process group of its own, so that the server ends with all that it started, and nothing else does.
  set -m
  in_container "$server" "${environment[@]}" "$folder/hosts:/etc/hosts:ro" "$(volume artifacts):/data" \
    "$folder/secrets/database_password:/run/secrets/database_password:ro" \
    -- docker/entrypoint "${command[@]}" >"$folder/mlflow.log" 2>&1 &
  mlflow=$!
  set +m
  for attempt in $(seq 24); do
    sleep 5
    if in_container "$server" "$folder/hosts:/etc/hosts:ro" -- "${check[@]}" 2>/dev/null; then return; fi
  done
  tail -20 "$folder/mlflow.log" >&2
  return 1
}

# `docker compose run --rm job …`
job() {
  local environment
  mapfile -t environment < <(compose_value job environment)
  in_image "${environment[@]}" "$folder/hosts:/etc/hosts:ro" "$(volume data):/data" -- docker/entrypoint "$@"
}

refuse_the_reader() {
  local told
  PGPASSWORD=$(<"$folder/secrets/reader_password")
  echo "### reader sees $(psql -XtA --username reader --dbname mlflow --command 'SELECT count(*) FROM runs') runs"
  if told=$(psql -XtA --username reader --dbname mlflow --command 'DELETE FROM runs' 2>&1); then return 1; fi
  echo "### reader: $told"
}

stop_services() {
  if [ -n "${mlflow:-}" ]; then kill -- "-$mlflow" || true; fi
  if [ -n "${server:-}" ]; then buildah "${store[@]}" rm "$server" >/dev/null || true; fi
  "${postgres[@]}" pg_ctl -D "$folder/database/data" --mode fast stop >/dev/null || true
}

for goal in ${GOALS:-image demo compose}; do "$goal"; done
