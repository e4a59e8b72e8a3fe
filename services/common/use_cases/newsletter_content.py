"""The content of a mailing: the week's numbers and the operator's text, fixed when the mailing is made."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy.orm import Session

from services.common.db.clock import from_datetime
from services.common.db.mail import custom_texts, mailings
from services.common.domain.errors import ConfigurationError
from services.common.domain.languages import LANGUAGES

MAX_TEXT_CHARACTERS = 20_000
_WEEK = timedelta(days=7)


@dataclass(frozen=True, kw_only=True)
class NewsletterContent:
    """What a mailing's e-mails contain, in all languages."""

    orders: int
    """Finished between `begin` and `end`."""
    images: int
    """Blurred."""
    failed: int
    """Images that could not be blurred."""
    begin: datetime
    end: datetime
    texts: Mapping[str, str]
    """The operator's text by language."""


def compose_content(session: Session, until: datetime, text_folder: Path | None) -> str:
    """Return the content of a mailing as JSON: the numbers of the seven days before `until`, and the operator's texts.

    Those that operators have stored take precedence over the files of a folder.

    Raises:
        ConfigurationError: A text is missing or cannot be read.
    """
    stored = {language: custom_texts.get(session, text_name(language)) for language in LANGUAGES}
    texts = {language: row.text for language, row in stored.items() if row}
    if len(texts) < len(LANGUAGES):
        # Not read for nothing: a file that is missing or broken then matters to nobody.
        texts = read_files(text_folder) | texts
    # An empty text is none: the newsletter is the numbers alone.
    return _with_numbers(session, until, {language: text for language, text in texts.items() if text.strip()})


def refresh_numbers(session: Session, content: str, until: datetime) -> str:
    """Return the content of a mailing with the numbers of the seven days before `until`."""
    return _with_numbers(session, until, json.loads(content).get("text", {}))


def text_name(language: str) -> str:
    """Return the name under which operators store the newsletter's own text, which is no template."""
    return f"newsletter/{language}/text.txt"


def parse_content(content: str) -> NewsletterContent:
    """Return the content that `compose_content` wrote; times are in UTC."""
    values = json.loads(content)
    return NewsletterContent(
        orders=int(values["orders"]),
        images=int(values["images"]),
        failed=int(values["failed"]),
        begin=_parse_time(values["from"]),
        end=_parse_time(values["to"]),
        texts=values.get("text", {}),
    )


def _with_numbers(session: Session, until: datetime, texts: Mapping[str, str]) -> str:
    since = until - _WEEK
    numbers = asdict(mailings.count_since(session, from_datetime(since)))
    return json.dumps({**numbers, "from": since.isoformat(), "to": until.isoformat(), "text": dict(texts)})


def read_files(folder: Path | None) -> dict[str, str]:
    """Return the operator's texts in a folder by language.

    Raises:
        ConfigurationError: None is there, or one cannot be read.
    """
    if folder is None:
        return {}
    texts = {}
    for language in LANGUAGES:
        path = folder / f"{language}.txt"
        try:
            text = path.read_text("utf-8")
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"IMAGEBLUR_MAILING_TEXT_DIR: {path} cannot be read: {error}") from None
        if len(text) > MAX_TEXT_CHARACTERS:
            raise ConfigurationError(
                f"IMAGEBLUR_MAILING_TEXT_DIR: {path} is longer than {MAX_TEXT_CHARACTERS:,} characters"
            )
        texts[language] = text
    if not texts:
        wanted = ", ".join(f"{language}.txt" for language in LANGUAGES)
        # The folder is missing or misspelt. A mailing that went out without its text could not be recalled.
        raise ConfigurationError(f"IMAGEBLUR_MAILING_TEXT_DIR: {folder} has none of {wanted}")
    return texts


def _parse_time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
