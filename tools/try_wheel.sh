#!/usr/bin/env bash
# Build the wheel, install it in a clean environment as users do, serve with it and run the demonstration: minutes.
# All in a temporary folder, on ports of its own.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
work=$(mktemp -d)
server=
finish() { [ -z "$server" ] || kill -KILL "$server" 2>/dev/null || true; rm -rf "$work"; }
trap finish EXIT

echo "1/4 Build the wheel"
.venv/bin/uv build --quiet --wheel --out-dir "$work/dist"
wheel=$(echo "$work"/dist/*.whl)

echo "2/4 Install $(basename "$wheel") with everything"
.venv/bin/uv venv --quiet --python "$(readlink -f .venv/bin/python)" "$work/env"
# The versions are those of the tests: what a new version of a library breaks is found when the lock files are renewed.
.venv/bin/uv pip install --quiet --python "$work/env/bin/python" --constraint requirements-bench.lock "imageblur[all] @ file://$wheel"
echo "    $(du -sm "$work/env" | cut -f1) MB"

echo "3/4 imageblur serve"
cd "$work"
unset PYTHONPATH
export IMAGEBLUR_WEB_ADDRESS=127.0.0.1:$((20000 + RANDOM % 10000)) IMAGEBLUR_MAILBOX_PORT=$((30000 + RANDOM % 2000))
export IMAGEBLUR_GATEWAY_ADDRESS=127.0.0.1:$((40000 + RANDOM % 10000))
env/bin/imageblur serve > serve.log 2>&1 &
server=$!
for _ in $(seq 600); do
  grep -q "ImageBlur is ready" serve.log && break
  kill -0 "$server" 2>/dev/null || { cat serve.log; exit 1; }
  sleep 0.5
done
grep -q "ImageBlur is ready" serve.log || { cat serve.log; exit 1; }
photograph=$(env/bin/python -c 'import importlib.util as u; print(u.find_spec("skimage").submodule_search_locations[0])')/data/astronaut.png
env/bin/imageblur --server "$IMAGEBLUR_GATEWAY_ADDRESS" find "$photograph" --find faces --json | grep -q FACE
env/bin/imageblur --server "$IMAGEBLUR_GATEWAY_ADDRESS" blur "$photograph" --find faces -o out.png
[ -s out.png ]
kill -INT "$server"
wait "$server"
server=

echo "4/4 imageblur demo"
env/bin/imageblur demo > demo.log 2>&1 || { cat demo.log; exit 1; }
grep -q "Everything is stopped" demo.log
cd "$root"
echo "The wheel works."
