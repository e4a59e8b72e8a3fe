#!/usr/bin/env bash
# Install the wheel in an empty container of the base image, as users do, and run the demonstration there: minutes.
# The versions of libraries are those of the tests.
set -euo pipefail
cd "$(dirname "$0")/../.."
dist=$(mktemp -d)
trap 'rm -rf "$dist"' EXIT
.venv/bin/uv build --quiet --wheel --out-dir "$dist"
sed -nE 's/^([A-Za-z0-9._-]+==.*[^ \]) *\\$/\1/p' requirements-bench.lock > "$dist/constraints.txt"
chmod -R a+rX "$dist"
docker run --rm --volume "$dist:/dist:ro" python:3.13-slim sh -euc '
  python -m venv /opt/imageblur
  /opt/imageblur/bin/pip install --no-cache-dir --quiet --constraint /dist/constraints.txt \
    "imageblur[all] @ file://$(echo /dist/*.whl)"
  cd /tmp
  /opt/imageblur/bin/imageblur demo > demo.log 2>&1 || { cat demo.log; exit 1; }
  grep "Everything is stopped" demo.log'
echo "The wheel works in an empty container."
