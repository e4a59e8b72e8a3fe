#!/usr/bin/env bash
# Build the images, start compose.yaml with two blur workers, and send an order through it over TLS with an API key, one
# blur worker killed meanwhile. Everything keeps running; `$COMPOSE down --volumes` removes it.
set -euo pipefail
cd "$(dirname "$0")/../.."
export COMPOSE=${COMPOSE:-docker compose}
deploy/secrets.sh
$COMPOSE build
$COMPOSE up --detach --scale blur_worker=2
for _ in $(seq 60); do
  KEY=$(deploy/key.sh client rehearsal) && break
  sleep 1
done
export KEY
.venv/bin/python -m deploy.rehearsal.walk
