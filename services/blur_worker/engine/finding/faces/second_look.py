"""Look again at what may be a face: turned, and brought to the size at which the network sees best."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from services.blur_worker.engine.finding.faces.decoding import NO_BOXES, Boxes, boxes_at
from services.blur_worker.engine.finding.faces.network import STRIDE, FaceMaps, Network
from services.blur_worker.engine.finding.faces.pyramid import Level
from services.blur_worker.engine.finding.faces.turning import turned_sides

_BATCH = 32


@dataclass(frozen=True, kw_only=True)
class Look:
    """How to look."""

    face: int
    """Height in pixels to which the face is scaled."""
    side: int
    """Side in pixels of what is cut out around it; a multiple of the network's."""
    reach: float
    """How far a face's centre may be from the middle, as a fraction of the face's height."""


QUICK = Look(face=40, side=64, reach=0.6)
CAREFUL = Look(face=40, side=96, reach=0.4)


def examine(
    network: Network, levels: list[Level], boxes: Boxes, look: Look, degrees: float | NDArray[np.float64]
) -> Boxes:
    """Return the best box near each of some boxes, with the confidence that it is a face.

    Args:
        network: It looks.
        levels: Of the image.
        boxes: In pixels of the image.
        look: How.
        degrees: By how much the faces are turned clockwise: for all, or for each.
    """
    turns = np.radians(np.broadcast_to(degrees, len(boxes)))
    sizes = np.maximum(np.maximum((boxes[:, 2] - boxes[:, 0]) * 1.2, boxes[:, 3] - boxes[:, 1]), STRIDE)
    scales = sizes / look.face
    found = [NO_BOXES]
    for start in range(0, len(boxes), _BATCH):
        some = slice(start, start + _BATCH)
        found.append(_examine(network, levels, boxes[some], look, turns[some], scales[some]))
    return np.concatenate(found)


def _examine(
    network: Network,
    levels: list[Level],
    boxes: Boxes,
    look: Look,
    turns: NDArray[np.float64],
    scales: NDArray[np.float32],
) -> Boxes:
    x, y = boxes[:, [0, 2]].mean(axis=1), boxes[:, [1, 3]].mean(axis=1)
    views = [_view(levels, look.side, *each) for each in zip(x, y, scales, turns, strict=True)]
    seen = _best(network.run(np.stack(views)), look)
    # From the view's pixels to the image's: scaled and turned back around the centre.
    across, down = seen[:, [0, 2]].mean(axis=1) - look.side / 2, seen[:, [1, 3]].mean(axis=1) - look.side / 2
    cosine, sine = np.cos(turns), np.sin(turns)
    x = x + scales * (cosine * across - sine * down)
    y = y + scales * (sine * across + cosine * down)
    wide, high = turned_sides((seen[:, 2] - seen[:, 0]) * scales, (seen[:, 3] - seen[:, 1]) * scales, cosine, sine)
    return np.stack((x - wide / 2, y - high / 2, x + wide / 2, y + high / 2, seen[:, 4]), axis=1).astype(np.float32)


def _view(levels: list[Level], side: int, x: float, y: float, scale: float, turn: float) -> NDArray[np.uint8]:
    """Return a square of `side` pixels around a point, each `scale` pixels of the image; black beyond the image."""
    level = max((one for one in levels if one.reduction <= max(scale * 1.05, 1)), key=lambda one: one.reduction)
    x, y, scale = x / level.reduction, y / level.reduction, scale / level.reduction
    reach = math.ceil(side * scale * (0.5 if turn == 0 else math.sqrt(0.5))) + 2
    left, top = max(0, int(x) - reach), max(0, int(y) - reach)
    around = level.pixels[top : int(y) + reach, left : int(x) + reach]
    if not around.size:
        return np.zeros((side, side, 3), np.uint8)
    cosine, sine, middle = scale * math.cos(turn), scale * math.sin(turn), side / 2
    across = (cosine, -sine, x - left - middle * (cosine - sine))
    down = (sine, cosine, y - top - middle * (sine + cosine))
    image = Image.fromarray(around)
    view = image.transform((side, side), Image.Transform.AFFINE, (*across, *down), Image.Resampling.BILINEAR)
    return np.asarray(view)


def _best(maps: FaceMaps, look: Look) -> Boxes:
    """Return the most confident box of each input whose centre is near the middle: farther off may be another face."""
    cells = look.side // STRIDE
    edge = cells // 2 - round(look.face * look.reach / STRIDE)
    middle = maps.confidence[:, edge:-edge, edge:-edge]
    rows, columns = np.divmod(middle.reshape(len(middle), -1).argmax(axis=1), cells - 2 * edge)
    return boxes_at(maps, np.arange(len(middle)), rows + edge, columns + edge)
