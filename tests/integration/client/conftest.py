from collections.abc import Iterator
from pathlib import Path

import pytest
from imageblur_client import Client
from imageblur_client.cli import app
from typer.testing import CliRunner

from tests.integration.client.messages import Outcome, Run
from tests.integration.client.scripted import ScriptedServer


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server


@pytest.fixture
def client(server: ScriptedServer) -> Iterator[Client]:
    with Client(server.address, timeout=20) as client:
        yield client


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "cat.jpg"
    path.write_bytes(b"\xff\xd8" + bytes(3_000_000))
    return path


@pytest.fixture
def run(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("IMAGEBLUR_SERVER", server.address)

    def invoke(*words: object) -> Outcome:
        result = CliRunner().invoke(app, [str(word) for word in words], prog_name="imageblur")
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return invoke
