"""What the gateway finds wrong with an order, put beside what a person sees of it."""

import re
from collections.abc import Iterable

from imageblur_client.errors import FieldViolation

from services.web.http.languages import Texts

_IMAGE = re.compile(r"images\[(\d+)\]\.?(.*)")


def told(texts: Texts, violations: Iterable[FieldViolation]) -> list[dict[str, object]]:
    """For each: the image's number from 0, or None with the field of the form; and a sentence.

    The gateway speaks English; what people come across has words in their language.
    """
    found: list[dict[str, object]] = []
    for violation in violations:
        match = _IMAGE.match(violation.field)
        image = int(match[1]) if match else None
        field = (match[2] if match else violation.field.removeprefix("order.")).partition(".")[0].partition("[")[0]
        otherwise = f"{texts('violation_other')}: {violation.description}."
        message = texts.get(f"violation_{'image_' if match else ''}{field}", otherwise)
        found.append({"image": image, "field": field, "message": message})
    return found
