"""The gateway's violations of an order as texts beside the form fields and images that they concern."""

import re
from collections.abc import Iterable

from imageblur_client.errors import FieldViolation

from services.web.http.languages import Texts

_IMAGE = re.compile(r"images\[(\d+)\]\.?(.*)")


def violation_messages(texts: Texts, violations: Iterable[FieldViolation]) -> list[dict[str, object]]:
    """Return, for each violation, the index of its image (or None), the field and a message.

    The gateway's descriptions are English; violations that visitors can cause have texts in every language.
    """
    messages: list[dict[str, object]] = []
    for violation in violations:
        match = _IMAGE.match(violation.field)
        image = int(match[1]) if match else None
        field = (match[2] if match else violation.field.removeprefix("order.")).partition(".")[0].partition("[")[0]
        default = f"{texts('violation_other')}: {violation.description}."
        message = texts.get(f"violation_{'image_' if match else ''}{field}", default)
        messages.append({"image": image, "field": field, "message": message})
    return messages
