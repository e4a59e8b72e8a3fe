"""Generate the Python code and the OpenAPI document of the protos, or check that what is committed is current."""

import argparse
import filecmp
import os
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import distribution
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"
OPENAPI = ROOT / "services/web/api/openapi.json"
GENERATED = ("*_pb2.py", "*_pb2.pyi", "*_pb2_grpc.py", "*_pb2_grpc.pyi")


def generate(target: Path) -> None:
    """Write messages, stubs and their types for every proto below `target`."""
    well_known = distribution("grpcio-tools").locate_file("grpc_tools/_proto")
    scripts = Path(sys.executable).parent
    sources = sorted(str(path.relative_to(PROTOS)) for path in PROTOS.rglob("*.proto"))
    code = protoc.main(
        [
            "protoc",
            f"--proto_path={PROTOS}",
            f"--proto_path={well_known}",
            f"--plugin=protoc-gen-mypy={scripts / 'protoc-gen-mypy'}",
            f"--plugin=protoc-gen-mypy_grpc={scripts / 'protoc-gen-mypy_grpc'}",
            f"--python_out={target}",
            f"--grpc_python_out={target}",
            f"--mypy_out=quiet:{target}",
            f"--mypy_grpc_out=quiet:{target}",
            *sources,
        ]
    )
    if code:
        sys.exit(code)


def generated_files(root: Path) -> set[Path]:
    """Paths of generated files below `root`, relative to it."""
    return {path.relative_to(root) for pattern in GENERATED for path in root.rglob(pattern)}


def openapi() -> str:
    """Return the OpenAPI document, made of the generated code as it is on the disk."""
    command = [sys.executable, "-m", "tools.openapi"]
    path = os.pathsep.join([str(ROOT), str(ROOT / "client"), str(ROOT / "protos")])
    environment = os.environ | {"PYTHONPATH": path}
    return subprocess.run(command, check=True, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True).stdout


def main() -> None:
    """Generate, or with --check exit with 1 where the committed files differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if something is out of date")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        fresh = Path(directory)
        generate(fresh)
        wanted, present = generated_files(fresh), generated_files(PROTOS)
        if arguments.check:
            both = wanted & present
            stale = (wanted ^ present) | {p for p in both if not filecmp.cmp(fresh / p, PROTOS / p, shallow=False)}
            for path in sorted(stale):
                print(f"out of date: protos/{path}; run 'make protos'")
            openapi_is_stale = openapi() != OPENAPI.read_text(encoding="utf-8")
            if openapi_is_stale:
                print(f"out of date: {OPENAPI.relative_to(ROOT)}; run 'make protos'")
            sys.exit(1 if stale or openapi_is_stale else 0)
        for path in present - wanted:
            (PROTOS / path).unlink()
        for path in wanted:
            shutil.copyfile(fresh / path, PROTOS / path)
    OPENAPI.write_text(openapi(), encoding="utf-8")


if __name__ == "__main__":
    main()
