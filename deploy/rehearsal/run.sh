#!/usr/bin/env bash
# Build the images, start compose.yaml with two blur workers, and send an order through it over TLS with an API key, one
# blur worker killed meanwhile; receive e-mails and open their links; run the tests of the sandbox in the workers' image.
# Everything keeps running; `$COMPOSE down --volumes` removes it.
set -euo pipefail
cd "$(dirname "$0")/../.."
export COMPOSE=${COMPOSE:-docker compose}
export IMAGEBLUR_PUBLIC_URL=http://127.0.0.1:8080 IMAGEBLUR_MAIL_FROM="ImageBlur <imageblur@example.org>"
export IMAGEBLUR_DKIM_KEY_FILE=/run/secrets/dkim.pem
deploy/secrets.sh
$COMPOSE build
$COMPOSE up --detach --scale blur_worker=2
for _ in $(seq 60); do
  KEY=$(deploy/key.sh client rehearsal) && break
  sleep 1
done
ADMIN_KEY=$(deploy/key.sh admin rehearsal)
export KEY ADMIN_KEY
.venv/bin/python -m deploy.rehearsal.walk
.venv/bin/python -m deploy.rehearsal.emails
# Once more, on what is there: all jobs have been done.
$COMPOSE up --detach --scale blur_worker=2
deploy/rehearsal/sandbox.sh
