"""What is found in images, and the check of results. Stored as JSON in rows."""

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from services.common.domain.spec import FindingKind, Region, region_from_values, region_values


@dataclass(frozen=True, kw_only=True)
class FindModel:
    """A model that finds something."""

    kind: FindingKind
    name: str
    version: str
    license: str
    """An SPDX identifier, if there is one."""
    labels: tuple[str, ...] = ()
    """Labels that its findings may have; empty if they have none."""


@dataclass(frozen=True, kw_only=True)
class Rect:
    """An upright rectangle in fractions of the displayed image's width and height."""

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something that was found in an image."""

    kind: FindingKind
    label: str = ""
    """Class of a text or of a custom model's finding; empty for other kinds."""
    confidence: float
    """0 to 1."""
    box: Rect
    region: Region
    """What hides it: the box with its padding and shape, and an effect where it differs from the spec's."""
    model: str
    model_version: str
    applied: bool = False
    """Whether it was hidden."""

    def to_values(self) -> dict[str, Any]:
        """Return the finding as values for JSON."""
        return asdict(self) | {"region": region_values(self.region)}

    @classmethod
    def from_values(cls, values: dict[str, Any]) -> "Finding":
        """Return the finding that `to_values` was given."""
        typed = {
            "kind": FindingKind(values["kind"]),
            "box": Rect(**values["box"]),
            "region": region_from_values(values["region"]),
        }
        return cls(**values | typed)


class CheckState(StrEnum):
    """Outcomes of the check of a result; see the interface's CheckState."""

    CLEAN = "CLEAN"
    REMAINING = "REMAINING"
    NOT_CHECKED = "NOT_CHECKED"


@dataclass(frozen=True, kw_only=True)
class Check:
    """What the service found when it looked at a result once more."""

    state: CheckState = CheckState.NOT_CHECKED
    remaining: tuple[Finding, ...] = ()
    """What can still be found where it should be hidden; only with REMAINING."""
    strengthened: bool = False
    """Whether regions were hidden more strongly than asked for."""


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """The findings of an image and the check of its result."""

    findings: tuple[Finding, ...] = ()
    """From the most to the least confident."""
    check: Check = Check()

    @property
    def hidden(self) -> int:
        """How many of the findings were hidden."""
        return sum(finding.applied for finding in self.findings)

    def counts_json(self) -> str:
        """Return how many findings of each kind there are, and how many were hidden, as JSON: `{"FACE": [3, 2]}`."""
        counts: dict[str, list[int]] = {}
        for finding in self.findings:
            of_kind = counts.setdefault(finding.kind, [0, 0])
            of_kind[0] += 1
            of_kind[1] += finding.applied
        return json.dumps(counts, separators=(",", ":"))

    def to_values(self) -> dict[str, Any]:
        """Return the inspection as values for JSON."""
        check = asdict(self.check) | {"remaining": [finding.to_values() for finding in self.check.remaining]}
        return {"findings": [finding.to_values() for finding in self.findings], "check": check}

    def to_json(self) -> str:
        """Return the inspection as JSON, for a row."""
        return json.dumps(self.to_values(), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "Inspection":
        """Return the inspection that `to_json` wrote."""
        values = json.loads(text)
        check = values["check"]
        return cls(
            findings=tuple(map(Finding.from_values, values["findings"])),
            check=Check(
                state=CheckState(check["state"]),
                remaining=tuple(map(Finding.from_values, check["remaining"])),
                strengthened=check["strengthened"],
            ),
        )
