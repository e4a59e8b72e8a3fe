#!/usr/bin/env bash
# Makes the secrets of compose.yaml, once: passwords and keys at random, in deploy/secrets. What is there stays.
# The folder is yours alone; the files are readable, since the containers' users, which are not you, have to read them.
set -euo pipefail
cd "$(dirname "$0")"
umask 077
mkdir -p secrets
random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
put() { [ -e "secrets/$1" ] || { printf '%s\n' "$2" > "secrets/$1"; chmod 444 "secrets/$1"; }; }
value() { tr -d '\n' < "secrets/$1"; }

put imageblur_secret_key "$(random)$(random)"
put postgres_password "$(random)"
put imageblur_database_url "postgresql://imageblur:$(value postgres_password)@postgres/imageblur"
put valkey_password "$(random)"
put imageblur_broker_url "redis://:$(value valkey_password)@valkey:6379/0"
put valkey.conf "requirepass $(value valkey_password)"
put s3_secret "$(random)"
put imageblur_blob_url "s3://imageblur:$(value s3_secret)@imageblur/blobs"
put s3.json '{"identities": [{"name": "imageblur", "credentials": [{"accessKey": "imageblur", "secretKey": "'"$(value s3_secret)"'"}], "actions": ["Admin", "Read", "Write", "List", "Tagging"]}]}'
put grafana_password "$(random)"
echo "secrets are in $PWD/secrets"
