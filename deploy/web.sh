#!/usr/bin/env bash
# Start the web pages of the running compose.yaml, with their own API key for the gateway.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ ! -s deploy/secrets/imageblur_gateway_key ]; then
  key=$(deploy/key.sh client web)
  printf '%s\n' "$key" > deploy/secrets/imageblur_gateway_key
  chmod 444 deploy/secrets/imageblur_gateway_key
fi
${COMPOSE:-docker compose} --profile web up --detach --no-deps web
