"""Operators' own texts of e-mails: files, and what is stored."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from services.common.db.engine import Database
from services.common.db.mail import custom_texts
from services.common.domain.errors import ConfigurationError
from services.mailer.content.email_texts import EmailTexts, Overrides, default_texts, read_files
from services.mailer.content.render import Renderer, TextError
from services.mailer.content.samples import sample_contents
from tests.unit.mailer.samples import confirm, goodbye, newsletter

BYE = "goodbye/en/body.txt"


def test_every_email_has_samples_that_its_texts_can_be_checked_with() -> None:
    for email in {name.split("/")[0] for name in default_texts()} - {"newsletter"}:
        assert sample_contents(email), email
        for content in sample_contents(email):
            for language in ("en", "ru"):
                assert Renderer().check(content, language, {}).text


def test_own_texts_replace_their_part_alone() -> None:
    render = Renderer(lambda: Overrides({BYE: "So long: {{ home_url }}"}, 1))
    own, default = render(goodbye("https://a.org"), "en"), Renderer()(goodbye("https://a.org"), "en")
    assert own.text == "So long: https://a.org"
    assert (own.subject, own.html) == (default.subject, default.html)
    assert render(goodbye(), "ru") == Renderer()(goodbye(), "ru")


def test_a_changed_text_is_used_in_the_next_newsletter() -> None:
    current = [Overrides({"newsletter/en/subject.txt": "One"}, 1)]
    render = Renderer(lambda: current[0])
    assert render(newsletter(), "en").subject == "One"
    current[0] = Overrides({"newsletter/en/subject.txt": "Two"}, 2)
    assert render(newsletter(), "en").subject == "Two"
    current[0] = Overrides({}, 3)
    assert render(newsletter(), "en").subject == Renderer()(newsletter(), "en").subject


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("one\n{{ nonsense }}", "line 2: 'nonsense' is undefined"),
        ("{% if %}", "line 1: Expected an expression"),
        ("\n\n{{ 1 // 0 }}", "line 3: integer division or modulo by zero"),
        ("{{ ''.__class__.__mro__ }}", "line 1: access to attribute '__class__'"),
        ("{% include '../../settings.py' %}", "line 1: "),
    ],
)
def test_a_text_that_cannot_be_rendered_is_refused_with_its_line(text: str, message: str) -> None:
    with pytest.raises(TextError) as refused:
        Renderer().check(goodbye(), "en", {BYE: text})
    assert str(refused.value).startswith(f"{BYE}: {message}")
    assert refused.value.name == BYE


def test_values_are_escaped_in_own_html() -> None:
    html = Renderer().check(
        confirm("https://a.org/?x=<script>"), "en", {"confirm_subscription/en/body.html": "{{ url }}"}
    )
    assert "<script>" not in html.html


def test_an_email_is_sent_with_the_default_text_where_an_own_one_fails() -> None:
    render = Renderer(lambda: Overrides({BYE: "{{ nonsense }}"}, 1))
    with capture_logs() as logs:
        assert render(goodbye(), "en") == Renderer()(goodbye(), "en")
    assert [entry["event"] for entry in logs] == ["default text used"]


def test_files_are_read_by_their_names(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="has no text of an e-mail"):
        read_files(tmp_path)
    (tmp_path / "goodbye" / "en").mkdir(parents=True)
    (tmp_path / BYE).write_text("Пока", "utf-8")
    assert read_files(tmp_path) == {BYE: "Пока"}
    (tmp_path / BYE).write_bytes(b"\xff")
    with pytest.raises(ConfigurationError, match=r"body\.txt cannot be read"):
        read_files(tmp_path)
    assert read_files(None) == {}


def test_stored_texts_precede_files(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.mailer.content.email_texts.REFRESH_SECONDS", 0)
    texts = EmailTexts(database, {BYE: "file", "goodbye/ru/body.txt": "файл"})
    assert texts().texts[BYE] == "file"
    with database.write() as session:
        stored = custom_texts.set_text(session, BYE, "stored", by="test", revision=0)
        assert stored
        assert custom_texts.set_text(session, BYE, "other", by="test", revision=0) is None, "it was changed"
    before = texts()
    assert before.texts == {BYE: "stored", "goodbye/ru/body.txt": "файл"}
    assert texts() is before, "nothing has changed"
    with database.write() as session:
        assert custom_texts.delete_text(session, BYE)
        assert not custom_texts.delete_text(session, BYE)
    assert texts().texts[BYE] == "file"
