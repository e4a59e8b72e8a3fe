"""Where an image comes from if its bytes are not sent. Stored as JSON in rows."""

import json
from dataclasses import dataclass
from urllib.parse import unquote

from services.common.domain.addresses import BadUrl, parse_url
from services.common.domain.places import PlaceKey


@dataclass(frozen=True, kw_only=True)
class ImageSource:
    """An address, or a file of a place."""

    url: str = ""
    file: PlaceKey | None = None
    size: int | None = None
    """What it is to be, in bytes; None: anything."""
    sha256: str | None = None
    """Likewise, as hex."""

    def to_json(self) -> str:
        """Return it for the database."""
        values: dict[str, object] = {"url": self.url}
        if self.file:
            values = {"place": self.file.place, "key": self.file.key}
        expected = {"size": self.size, "sha256": self.sha256}
        return json.dumps(values | {name: value for name, value in expected.items() if value is not None})

    @classmethod
    def from_json(cls, text: str) -> "ImageSource":
        """Return what `to_json` wrote."""
        values = json.loads(text)
        file = PlaceKey(place=values["place"], key=values["key"]) if "place" in values else None
        return cls(url=values.get("url", ""), file=file, size=values.get("size"), sha256=values.get("sha256"))

    @property
    def label(self) -> str:
        """How callers and operators see it: without the query of an address, which may contain secrets."""
        if self.file:
            return str(self.file)
        try:
            return str(parse_url(self.url))
        except BadUrl:
            return "https://"

    @property
    def filename(self) -> str:
        """The last part of its path, as a file name."""
        path = self.file.key if self.file else unquote(self.label.removeprefix("https://").partition("/")[2])
        return path.rpartition("/")[2].replace("\0", "")[:255]
