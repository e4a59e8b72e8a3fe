"""The planes of a JPEG before and after the blur, read by ways other than the one that is tested."""

from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from services.blur_worker.engine.jpeg.decode.image import decode_sequential
from services.blur_worker.engine.jpeg.format.frame import FrameHeader
from services.blur_worker.engine.jpeg.format.header_reader import HeaderReader
from services.blur_worker.engine.jpeg.transform.plane_blur import PlaneBlur
from services.blur_worker.engine.jpeg.transform.planes import CoefficientPlane, plan

Plane = NDArray[np.float64]

AWAY = 50
"""Sharp edges overshoot when they are quantized; what leaves 0 to 255 is cut off in one block and not in the next.
Where blocks are compared as they are stored, pictures keep away from both ends by so much."""


def soft(image: Image.Image, away: int = AWAY) -> Image.Image:
    """The picture with less contrast."""
    left = 255 - 2 * away
    return image.point([round(away + value * left / 255) for value in range(256)] * len(image.getbands()))


_frequency, _position = np.mgrid[0:8, 0:8]
DCT = np.cos((2 * _position + 1) * _frequency * np.pi / 16) * np.where(_frequency, 0.5, np.sqrt(1 / 8))
"""(frequency, position)"""


def header(data: bytes) -> FrameHeader:
    return HeaderReader(data).first_scan()[0]


def synthesized(data: bytes, sigma: float, orientation: int = 1, divisor: int = 1) -> list[Plane]:
    """What the blur makes of each plane before it is rounded, from the very coefficients that would be rounded."""
    reader = HeaderReader(data)
    frame, scan = reader.first_scan()
    coefficients = plan(frame, sigma, orientation)
    decode_sequential(reader, frame, scan, coefficients)
    return [blurred(plane, divisor) for plane in coefficients.planes]


def blurred(plane: CoefficientPlane, divisor: int = 1) -> Plane:
    """What the blur makes of a decoded plane."""
    blur = PlaneBlur(plane, np.full(64, divisor, np.uint16))
    rounded = np.empty((blur.rows, len(blur.zigzag), blur.columns), np.int16)
    exact = np.empty(rounded.shape, np.float32)
    blur.write_rows(0, blur.rows, rounded, exact)
    blocks = np.zeros((blur.rows, 8, 8, blur.columns))
    kinds = [(v, u) for v, wide in enumerate(blur.widths) for u in range(wide)]
    for kind, (v, u) in enumerate(kinds):
        blocks[:, v, u] = exact[:, kind]
    samples = np.einsum("rvuc,vy,ux->rycx", blocks, DCT, DCT).reshape(blur.rows * 8, blur.columns * 8) + 128
    made: Plane = samples[: plane.height, : plane.width]
    return made


def stored(data: bytes) -> Plane:
    """Luma as libjpeg decodes it: stored samples, rounded and clamped."""
    with JpegImageFile(BytesIO(data)) as image:
        image.draft("YCbCr", None)
        image.load()
        return np.asarray(image.getchannel(0)).astype(np.float64)


def gaussian(plane: Plane, sigma: float) -> Plane:
    """In float64, by cosine transform: mirrored for ever."""
    for _ in range(2):
        length = plane.shape[1]
        offsets = np.arange(-int(8 * sigma) - 8, int(8 * sigma) + 9)
        taps = np.exp(-0.5 * (offsets / sigma) ** 2)
        kernel = np.bincount(offsets % (2 * length), weights=taps / taps.sum(), minlength=2 * length)
        both = np.concatenate([plane, plane[:, ::-1]], axis=1)
        plane = np.fft.irfft(np.fft.rfft(both) * np.fft.rfft(kernel).real, 2 * length)[:, :length].T
    return plane


def turned(plane: Plane, orientation: int) -> Plane:
    """As EXIF says that it is to be displayed."""
    image = Image.fromarray(plane.astype(np.float32))
    turn = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }.get(orientation)
    return np.asarray(image.transpose(turn) if turn is not None else image).astype(np.float64)
