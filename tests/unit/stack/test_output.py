import errno
import io
import os

from services.stack.output import LineSplitter, Output
from services.stack.supervisor import describe_end


def test_lines_say_whose_they_are() -> None:
    stream = io.StringIO()
    output = Output(["gateway", "blur_worker"], stream)
    output.line("gateway", "hello")
    output.tell("one\ntwo")
    assert stream.getvalue() == "gateway     | hello\nstack       | one\nstack       | two\n"


def test_a_reader_that_went_away_stops_nothing() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, "w") as stream:
        output = Output([], stream)
        output.tell("nobody hears")
        output.tell("twice")


class FullDisk(io.StringIO):
    full = True

    def flush(self) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_costs_lines_but_not_those_after_it() -> None:
    stream = FullDisk()
    output = Output([], stream)
    output.tell("while it is full")
    stream.full = False
    output.tell("afterwards")
    assert stream.getvalue().endswith("stack | afterwards\n")


def test_a_narrow_terminal_gets_what_it_can_show() -> None:
    raw = io.BytesIO()
    output = Output([], io.TextIOWrapper(raw, encoding="ascii"))
    output.tell("Grüße")
    assert raw.getvalue() == b"stack | Gr\\xfc\\xdfe\n"


def test_bytes_become_lines() -> None:
    splitter = LineSplitter()
    assert splitter.feed(b"one\r\ntw") == ["one"]
    assert splitter.feed("o é".encode()[:-1]) == []
    assert splitter.feed("é".encode()[-1:] + b"\n\nrest") == ["two é", ""]
    assert splitter.end() == ["rest"]
    assert splitter.end() == []


def test_a_line_without_end_does_not_fill_the_memory() -> None:
    splitter = LineSplitter()
    assert sum(len(line) for _ in range(100) for line in splitter.feed(b"x" * 10_000)) > 900_000
    assert len(splitter._rest) <= LineSplitter.LONGEST


def test_an_end_is_told_in_words() -> None:
    assert describe_end(3) == "ended with exit code 3"
    assert describe_end(-9) == "was ended by SIGKILL"
    assert describe_end(-60) == "was ended by signal 60"
