#!/bin/bash
# One database and one user for each environment of the app; run once, by the image's entrypoint.
set -euo pipefail
as_root() { MYSQL_PWD="$MARIADB_ROOT_PASSWORD" mariadb --user=root "$@"; }
make_database() { # name, password
  as_root <<SQL
CREATE DATABASE $1;
CREATE USER '$1'@'%' IDENTIFIED BY '$2';
GRANT SELECT, INSERT, UPDATE, DELETE ON $1.* TO '$1'@'%';
SQL
  as_root "$1" < /docker-entrypoint-initdb.d/schema.txt
}
make_database angelpay_dev "$ANGELPAY_DEV_PASSWORD"
make_database angelpay_prod "$ANGELPAY_PROD_PASSWORD"
