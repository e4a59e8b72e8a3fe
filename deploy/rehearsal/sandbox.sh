#!/usr/bin/env bash
# Run the tests of the sandbox in containers of the blur worker, as compose.yaml runs it: as its ordinary user, and as root.
# Prints what the system cannot enforce there.
set -euo pipefail
cd "$(dirname "$0")/../.."
COMPOSE=${COMPOSE:-docker compose}
packages=$(mktemp -d)
trap 'rm -rf "$packages"' EXIT
.venv/bin/uv pip install --quiet --target "$packages" --python-version 3.13 pytest
# The photograph of the tests, without the package that it is in.
mkdir -p "$packages/skimage/data"
touch "$packages/skimage/__init__.py"
cp .venv/lib/python3*/site-packages/skimage/data/astronaut.png "$packages/skimage/data/"
chmod -R a+rX "$packages"
layers='
import os
from services.blur_worker.sandbox import Confinement
print("user", os.getuid(), "not enforced:", ", ".join(Confinement().apply([])) or "nothing")'
tests='tests/integration/worker/test_confinement.py tests/integration/worker/test_confined_finding.py'
for user in 10001 0; do
  $COMPOSE run --rm -T --no-deps --user "$user" --entrypoint sh -e PYTHONPATH=/source:/packages \
    --volume "$PWD/tests:/source/tests:ro" --volume "$packages:/packages:ro" blur_worker \
    -c "python -c '$layers' && cd /source && python -m pytest -q -p no:cacheprovider -c /dev/null --rootdir /source --noconftest $tests"
done
