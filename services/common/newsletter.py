"""The content of a mailing: the week's numbers and the operator's text, fixed when the mailing is made."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy.orm import Session

from services.common.db.clock import from_datetime
from services.common.db.mail import mailings
from services.common.domain.errors import ConfigurationError

LANGUAGES = ("en", "ru")
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
    """Return the content of a mailing as JSON: the numbers of the seven days before `until`, and the texts of a folder.

    Raises:
        ConfigurationError: A text is missing or cannot be read.
    """
    since = until - _WEEK
    numbers = asdict(mailings.count_since(session, from_datetime(since)))
    return json.dumps({**numbers, "from": since.isoformat(), "to": until.isoformat(), "text": _read(text_folder)})


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


def _read(folder: Path | None) -> dict[str, str]:
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
        # The folder is missing or misspelt. A mailing that went out without its text could not be recalled.
        raise ConfigurationError(f"IMAGEBLUR_MAILING_TEXT_DIR: {folder} has neither en.txt nor ru.txt")
    return texts


def _parse_time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
