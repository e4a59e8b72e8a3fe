"""The archive's summary: what was found, hidden, and what remains."""

import json
from uuid import uuid4

import pytest

from services.common.archive import summary
from services.common.db.models import Image, Order
from services.common.domain.findings import Check, CheckState, Inspection
from services.common.domain.spec import BlurSpec, Find, FindingKind, Gaussian, Region, Solid, TextClass
from tests.support.findings import FIND_FACES, finding, inspection

ORDER = Order(id=uuid4(), created_at=1, spec=FIND_FACES.to_json())


def line(found: Inspection | None, spec: BlurSpec | None = None) -> summary.SummaryLine:
    image = Image(
        position=1,
        filename="a.jpg",
        spec=spec and spec.to_json(),
        state="SUCCEEDED",
        input_bytes=9,
        output_bytes=8,
        width=4,
        height=3,
        format="JPEG",
        findings=found and found.to_json(),
    )
    return summary.line(ORDER, image, "blur_a.jpg")


def test_the_findings_can_be_given_back_as_regions() -> None:
    found = inspection(finding(), finding(applied=False))
    values = json.loads(json.dumps(line(found).values))
    assert Inspection.from_json(json.dumps({name: values[name] for name in ("findings", "check")})) == found
    assert values["find"][0]["kind"] == "FACE"
    assert values["effort"] == "BALANCED"


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (inspection(finding(), finding(applied=False)), "found    2 x FACE; 1 of them hidden"),
        (Inspection(), "found    nothing"),
        (inspection(), "check    nothing that was to be hidden is found in the result"),
        (inspection(state=CheckState.REMAINING), "check    SOMETHING THAT WAS TO BE HIDDEN IS STILL FOUND"),
        (
            Inspection(check=Check(state=CheckState.CLEAN, strengthened=True)),
            "check    nothing that was to be hidden is found in the result; hidden more strongly than asked for",
        ),
        (Inspection(), "check    the result was not checked"),
    ],
)
def test_people_read_what_was_found_and_what_remains(found: Inspection, says: str) -> None:
    assert f"   {says}" in line(found).text


def test_where_names_what_was_to_be_found() -> None:
    cards = Find(kind=FindingKind.TEXT, text_classes=(TextClass.CARD, TextClass.IBAN))
    plates = Find(kind=FindingKind.CUSTOM, model="plates")
    region = Region("box", 0, 0, 0.5, 0.5, effect=Solid())
    text = line(Inspection(), BlurSpec(find=(cards, plates), regions=(region,))).text
    assert "where    every TEXT (CARD, IBAN); what plates finds; box 0, 0, 0.5, 0.5, solid fill, #000000\n" in text


def test_without_anything_to_find_nothing_is_said_about_it() -> None:
    one = line(None, BlurSpec())
    assert "found" not in one.text
    assert not {"find", "findings", "check"} & set(one.values)


@pytest.mark.parametrize(
    ("spec", "found", "irreversible"),
    [
        (FIND_FACES, Inspection(), True),
        (FIND_FACES, inspection(), False),  # the finding's own effect is a Gaussian
        (FIND_FACES, inspection(finding(applied=False)), True),
        (BlurSpec(effect=Gaussian(), find=FIND_FACES.find), Inspection(), False),
        (BlurSpec(effect=Solid(), regions=(Region("box", 0, 0, 1, 1, effect=Gaussian(3)),)), None, False),
    ],
)
def test_only_redaction_and_solid_fills_are_irreversible(
    spec: BlurSpec, found: Inspection | None, *, irreversible: bool
) -> None:
    assert line(found, spec).values["irreversible"] is irreversible
