#!/usr/bin/env bash
# Makes an API key in the composition that is up, and prints it: deploy/key.sh ROLE NAME (roles: client, viewer, admin).
set -euo pipefail
cd "$(dirname "$0")/.."
${COMPOSE:-docker compose} exec -T gateway python -m services.gateway keys create --role "${1:?a role}" --name "${2:?a name}"
