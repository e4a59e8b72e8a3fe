"""What must not be in a log."""

import pytest

from services.common import log


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_trace_shows_no_variables(log_format: str, capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("INFO", log_format)
    address = "ann@" + "example.org"
    try:
        raise ValueError(f"{len(address)} characters")
    except ValueError:
        log.get("test").exception("failed")
    shown = capsys.readouterr().err
    assert "ValueError: 15 characters" in shown
    assert address not in shown
