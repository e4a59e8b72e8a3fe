"""What the newsletter tells: the week's numbers and the operator's text, as they are when the mailing is made."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from services.common.db.clock import from_datetime
from services.common.db.mail import mailings
from services.common.domain.errors import ConfigurationError

LANGUAGES = ("en", "ru")
LONGEST_TEXT = 20_000
_WEEK = timedelta(days=7)


def freeze(session: Session, until: datetime, texts: Path | None) -> str:
    """The content of a mailing, as JSON: the seven days before `until`, and the texts in a folder.

    Raises:
        ConfigurationError: A text is missing or cannot be read.
    """
    since = until - _WEEK
    numbers = mailings.numbers_since(session, from_datetime(since))
    return json.dumps({**numbers, "from": since.isoformat(), "to": until.isoformat(), "text": _read(texts)})


def thaw(content: str) -> dict[str, Any]:
    """What `freeze` wrote: `orders`, `images`, `failed`, `begin`, `end` (UTC) and `text` by language."""
    values = json.loads(content)
    return {
        **{name: int(values[name]) for name in ("orders", "images", "failed")},
        "begin": _moment(values["from"]),
        "end": _moment(values["to"]),
        "text": values.get("text", {}),
    }


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
        if len(text) > LONGEST_TEXT:
            raise ConfigurationError(f"IMAGEBLUR_MAILING_TEXT_DIR: {path} is longer than {LONGEST_TEXT:,} characters")
        texts[language] = text
    if not texts:
        # A folder that is not there, or a misspelt name: a mailing without its text cannot be called back.
        raise ConfigurationError(f"IMAGEBLUR_MAILING_TEXT_DIR: {folder} has neither en.txt nor ru.txt")
    return texts


def _moment(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
