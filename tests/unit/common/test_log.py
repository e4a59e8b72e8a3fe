"""What must not be in a log."""

import logging
from collections.abc import Iterator

import pytest
import structlog

from services.common.infra import log


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    handlers, level = logging.getLogger().handlers[:], logging.getLogger().level
    yield
    logging.getLogger().handlers[:] = handlers
    logging.getLogger().setLevel(level)
    structlog.reset_defaults()


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_trace_shows_no_variables(log_format: str, capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("INFO", log_format)
    address = "ann@" + "example.org"
    try:
        len(address) / 0
    except ZeroDivisionError:
        log.get("test").exception("failed")
    shown = capsys.readouterr().err
    assert "ZeroDivisionError" in shown
    assert address not in shown


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_trace_shows_no_row(log_format: str, capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("INFO", log_format)
    error = ValueError("duplicate key\nDETAIL:  Key (email)=(ann@example.org) already exists.\nafter it")
    log.get("test").error("failed", exc_info=error)
    shown = capsys.readouterr().err
    assert "duplicate key" in shown
    assert "after it" in shown
    assert "ann@" not in shown
