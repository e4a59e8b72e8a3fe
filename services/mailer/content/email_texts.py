"""The texts of e-mails that operators may replace, by files or in the database: `<email>/<language>/<part>`."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from services.common.db.engine import Database
from services.common.db.mail import custom_texts
from services.common.domain.errors import ConfigurationError, Unavailable
from services.common.domain.languages import LANGUAGES
from services.common.infra import log

TEMPLATES = Path(__file__).parents[1] / "templates"
PARTS = ("subject.txt", "body.txt", "body.html")
NEWSLETTER = "newsletter"
MAX_CHARACTERS = 50_000
REFRESH_SECONDS = 5.0
"""How soon a changed text is used."""

_log = log.get(__name__)


def default_texts() -> dict[str, str]:
    """Return the templates of all e-mails by name."""
    return {
        name: (TEMPLATES / name).read_text("utf-8")
        for folder in sorted(TEMPLATES.iterdir())
        if folder.is_dir()
        for language in LANGUAGES
        for part in PARTS
        if (TEMPLATES / (name := f"{folder.name}/{language}/{part}")).is_file()
    }


def read_files(folder: Path | None) -> dict[str, str]:
    """Return the templates in a folder by name; files of other names are left alone.

    Raises:
        ConfigurationError: The folder or a file cannot be read, or it has no such file.
    """
    if folder is None:
        return {}
    texts = {}
    for name in default_texts():
        path = folder / name
        try:
            texts[name] = path.read_text("utf-8")
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"IMAGEBLUR_MAIL_TEMPLATES_DIR: {path} cannot be read: {error}") from None
        if len(texts[name]) > MAX_CHARACTERS:
            raise ConfigurationError(
                f"IMAGEBLUR_MAIL_TEMPLATES_DIR: {path} is longer than {MAX_CHARACTERS:,} characters"
            )
    if not texts:
        raise ConfigurationError(
            f"IMAGEBLUR_MAIL_TEMPLATES_DIR: {folder} has no text of an e-mail, such as goodbye/en/body.txt"
        )
    return texts


@dataclass(frozen=True)
class Overrides:
    """Templates in the place of the default ones; `version` differs after every change."""

    texts: Mapping[str, str] = field(default_factory=dict)
    version: object = None


NONE = Overrides()


class EmailTexts:
    """Knows the current templates: files, and before them those in the database."""

    def __init__(self, database: Database, files: Mapping[str, str]) -> None:
        self._database = database
        self._files = files
        self._names = frozenset(default_texts())
        self._lock = threading.Lock()
        self._current = Overrides(files)
        self._read_at = float("-inf")

    def __call__(self) -> Overrides:
        """Return the current templates; without the database, those of before."""
        with self._lock:
            if time.monotonic() >= self._read_at + REFRESH_SECONDS:
                self._read_at = time.monotonic()
                try:
                    self._refresh()
                except Unavailable as error:
                    _log.debug("texts of e-mails not read", error=str(error))
            return self._current

    def _refresh(self) -> None:
        with self._database.read() as session:
            version = custom_texts.latest_change(session)
            if version == self._current.version:
                return
            stored = {row.name: row.text for row in custom_texts.list_all(session) if row.name in self._names}
        self._current = Overrides({**self._files, **stored}, version)
