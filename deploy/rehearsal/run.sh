#!/usr/bin/env bash
# Builds the images, brings the composition up with two blur workers, and walks an order through it over TLS and with a
# key, one blur worker killed in the middle. Leaves it up; what it made goes with `$COMPOSE down --volumes`.
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
