"""The blocks of docs/clients.md as they are printed: order, watch, download, send, in each language."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from base64 import b64decode
from pathlib import Path

import pytest
from imageblur_client import Client

from services.stack.background import BackgroundStack
from tests.e2e.conftest import PHOTOGRAPHS
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[2]
NODE = ROOT / "client" / "node"
BLOCKS = dict(re.findall(r"```\w+ (\w+)\n(.*?)```", (ROOT / "docs/clients.md").read_text("utf-8"), re.DOTALL))
SECONDS = 300.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copyfile(PHOTOGRAPHS / "rocket.jpg", tmp_path / "photo.jpg")
    return tmp_path


def run(name: str, stack: BackgroundStack, folder: Path, *command: str) -> str:
    """Run a block in a folder with a photograph, against the stack; return what it prints."""
    code = BLOCKS[name].replace("127.0.0.1:50051", stack.gateway_address)
    code = code.replace("http://127.0.0.1:8080", stack.web)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    python_path = os.pathsep.join([str(ROOT / "client"), str(ROOT / "protos")])
    environment = os.environ | {"PATH": path, "PYTHONPATH": python_path, "PYTHONUNBUFFERED": "1"}
    done = subprocess.run(
        [*command, code], check=False, cwd=folder, env=environment, capture_output=True, text=True, timeout=SECONDS
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def bash(name: str, stack: BackgroundStack, folder: Path) -> str:
    return run(name, stack, folder, "bash", "-euo", "pipefail", "-c")


def assert_mailed(client: Client, printed: str) -> None:
    """The order whose ID was printed has an e-mail."""
    order_id = re.findall(r"[0-9a-f-]{36}", printed)[0]
    eventually(lambda: bool(client.status(order_id).order.deliveries))
    assert client.status(order_id).order.email_hint == "y***@example.org"


def test_every_block_is_run() -> None:
    assert set(BLOCKS) == {"curl", "python", "asyncio", "node", "grpcurl", "buf"}


def test_curl(stack: BackgroundStack, client: Client, folder: Path) -> None:
    printed = bash("curl", stack, folder)
    assert (folder / "blurred.jpg").read_bytes().startswith(b"\xff\xd8")
    assert "event: end" in printed
    assert "blur_photo.jpg" in zipfile.ZipFile(folder / "results.zip").namelist()
    assert json.loads(printed.splitlines()[-1])["delivery"]["delivery_id"]
    assert_mailed(client, next(line for line in printed.splitlines() if "order_id" in line))


@pytest.mark.parametrize("name", ["python", "asyncio"])
def test_python(stack: BackgroundStack, folder: Path, name: str) -> None:
    printed = run(name, stack, folder, sys.executable, "-c")
    assert "1 of 1" in printed
    assert (folder / "results" / "blur_photo.jpg").read_bytes().startswith(b"\xff\xd8")


@pytest.mark.parametrize("name", ["grpcurl", "buf"])
def test_commands_over_grpc(stack: BackgroundStack, folder: Path, name: str) -> None:
    printed = bash(name, stack, folder)
    assert "ORDER_STATE_SUCCEEDED" in printed
    assert "DELIVERY_STATE_QUEUED" in printed
    text, position, content = (folder / "results.json").read_text(), 0, b""
    while position < len(text.rstrip()):
        part, end = json.JSONDecoder().raw_decode(text[position:].lstrip())
        position += end + len(text[position:]) - len(text[position:].lstrip())
        content += b64decode(part.get("chunk", ""))
    assert content.startswith(b"PK")


@pytest.fixture(scope="module")
def node_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the client for Node, built as the document says, with the Node of a wheel."""
    copy = tmp_path_factory.mktemp("imageblur") / "client" / "node"
    shutil.copytree(NODE, copy, ignore=shutil.ignore_patterns("node_modules", "dist", "gen"))
    shutil.copytree(ROOT / "protos", copy.parents[1] / "protos", ignore=shutil.ignore_patterns("*.py*"))
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"PATH": path}
    install = ["npm", "ci", "--no-audit", "--no-fund"]
    done = subprocess.run(install, check=False, cwd=copy, env=environment, capture_output=True, timeout=SECONDS)
    if done.returncode and "CI" not in os.environ:
        pytest.skip("the packages of the client for Node cannot be installed here")
    assert done.returncode == 0, done.stderr.decode()
    subprocess.run(["npm", "run", "build"], check=True, cwd=copy, env=environment, timeout=SECONDS)
    return copy


def test_node(stack: BackgroundStack, folder: Path, node_package: Path) -> None:
    modules = folder / "node_modules"
    modules.mkdir()
    (modules / "imageblur").symlink_to(node_package)
    printed = run("node", stack, folder, "node", "--input-type=module", "--eval")
    assert "1 of 1" in printed
    assert (folder / "results" / "blur_photo.jpg").read_bytes().startswith(b"\xff\xd8")
    assert not list((folder / "results").glob("*.part"))
