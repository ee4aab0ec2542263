#!/bin/bash
# Stands in for the entrypoint of the public mariadb image, as far as the lab uses it: an empty data folder is filled, the files in
# /docker-entrypoint-initdb.d are run once against a server that nobody else can reach, then the real server starts.
set -euo pipefail
data=/var/lib/mysql
socket=/run/mysqld/mysqld.sock
mkdir -p /run/mysqld
chown mysql:mysql /run/mysqld "$data"

if [ ! -f "$data/.initialised" ]; then
  find "$data" -mindepth 1 -delete # what a killed attempt has left
  mariadb-install-db --user=mysql --datadir="$data" --skip-test-db --skip-name-resolve >&2
  mariadbd --user=mysql --datadir="$data" --socket="$socket" --skip-networking &
  server=$!
  for _ in $(seq 300); do mariadb-admin --socket="$socket" ping > /dev/null 2>&1 && break; sleep 0.1; done
  mariadb --socket="$socket" <<SQL
ALTER USER 'root'@'localhost' IDENTIFIED BY '$MARIADB_ROOT_PASSWORD';
SQL
  for file in /docker-entrypoint-initdb.d/*.sh; do
    [ -f "$file" ] && bash "$file"
  done
  kill "$server"
  wait "$server"
  touch "$data/.initialised"
fi
exec "$@" --user=mysql --datadir="$data" --socket="$socket"
