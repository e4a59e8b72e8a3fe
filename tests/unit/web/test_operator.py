"""Sessions, charts and durations of the operator pages."""

from xml.etree import ElementTree as ET

import pytest

from services.web.http.languages import load_texts
from services.web.operator.access import sessions
from services.web.operator.access.sessions import SessionStore
from services.web.operator.durations import format_duration
from services.web.operator.queues.charts import HEIGHT, ChartSeries, bars, lines
from services.web.settings import WebSettings


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_session_ends_when_it_is_idle() -> None:
    clock = Clock()
    store = SessionStore(clock)
    token = store.begin("the key")
    clock.now += sessions.IDLE_SECONDS - 1
    assert store.key(token) == "the key"
    clock.now += sessions.IDLE_SECONDS - 1
    assert store.key(token) == "the key"
    clock.now += sessions.IDLE_SECONDS + 1
    assert store.key(token) is None


def test_a_session_in_constant_use_expires_too() -> None:
    clock = Clock()
    store = SessionStore(clock)
    token = store.begin("the key")
    for _ in range(int(sessions.MAX_SECONDS // 1000)):
        clock.now += 1000
        assert store.key(token)
    clock.now += 1000
    assert store.key(token) is None


def test_only_the_token_of_a_session_opens_it() -> None:
    store = SessionStore()
    token = store.begin("the key")
    assert store.key(token + "x") is None
    assert store.key("") is None
    store.end(token)
    assert store.key(token) is None


def test_tokens_are_random_and_not_stored() -> None:
    store = SessionStore()
    tokens = {store.begin("the key") for _ in range(100)}
    assert len(tokens) == 100
    assert not any("the key" in token for token in tokens)
    assert not tokens & set(store._sessions)


def test_form_tokens_differ_by_session_and_by_process() -> None:
    store = SessionStore()
    ours, theirs = store.begin("a"), store.begin("b")
    assert store.form_token(ours) == store.form_token(ours)
    assert (
        len({store.form_token(ours), store.form_token(theirs), store.form_token(""), SessionStore().form_token("")})
        == 4
    )


def test_the_least_recently_used_session_ends_beyond_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "MAX_SESSIONS", 3)
    store = SessionStore()
    first, second, *_ = [store.begin(str(number)) for number in range(3)]
    assert store.key(first)
    store.begin("one more")
    assert (store.key(first), store.key(second)) == ("0", None)


def shapes(svg: str, name: str) -> list[ET.Element]:
    return [element for element in ET.fromstring(svg).iter() if element.get("class") == name]


def test_bars_are_stacked_and_fill_the_height() -> None:
    svg = bars(ChartSeries("good", [0, 3, 1]), ChartSeries("bad", [0, 1, 0]))
    (tall, small), (upper,) = shapes(svg, "good"), shapes(svg, "bad")
    assert [float(bar.get("height", 0)) for bar in (tall, small, upper)] == [HEIGHT * 0.75, HEIGHT / 4, HEIGHT / 4]
    assert float(tall.get("y", 0)) == HEIGHT / 4
    assert (float(upper.get("y", 1)), upper.get("x")) == (0, tall.get("x"))


def test_lines_have_gaps_where_there_are_no_values() -> None:
    (line,) = shapes(lines(ChartSeries("p50", [None, 1, 2, None, 4])), "p50")
    path = line.get("d", "")
    assert (path.count("M"), path.count("L")) == (2, 1)
    assert path.endswith(f"H{600 * 0.9:.1f}")


def test_charts_without_values_are_empty() -> None:
    assert not shapes(lines(ChartSeries("p50", [None, None])), "p50")
    assert not shapes(bars(ChartSeries("good", [0, 0])), "good")
    assert "<svg" in bars(ChartSeries("good", []))


@pytest.mark.parametrize(
    ("seconds", "text"),
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
def test_durations(seconds: float, text: str) -> None:
    assert format_duration(load_texts("en"), seconds) == text


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
def test_where_the_pages_are_served(values: dict[str, object], served: bool) -> None:
    assert WebSettings(**values).serves_operators is served  # type: ignore[arg-type]
