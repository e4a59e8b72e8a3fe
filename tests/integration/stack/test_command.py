"""The real command, as far as it works without the other services, and what is built on it."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import grpc.aio
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from services.stack.background import background_stack
from services.stack.readiness import page_serves, wait_until_serves
from services.stack.supervision.process import Program


def test_a_wrong_setting_is_reported_in_a_sentence(tmp_path: Path) -> None:
    stack = subprocess.run(
        [sys.executable, "-m", "services.stack"],
        env=os.environ | {"IMAGEBLUR_DATA_DIR": str(tmp_path), "IMAGEBLUR_MAILBOX_PORT": "port"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert stack.returncode == os.EX_CONFIG
    assert stack.stderr.startswith("IMAGEBLUR_MAILBOX_PORT: ")
    assert "Traceback" not in stack.stderr


def test_readiness_waits_until_the_server_serves() -> None:
    async def run() -> list[bool]:
        server = grpc.aio.server()
        servicer = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        await servicer.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
        answers = [await wait_until_serves(f"127.0.0.1:{port}", within=0.2)]
        waiting = asyncio.create_task(wait_until_serves(f"127.0.0.1:{port}"))
        await servicer.set("", health_pb2.HealthCheckResponse.SERVING)
        answers.append(await waiting)
        await server.stop(None)
        return [*answers, await wait_until_serves(f"127.0.0.1:{port}", within=0.2)]

    assert asyncio.run(run()) == [False, True, False]


def test_readiness_waits_for_the_pages_too() -> None:
    answers = [b"HTTP/1.1 503 Service Unavailable\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"]

    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answers.pop(0))
        writer.close()

    async def run() -> list[bool]:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server:
            served = [await page_serves(f"0.0.0.0:{port}") for _ in range(2)]
        return [*served, await page_serves(f"127.0.0.1:{port}")]

    assert asyncio.run(run()) == [False, True, False]


def write_plan(path: Path, services: list[Program]) -> tuple[str, ...]:
    probe = {"name": "health", "arguments": [sys.executable, "-c", "pass"]}
    programs = [{"name": s.name, "arguments": list(s.arguments)} for s in services]
    plan = {"broker": True, "prepare": None, "services": programs, "probe": probe, "port": None}
    path.write_text(json.dumps(plan))
    return (sys.executable, "-m", "tests.integration.stack.driver", str(path))


def test_a_background_stack_runs_for_the_block(tmp_path: Path) -> None:
    command = write_plan(tmp_path / "plan.json", [])
    with background_stack(tmp_path / "data", {"IMAGEBLUR_GATEWAY_ADDRESS": "127.0.0.1:50999"}, command) as stack:
        assert stack.gateway_address == "127.0.0.1:50999"
        assert stack.data_folder.valkey_socket.exists()
        assert stack.startup_seconds > 0
    assert stack.process.returncode == 0
    assert not stack.data_folder.valkey_socket.exists()
    assert "ImageBlur is ready" in stack.log.read_text()


def test_a_background_stack_that_does_not_start_shows_its_log(tmp_path: Path) -> None:
    program = Program("mailer", (sys.executable, "-c", "import sys; print('IMAGEBLUR_X: wrong'); sys.exit(78)"))
    hanging = write_plan(tmp_path / "plan.json", [program])
    plan = json.loads((tmp_path / "plan.json").read_text())
    plan["probe"]["arguments"][-1] = "import threading; threading.Event().wait()"
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    with pytest.raises(RuntimeError, match=r"(?s)exit code 78.*IMAGEBLUR_X: wrong"):  # noqa: SIM117
        with background_stack(tmp_path / "data", command=hanging):
            pytest.fail("it is not ready")
