#!/usr/bin/env bash
# Create an API key in the running compose.yaml and print it: deploy/key.sh ROLE NAME (client, viewer or admin).
set -euo pipefail
cd "$(dirname "$0")/.."
${COMPOSE:-docker compose} exec -T gateway python -m services.gateway create-key --role "${1:?a role}" "${2:?a name}"
