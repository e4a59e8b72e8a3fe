"""What to find and hide in images, and what was found.

    spec = BlurSpec(find=[find_faces(), find_text(TextClass.TEXT_CLASS_CARD), find_codes()])
    order = client.order("street.jpg", spec=spec)
    ...
    for image in client.images(order.order_id):
        if image.check.state == CheckState.CHECK_STATE_REMAINING:
            print("look at", image.filename)

`client.limits().find_models` lists what the server can find. None and unset values are the model's own defaults.
"""

from collections.abc import Iterable, Mapping

from imageblur.v1.order_pb2 import Find, FindingKind, Image, Region, TextClass


def find_faces(*, min_confidence: float | None = None, padding: float | None = None) -> Find:
    """Return: faces. Padding grows each on every side, as a fraction of its shorter side."""
    return _find(FindingKind.FINDING_KIND_FACE, "", min_confidence, padding)


def find_text(*classes: TextClass.ValueType, min_confidence: float | None = None, padding: float | None = None) -> Find:
    """Return: text of these classes, or all text; otherwise as `find_faces`."""
    found = _find(FindingKind.FINDING_KIND_TEXT, "", min_confidence, padding)
    found.text_classes.extend(classes)
    return found


def find_codes(*, min_confidence: float | None = None, padding: float | None = None) -> Find:
    """Return: QR codes, bar codes and the like; otherwise as `find_faces`."""
    return _find(FindingKind.FINDING_KIND_CODE, "", min_confidence, padding)


def find_custom(model: str, *, min_confidence: float | None = None, padding: float | None = None) -> Find:
    """Return: what a model of the server's operator finds; otherwise as `find_faces`."""
    return _find(FindingKind.FINDING_KIND_CUSTOM, model, min_confidence, padding)


def parse_finds(
    texts: Iterable[str], *, min_confidence: float | None = None, padding: float | None = None
) -> list[Find]:
    """Return what strings such as `faces,text:card+iban,custom:plates` ask for; the numbers are of each.

    Raises:
        ValueError: One asks for something else; the error's text lists what there is.
    """
    numbers = {"min_confidence": min_confidence, "padding": padding}
    return [_parse_find(item.strip(), numbers) for text in texts for item in text.split(",")]


def hidden_regions(image: Image) -> list[Region]:
    """Return the regions that hid the findings of an image.

    As regions of a spec without `find` they give the same image, byte for byte; so some can be left out and others
    added. If there are none, the image was not changed: a spec without regions would hide all of it.
    """
    return [finding.region for finding in image.findings if finding.applied]


def _find(kind: FindingKind.ValueType, model: str, min_confidence: float | None, padding: float | None) -> Find:
    return Find(kind=kind, model=model, min_confidence=min_confidence, padding=padding)


def _parse_find(text: str, numbers: Mapping[str, float | None]) -> Find:
    kind, _, detail = text.partition(":")
    match kind, detail:
        case ("faces", ""):
            return find_faces(**numbers)
        case ("codes", ""):
            return find_codes(**numbers)
        case ("text", _):
            return find_text(*map(_text_class, detail.split("+") if detail else ()), **numbers)
        case ("custom", _) if detail:
            return find_custom(detail, **numbers)
    raise ValueError(f"{text!r} is none of faces, text, text:CLASS+CLASS, codes and custom:MODEL")


def _text_class(name: str) -> TextClass.ValueType:
    classes = {value.removeprefix("TEXT_CLASS_").lower(): number for value, number in TextClass.items() if number}
    spelled = name.strip().lower().replace("-", "_").replace("email", "e_mail")
    if spelled not in classes:
        raise ValueError(f"{name!r} is no class of text: there are {', '.join(classes)}")
    return classes[spelled]
