"""What a line of text contains: plain rules, tolerant of misread characters."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from services.blur_worker.engine.finding.text.checksums import IBAN_LENGTHS, is_iban_valid, is_luhn_valid
from services.common.domain.spec import TextClass

_CHECKED = 1.0
"""Certainty of what a checksum or an unmistakable shape confirms."""
_LIKELY = 0.8
"""Certainty of a number of the right shape with a wrong checksum: rather misread than another number."""

_AS_DIGIT = str.maketrans("OoQDIl|SsBZz", "000011155822")
_E_MAIL = re.compile(r"[\w.%+\-]+ ?[@®©] ?[\w\-]+(?:[.,:·][\w\-]+| ?\. ?(?=[a-z]{2,4}\b)[a-z]+)*")
_SEPARATOR = r"[ \-.·]{0,2}"
_CARD = re.compile(rf"(?<![\w+])[3-6SBs](?:{_SEPARATOR}[\dOoQDIl|SsBZz]){{12,18}}(?!\w)")
# Of repeated digits, one may have been read less.
_CARD_GROUPS = re.compile(r"(?=(?:\W?\w){15,16}$)\w{3,4}(?:\W\w{3,4}){3}|\w{4}\W\w{6}\W\w{5}")
_IBAN_START = re.compile(r"(?<!\w)[A-Z]{2} ?[\dOoQDIl|SsBZz]{2}")
_PHONE = re.compile(r"(?<![\w.,/:+\-])(?:\+ ?|\( ?)?\d(?:[ ().\-/–·]{0,3}\d){5,14}(?![\w])")
_PHONE_WORD = re.compile(r"(?:tel|phone|fon|fax|mobil|mob|cell|call|тел)\w*[.:]* *$", re.IGNORECASE)
_NORTH_AMERICAN = re.compile(r"\(?[2-9]\d\d[) .\-/·]{1,2}\d{3}[ .\-·]\d{4}")
_NOT_PHONE = re.compile(
    r"\d{4}[\-./]\d\d?[\-./]\d\d?|\d\d?[\-./]\d\d?[\-./](?:\d\d){1,2}"  # dates
    r"|\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}"  # addresses of the internet
)
_PLATE_SHAPES = tuple(
    re.compile(shape.replace("L", "[A-Z0158]").replace("N", "[0-9OQDIZSBG]"))
    for shape in (
        "L{2,5}N{1,4}[EH]?",  # Germany, Switzerland, Poland, North America, Scandinavia
        "LLNNLLL|LN{1,3}LLL|LLLN{1,3}L",  # United Kingdom, Sweden
        "LLN{2,4}LL?",  # France, Italy, Austria, Ukraine
        "N{1,4}L{2,3}N{0,3}",  # Spain, North America, Japan, Portugal
        "LN{3}LLN{2,3}",  # Russia
        "L{2}N{2}L{1,2}N{4}",  # India
        "LN{3,4}L{2}|LLLNLNN|L{1,2}N{3,5}L{1,2}",  # Netherlands, Brazil, Austria
        "N{2}L{2,3}N{1,2}|NL{3}N{2,3}|LN{6,7}",  # Netherlands, California, Denmark
    )
)
_PLATE = re.compile(r"[A-Z0-9](?:[ \-·.:•]{0,3}[A-Z0-9]){4,8}")


@dataclass(frozen=True, kw_only=True)
class Match:
    """A part of a text that belongs to a class."""

    text_class: TextClass
    start: int
    """Index of the first character."""
    end: int
    """Index of the character after the last."""
    certainty: float
    """0 to 1, if the text was read correctly."""


def matches(text: str) -> Iterator[Match]:
    """Yield what a line contains; one part may belong to several classes."""
    for found in _E_MAIL.finditer(text):
        yield _match(TextClass.E_MAIL, found, _CHECKED if re.search(r"[.,:·]", found[0].split("@")[-1]) else _LIKELY)
    numbers = [*_ibans(text), *_cards(text)]
    yield from numbers
    for found in _PHONE.finditer(text):
        if _is_phone(text, found) and not any(one.start < found.end() and found.start() < one.end for one in numbers):
            yield _match(TextClass.PHONE, found, _CHECKED)
    plate = _PLATE.fullmatch(text.strip(" .,:;|-_'\"()[]*•·"))
    if plate and _is_plate(plate[0]):
        yield Match(text_class=TextClass.PLATE, start=0, end=len(text), certainty=_CHECKED)


def _match(text_class: TextClass, found: re.Match[str], certainty: float) -> Match:
    return Match(text_class=text_class, start=found.start(), end=found.end(), certainty=certainty)


def _ibans(text: str) -> Iterator[Match]:
    for found in _IBAN_START.finditer(text):
        length = IBAN_LENGTHS.get(found[0][:2])
        ends = [i for i in range(found.start(), len(text)) if text[i].isalnum()]
        if length is None or len(ends) < length:
            continue
        end = ends[length - 1] + 1
        candidate = text[found.start() : end]
        if (end < len(text) and text[end].isalnum()) or not re.fullmatch(r"[\w \-.]+", candidate):
            continue
        compact = re.sub(r"\W", "", candidate).upper()
        digits_alone = compact[:2] + compact[2:].translate(_AS_DIGIT)
        valid = is_iban_valid(compact) or is_iban_valid(digits_alone)
        n_digits = sum(character.isdigit() for character in compact)
        if valid or n_digits * 2 >= length:
            certainty = _CHECKED if valid else _LIKELY
            yield Match(text_class=TextClass.IBAN, start=found.start(), end=end, certainty=certainty)


def _cards(text: str) -> Iterator[Match]:
    for found in _CARD.finditer(text):
        digits = re.sub(r"\W", "", found[0].replace("|", "1")).translate(_AS_DIGIT)
        if sum(character.isdigit() for character in found[0]) < 0.7 * len(digits):
            continue
        if is_luhn_valid(digits):
            yield _match(TextClass.CARD, found, _CHECKED)
        elif _CARD_GROUPS.fullmatch(found[0]):
            yield _match(TextClass.CARD, found, _LIKELY)


def _is_phone(text: str, found: re.Match[str]) -> bool:
    number = found[0]
    n_digits = sum(character.isdigit() for character in number)
    if _NOT_PHONE.fullmatch(number) or n_digits > 15:
        return False
    if _PHONE_WORD.search(text[: found.start()]) or _NORTH_AMERICAN.fullmatch(number):
        return True
    return n_digits >= 7 and number.startswith(("+", "0", "("))


def _is_plate(text: str) -> bool:
    compact = re.sub(r"[^A-Z0-9]", "", text)
    n_digits = sum(character.isdigit() for character in compact)
    has_letter = n_digits < len(compact)
    return 5 <= len(compact) <= 9 and n_digits >= 2 and has_letter and any(s.fullmatch(compact) for s in _PLATE_SHAPES)
