import errno
import io
import os

from services.stack.supervision.supervisor import describe_end
from services.stack.terminal.output import LineSplitter, Output


def test_lines_have_the_name_of_their_program() -> None:
    stream = io.StringIO()
    output = Output(["gateway", "blur_worker"], stream)
    output.line("gateway", "hello")
    output.message("one\ntwo")
    assert stream.getvalue() == "gateway     | hello\nstack       | one\nstack       | two\n"


def test_a_closed_pipe_stops_nothing() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, "w") as stream:
        output = Output([], stream)
        output.message("unread")
        output.message("twice")


class FullDisk(io.StringIO):
    full = True

    def flush(self) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_loses_lines_only_while_it_is_full() -> None:
    stream = FullDisk()
    output = Output([], stream)
    output.message("while it is full")
    stream.full = False
    output.message("afterwards")
    assert stream.getvalue().endswith("stack | afterwards\n")


def test_an_ascii_terminal_gets_escapes() -> None:
    raw = io.BytesIO()
    output = Output([], io.TextIOWrapper(raw, encoding="ascii"))
    output.message("Grüße")
    assert raw.getvalue() == b"stack | Gr\\xfc\\xdfe\n"


def test_bytes_become_lines() -> None:
    splitter = LineSplitter()
    assert splitter.feed(b"one\r\ntw") == ["one"]
    assert splitter.feed("o é".encode()[:-1]) == []
    assert splitter.feed("é".encode()[-1:] + b"\n\nrest") == ["two é", ""]
    assert splitter.end() == ["rest"]
    assert splitter.end() == []


def test_a_line_without_end_is_cut() -> None:
    splitter = LineSplitter()
    assert sum(len(line) for _ in range(100) for line in splitter.feed(b"x" * 10_000)) > 900_000
    assert len(splitter._rest) <= LineSplitter.LONGEST


def test_the_end_of_a_process_is_described() -> None:
    assert describe_end(3) == "ended with exit code 3"
    assert describe_end(-9) == "was ended by SIGKILL"
    assert describe_end(-60) == "was ended by signal 60"
