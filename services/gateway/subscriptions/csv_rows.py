"""Reads subscribers from a CSV file whose bytes arrive one after the other."""

import codecs
import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from services.common.db.clock import from_datetime
from services.common.db.mail.subscriber_lists import NewSubscriber
from services.common.domain.errors import InvalidArgument, Violation
from services.common.domain.mail import SubscriberState
from services.common.domain.time_zones import known_time_zones
from services.gateway.rpc.fields import parse_email, parse_locale

MAX_LINE_CHARACTERS = 4_000
MAX_SOURCE_CHARACTERS = 200
FORMULA = ("=", "+", "-", "@")
"""With these, spreadsheets begin a formula: an export puts an apostrophe before them."""
_COLUMNS: Mapping[str, str] = {
    "email": "email",
    "e-mail": "email",
    "address": "email",
    "language": "language",
    "locale": "language",
    "time_zone": "time_zone",
    "timezone": "time_zone",
    "source": "source",
    "consent_date": "consent_date",
    "consent_time": "consent_date",
    "state": "state",
}


@dataclass(frozen=True, kw_only=True)
class ImportDefaults:
    """The values of a row whose fields are empty."""

    attested: bool
    source: str
    consent_at: int | None
    locale: str
    now: int


@dataclass(frozen=True)
class RejectedRow:
    """A line that is not imported."""

    line: int
    message: str


@dataclass
class CsvRows:
    """Takes the bytes of a file in parts, and returns the rows that are complete. A row is one line."""

    defaults: ImportDefaults
    _decoder: codecs.IncrementalDecoder = field(default_factory=codecs.getincrementaldecoder("utf-8-sig"))
    _rest: str = ""
    _lines: int = 0
    _columns: list[str] | None = None
    _delimiter: str = ","

    def feed(self, data: bytes, *, final: bool = False) -> Iterator[NewSubscriber | RejectedRow]:
        """Yield the rows that end within these bytes; with `final`, also one that no line break ends.

        Raises:
            InvalidArgument: The file is not UTF-8, or has no column of addresses.
        """
        try:
            text = self._rest + self._decoder.decode(data, final)
        except UnicodeDecodeError:
            raise InvalidArgument(Violation("data", f"line {self._lines + 1} is not UTF-8")) from None
        lines = text.replace("\r\n", "\n").split("\n")
        self._rest = "" if final else lines.pop()
        if len(self._rest) > MAX_LINE_CHARACTERS:
            raise InvalidArgument(
                Violation("data", f"line {self._lines + 1} is longer than {MAX_LINE_CHARACTERS:,} characters")
            )
        for line in lines:
            self._lines += 1
            if row := self._read(line.rstrip("\r")):
                yield row

    def _read(self, line: str) -> NewSubscriber | RejectedRow | None:
        if not line.strip():
            return None
        if self._columns is None:
            self._columns = self._header(line)
            if self._columns:
                return None
            self._columns = ["email"]
        if len(line) > MAX_LINE_CHARACTERS:
            return RejectedRow(self._lines, f"the line is longer than {MAX_LINE_CHARACTERS:,} characters")
        try:
            cells = next(csv.reader([line], delimiter=self._delimiter, strict=True))
            return self._subscriber({name: _plain(cell) for name, cell in zip(self._columns, cells, strict=False)})
        except csv.Error as error:
            return RejectedRow(self._lines, f"the line is not CSV: {error}")
        except InvalidArgument as error:
            (violation,) = error.violations
            return RejectedRow(self._lines, f"{violation.field} {violation.description}")

    def _header(self, line: str) -> list[str]:
        """Return the names of the columns; none if the first line is an address."""
        self._delimiter = ";" if line.count(";") > line.count(",") else ","
        cells = [cell.strip().strip('"').casefold() for cell in line.split(self._delimiter)]
        columns = [_COLUMNS.get(cell, "") for cell in cells]
        if "email" in columns:
            return columns
        if len(cells) == 1 and "@" in line:
            return []
        raise InvalidArgument(
            Violation(
                "data", "has no column of addresses: the first line must name the columns, such as email,language"
            )
        )

    def _subscriber(self, row: Mapping[str, str]) -> NewSubscriber:
        state = row.get("state") or SubscriberState.CONFIRMED
        if state.upper() != SubscriberState.CONFIRMED:
            raise InvalidArgument(Violation("state", "is not CONFIRMED"))
        email, key = parse_email(row.get("email", ""))
        zone = row.get("time_zone", "")
        if zone and zone not in known_time_zones():
            raise InvalidArgument(Violation("time_zone", f"is not a known name: {zone[:60]!r}"))
        source = row.get("source") or self.defaults.source
        if not source or len(source) > MAX_SOURCE_CHARACTERS or not source.isprintable():
            raise InvalidArgument(Violation("source", f"must be 1 to {MAX_SOURCE_CHARACTERS} characters"))
        return NewSubscriber(
            email=email,
            email_key=key,
            locale=parse_locale(row.get("language") or self.defaults.locale),
            time_zone=zone or None,
            source=source,
            consent_at=self._consent(row.get("consent_date", "")) if self.defaults.attested else None,
        )

    def _consent(self, text: str) -> int:
        at = self.defaults.consent_at
        if text:
            try:
                time = datetime.fromisoformat(text)
                at = from_datetime(time if time.tzinfo else time.replace(tzinfo=UTC))
            except (ValueError, OverflowError):
                raise InvalidArgument(Violation("consent_date", "is no date such as 2026-05-31")) from None
        if at is None:
            raise InvalidArgument(Violation("consent_date", "is missing"))
        if at > self.defaults.now:
            raise InvalidArgument(Violation("consent_date", "is in the future"))
        return at


def _plain(cell: str) -> str:
    cell = cell.strip()
    return cell[1:] if cell[:1] == "'" and cell[1:].startswith(FORMULA) else cell
