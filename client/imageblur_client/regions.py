"""Regions of an image, in fractions of its width and height as displayed."""

from collections.abc import Iterable, Sequence

from imageblur.v1.order_pb2 import Brush, Point, Polygon, Rect, Region, Stroke


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


def polygon(points: Iterable[Sequence[float]], *, padding: float = 0.0, feather: float = 0.0) -> Region:
    """Return a polygon of these corners, each x and y; otherwise as `box`."""
    return Region(polygon=Polygon(points=_points(points)), padding=padding, feather=feather)


def brush(points: Iterable[Sequence[float]], width: float, *, padding: float = 0.0, feather: float = 0.0) -> Region:
    """Return one stroke of a round brush through these points, each x and y; otherwise as `box`.

    Args:
        points: The middle of the stroke; a single point makes a dot.
        width: Diameter of the brush, as a fraction of the image's shorter side.
        padding: See `box`.
        feather: See `box`.
    """
    strokes = [Stroke(points=_points(points), width=width)]
    return Region(brush=Brush(strokes=strokes), padding=padding, feather=feather)


def parse_box(text: str) -> tuple[float, float, float, float]:
    """Return the four numbers of `LEFT,TOP,WIDTH,HEIGHT`. Raises: ValueError, with a message for people."""
    try:
        left, top, width, height = (float(part) for part in text.split(","))
    except ValueError:
        message = f"{text!r} is not LEFT,TOP,WIDTH,HEIGHT, four fractions such as 0.1,0.2,0.5,0.25"
        raise ValueError(message) from None
    return left, top, width, height


def parse_polygon(text: str) -> list[tuple[float, float]]:
    """Return the corners of `X,Y,X,Y,X,Y,…`. Raises: ValueError, with a message for people."""
    try:
        return _pairs(text, at_least=3)
    except ValueError:
        message = f"{text!r} is not X,Y,X,Y,X,Y and so on, fractions such as 0.1,0.1,0.9,0.2,0.5,0.8"
        raise ValueError(message) from None


def parse_brush(text: str) -> tuple[list[tuple[float, float]], float]:
    """Return the points and the width of `WIDTH:X,Y,X,Y,…`. Raises: ValueError, with a message for people."""
    width, _, points = text.partition(":")
    try:
        return _pairs(points, at_least=1), float(width)
    except ValueError:
        message = f"{text!r} is not WIDTH:X,Y,X,Y and so on, fractions such as 0.05:0.1,0.2,0.5,0.25"
        raise ValueError(message) from None


def _pairs(text: str, *, at_least: int) -> list[tuple[float, float]]:
    numbers = [float(part) for part in text.split(",")]
    if len(numbers) % 2 or len(numbers) < 2 * at_least:
        raise ValueError("a number is missing")
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def _points(points: Iterable[Sequence[float]]) -> list[Point]:
    return [Point(x=x, y=y) for x, y in points]
