"""Which parts of a line belong to a class of text."""

import pytest

from services.blur_worker.engine.finding.text.checksums import is_iban_valid, is_luhn_valid
from services.blur_worker.engine.finding.text.classified import classified
from services.blur_worker.engine.finding.text.lines import Line
from services.blur_worker.engine.finding.text.recognition import Reading
from services.blur_worker.engine.finding.text.rules import matches
from services.common.domain.spec import TextClass

EXAMPLES = [
    ("E_MAIL", "Mail: anna.keller@example.org, please", "anna.keller@example.org"),
    ("E_MAIL", "j-brown82@mail.example,com", "j-brown82@mail.example,com"),
    ("PHONE", "Tel. 901820", "901820"),
    ("PHONE", "call +49 30 901820 now", "+49 30 901820"),
    ("PHONE", "(020) 7946 0958", "(020) 7946 0958"),
    ("PHONE", "555-010-2233", "555-010-2233"),
    ("CARD", "4111 1111 1111 1111", "4111 1111 1111 1111"),
    ("CARD", "card 5500-0055-5555-5559 exp 12/28", "5500-0055-5555-5559"),
    ("CARD", "340000099900036", "340000099900036"),
    ("CARD", "4111 1111 1111 1112", "4111 1111 1111 1112"),  # a misread digit
    ("CARD", "4111 1111 111 1111", "4111 1111 111 1111"),  # a digit that was left out
    ("CARD", "41I1 1111 1lll 1111", "41I1 1111 1lll 1111"),
    ("IBAN", "IBAN DE89 3704 0044 0532 0130 00 BIC X", "DE89 3704 0044 0532 0130 00"),
    ("IBAN", "GB82WEST12345698765432", "GB82WEST12345698765432"),
    ("IBAN", "DE89 3704 0O44 0532 0130 00", "DE89 3704 0O44 0532 0130 00"),
    ("PLATE", "B-MW 4721", "B-MW 4721"),
    ("PLATE", "AB12 CDE", "AB12 CDE"),
    ("PLATE", "AB-123-CD", "AB-123-CD"),
    ("PLATE", "7KLM482", "7KLM482"),
    ("PLATE", "1234 BCD", "1234 BCD"),
    ("PLATE", "A 123 BC 77", "A 123 BC 77"),
]
NOTHING = [
    "the quick brown fox",
    "Invoice of 2026-11-30",
    "30.11.2026",
    "Version 10.2.3",
    "192.168.0.17",
    "Total 1,249.00 EUR",
    "Platform 9, 12:45",
    "PLATFORM",
    "1234567",
    "4111 1111 1111 1112 3",
    "12345678901234567890",
    "DE89 3704",
    "@home",
    "",
]


@pytest.mark.parametrize(("text_class", "text", "part"), EXAMPLES)
def test_what_belongs_to_a_class_is_found(text_class: str, text: str, part: str) -> None:
    assert (text_class, part) in [(str(one.text_class), text[one.start : one.end]) for one in matches(text)]


@pytest.mark.parametrize("text", NOTHING)
def test_other_text_belongs_to_none(text: str) -> None:
    assert [*matches(text)] == []


def test_numbers_with_a_wrong_checksum_are_less_certain() -> None:
    (valid,) = matches("4111 1111 1111 1111")
    (wrong,) = matches("4111 1111 1111 1112")
    assert valid.certainty == 1
    assert 0.5 < wrong.certainty < 1


def reading(text: str, x: float) -> Reading:
    """Return what was read on a line of which each character is 10 pixels wide, from x on."""
    n = len(text)
    line = Line(x=x + 5 * n, y=50, ux=1, uy=0, length=10 * n, thickness=16, confidence=0.9)
    return Reading(line=line, text=text, positions=tuple((i + 0.5) / n for i in range(n)), confidence=0.9)


def test_a_number_in_several_parts_is_found_in_each_once() -> None:
    parts = [reading("Card", 0), reading("4111 1111", 60), reading("1111 1111", 160), reading("thanks", 270)]
    found = sorted(
        (line.x - line.length / 2, line.x + line.length / 2) for _, line in classified(parts, {TextClass.CARD})
    )
    assert found == [(60, 150), (160, 250)]
    assert [*classified(parts, {TextClass.PHONE})] == []
    alone = [reading("info@example.org", 0), reading("and others", 180)]
    ((text_class, line),) = classified(alone, set(TextClass))
    assert text_class is TextClass.E_MAIL
    assert line.confidence == pytest.approx(0.9)


def test_a_part_has_a_margin_of_a_character() -> None:
    ((_, line),) = classified([reading("mail info@example.org now", 0)], {TextClass.E_MAIL})
    assert (line.x - line.length / 2, line.x + line.length / 2) == pytest.approx((40, 220))


def test_checksums() -> None:
    assert is_luhn_valid("79927398713")
    assert not any(is_luhn_valid(f"7992739871{digit}") for digit in "012456789")
    assert is_iban_valid("GB82WEST12345698765432")
    assert not is_iban_valid("GB83WEST12345698765432")
    assert not is_iban_valid("GB82WEST1234569876543")
    assert not is_iban_valid("XX82WEST12345698765432")
