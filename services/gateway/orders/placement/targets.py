"""Chooses the keys under which an order's results are written to its target."""

from collections.abc import Sequence
from dataclasses import replace

from services.common.archive.result_names import target_names
from services.common.db.orders.new_orders import NewImage
from services.common.domain.spec import BlurSpec
from services.gateway.orders.messages.requests import ParsedHeader


def with_targets(images: Sequence[NewImage], header: ParsedHeader, paths: Sequence[str]) -> list[NewImage]:
    """Return the images of an order with their targets, if it has one.

    Args:
        images: The images.
        header: Of the order.
        paths: For each image its file name, or its path below the prefix of a listing.
    """
    target = header.target
    if target is None:
        return list(images)
    specs = [BlurSpec.from_json(image.spec) if image.spec else header.spec for image in images]
    names = target_names((path, spec.output_format) for path, spec in zip(paths, specs, strict=True))
    return [
        replace(image, target=f"{target.place}:{target.folder}{name}")
        for image, name in zip(images, names, strict=True)
    ]
