"""EXIF orientations, as what is done to the blocks of a plane."""

from dataclasses import dataclass


@dataclass(frozen=True)
class OrientationSteps:
    """How a stored image becomes upright: it is transposed, then flipped."""

    transposed: bool
    flipped_x: bool
    flipped_y: bool


ORIENTATIONS = {
    1: OrientationSteps(False, False, False),
    2: OrientationSteps(False, True, False),
    3: OrientationSteps(False, True, True),
    4: OrientationSteps(False, False, True),
    5: OrientationSteps(True, False, False),
    6: OrientationSteps(True, True, False),
    7: OrientationSteps(True, True, True),
    8: OrientationSteps(True, False, True),
}
"""By the value of EXIF's tag."""
