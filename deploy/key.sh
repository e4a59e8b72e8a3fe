#!/usr/bin/env bash
# Makes an API key in the composition that is up, and prints it: deploy/key.sh ROLE NAME (roles: client, viewer, admin).
set -euo pipefail
cd "$(dirname "$0")/.."
${COMPOSE:-docker compose} exec -T gateway python -m services.gateway create-key --role "${1:?a role}" "${2:?a name}"
