"""Sessions and plots of the operator's pages."""

from xml.etree import ElementTree as ET

import pytest

from services.web.http.languages import texts
from services.web.operator import sessions
from services.web.operator.charts import HEIGHT, Series, bars, lines
from services.web.operator.durations import lasting
from services.web.operator.sessions import Sessions
from services.web.settings import WebSettings


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_session_ends_when_it_is_left_alone() -> None:
    clock = Clock()
    known = Sessions(clock)
    token = known.begin("the key")
    clock.now += sessions.IDLE_SECONDS - 1
    assert known.key(token) == "the key"
    clock.now += sessions.IDLE_SECONDS - 1
    assert known.key(token) == "the key"
    clock.now += sessions.IDLE_SECONDS + 1
    assert known.key(token) is None


def test_a_session_that_is_used_all_the_time_ends_too() -> None:
    clock = Clock()
    known = Sessions(clock)
    token = known.begin("the key")
    for _ in range(int(sessions.LONGEST_SECONDS // 1000)):
        clock.now += 1000
        assert known.key(token)
    clock.now += 1000
    assert known.key(token) is None


def test_only_the_token_of_a_session_opens_it() -> None:
    known = Sessions()
    token = known.begin("the key")
    assert known.key(token + "x") is None
    assert known.key("") is None
    known.end(token)
    assert known.key(token) is None


def test_tokens_tell_nothing_and_are_not_kept() -> None:
    known = Sessions()
    tokens = {known.begin("the key") for _ in range(100)}
    assert len(tokens) == 100
    assert not any("the key" in token for token in tokens)
    assert not tokens & set(known._sessions)


def test_forms_of_one_session_are_not_taken_in_another_nor_after_a_restart() -> None:
    known = Sessions()
    ours, theirs = known.begin("a"), known.begin("b")
    assert known.form_token(ours) == known.form_token(ours)
    assert len({known.form_token(ours), known.form_token(theirs), known.form_token(""), Sessions().form_token("")}) == 4


def test_sessions_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "MOST", 3)
    known = Sessions()
    first, second, *_ = [known.begin(str(number)) for number in range(3)]
    assert known.key(first)
    known.begin("one more")
    assert (known.key(first), known.key(second)) == ("0", None)


def shapes(picture: str, name: str) -> list[ET.Element]:
    return [element for element in ET.fromstring(picture).iter() if element.get("class") == name]


def test_bars_stand_upon_each_other_and_fill_the_height() -> None:
    picture = bars(Series("good", [0, 3, 1]), Series("bad", [0, 1, 0]))
    (tall, small), (upper,) = shapes(picture, "good"), shapes(picture, "bad")
    assert [float(bar.get("height", 0)) for bar in (tall, small, upper)] == [HEIGHT * 0.75, HEIGHT / 4, HEIGHT / 4]
    assert float(tall.get("y", 0)) == HEIGHT / 4
    assert (float(upper.get("y", 1)), upper.get("x")) == (0, tall.get("x"))


def test_lines_break_where_nothing_is_known() -> None:
    (line,) = shapes(lines(Series("p50", [None, 1, 2, None, 4])), "p50")
    path = line.get("d", "")
    assert (path.count("M"), path.count("L")) == (2, 1)
    assert path.endswith(f"H{600 * 0.9:.1f}")


def test_nothing_is_drawn_of_nothing() -> None:
    assert not shapes(lines(Series("p50", [None, None])), "p50")
    assert not shapes(bars(Series("good", [0, 0])), "good")
    assert "<svg" in bars(Series("good", []))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 ms"),
        (0.0214, "21 ms"),
        (0.9999, "1.0 s"),
        (3.14, "3.1 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (3599.7, "1 h 0 min"),
        (7300, "2 h 1 min"),
        (49 * 3600, "2 d 1 h"),
    ],
)
def test_lengths_of_time(seconds: float, words: str) -> None:
    assert lasting(texts("en"), seconds) == words


@pytest.mark.parametrize(
    ("values", "served"),
    [
        ({}, True),
        ({"public_url": "http://127.0.0.1:8080"}, True),
        ({"public_url": "https://blur.example.org"}, False),
        ({"web_address": "0.0.0.0:80", "allow_anonymous": True}, False),
        ({"public_url": "https://blur.example.org", "operator_pages": True}, True),
        ({"operator_pages": False}, False),
    ],
)
def test_where_the_pages_are(values: dict[str, object], served: bool) -> None:
    assert WebSettings(**values).serves_operators is served  # type: ignore[arg-type]
