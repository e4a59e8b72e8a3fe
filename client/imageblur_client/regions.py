"""Regions of an image, in fractions of its width and height as displayed."""

from imageblur.v1.order_pb2 import Rect, Region


def box(left: float, top: float, width: float, height: float, *, padding: float = 0.0, feather: float = 0.0) -> Region:
    """Return an upright rectangle; padding and feather are fractions of the image's shorter side."""
    rect = Rect(left=left, top=top, width=width, height=height)
    return Region(box=rect, padding=padding, feather=feather)


def ellipse(
    left: float, top: float, width: float, height: float, *, padding: float = 0.0, feather: float = 0.0
) -> Region:
    """Return the ellipse inscribed in an upright rectangle; otherwise as `box`."""
    rect = Rect(left=left, top=top, width=width, height=height)
    return Region(ellipse=rect, padding=padding, feather=feather)
