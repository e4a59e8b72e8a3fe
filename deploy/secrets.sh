#!/usr/bin/env bash
# Create the missing secrets of compose.yaml in deploy/secrets: random passwords and keys, and certificates.
# The folder is private; its files are readable, because the containers' users have to read them.
set -euo pipefail
cd "$(dirname "$0")"
umask 077
mkdir -p secrets
random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
put() { [ -e "secrets/$1" ] || { printf '%s\n' "$2" > "secrets/$1"; chmod 444 "secrets/$1"; }; }
value() { tr -d '\n' < "secrets/$1"; }

put imageblur_secret_key "$(random)$(random)"
put imageblur_visitor_secret "$(random)"
# The pages' API key for the gateways.
put imageblur_gateway_key "imageblur_$(head -c 32 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=\n')"
put postgres_password "$(random)"
put imageblur_database_url "postgresql://imageblur:$(value postgres_password)@postgres/imageblur"
put valkey_password "$(random)"
put imageblur_broker_url "redis://:$(value valkey_password)@valkey:6379/0"
put valkey.conf "requirepass $(value valkey_password)"
put s3_secret "$(random)"
put imageblur_blob_url "s3://imageblur:$(value s3_secret)@imageblur/blobs"
put s3.json '{"identities": [{"name": "imageblur", "credentials": [{"accessKey": "imageblur", "secretKey": "'"$(value s3_secret)"'"}], "actions": ["Admin", "Read", "Write", "List", "Tagging"]}]}'
# Signs e-mails if IMAGEBLUR_DKIM_KEY_FILE names it: deploy/mail.sh prints the record to publish.
[ -e secrets/dkim.pem ] || { openssl genrsa -traditional -out secrets/dkim.pem 2048 2>/dev/null; chmod 444 secrets/dkim.pem; }
put grafana_password "$(random)"

# A root certificate and the gateways' certificate. You may replace them: each new connection reads the files.
if [ ! -e secrets/tls_certificate.pem ]; then
  names="subjectAltName=DNS:gateway,DNS:localhost,IP:127.0.0.1"
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj "/CN=ImageBlur root" \
    -keyout secrets/tls_ca_key.pem -out secrets/tls_ca.pem 2>/dev/null
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=gateway" \
    -keyout secrets/tls_key.pem -out secrets/tls_request.pem 2>/dev/null
  printf '%s\n' "$names" > secrets/tls_names
  openssl x509 -req -in secrets/tls_request.pem -CA secrets/tls_ca.pem -CAkey secrets/tls_ca_key.pem -days 825 \
    -extfile secrets/tls_names -out secrets/tls_certificate.pem 2>/dev/null
  rm secrets/tls_request.pem secrets/tls_names
  chmod 444 secrets/tls_ca.pem secrets/tls_certificate.pem secrets/tls_key.pem
fi
echo "secrets are in $PWD/secrets"
grep -qs "^IMAGEBLUR_PUBLIC_URL=" ../.env || [ ! -e ../compose.yaml ] ||
  echo "! E-mails carry no links but commands for a shell, and stay in the mail catcher: run deploy/mail.sh"
