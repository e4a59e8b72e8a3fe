"""ICC profiles: which describes the pixels of a raster, and new ones for colours that are described otherwise.

Source: ICC.1:2022 (sections 7 to 10), H.273 (code points), PNG specification (gAMA, cHRM).
"""

import struct
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.color.description import ColorDescription

Curve = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""From samples, 0 to 1, to light, 0 to 1."""
_ICC_MODES = {b"GRAY": {"L", "LA"}, b"RGB ": {"RGB", "RGBA", "YCbCr"}, b"CMYK": {"CMYK"}}
"""By the colour space that a profile describes (ICC.1, section 7.2.6)."""
_D65 = (0.3127, 0.3290)
_D50 = np.array([0.9642, 1.0, 0.8249])
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
BT_709 = (*_D65, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
"""x and y of white, red, green and blue."""
ADOBE_RGB = (*_D65, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
ADOBE_RGB_GAMMA = 563 / 256
_PRIMARIES = {
    1: BT_709,
    4: (0.310, 0.316, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),
    5: (*_D65, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),
    6: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    7: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    8: (0.310, 0.316, 0.681, 0.319, 0.243, 0.692, 0.145, 0.049),
    9: (*_D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    11: (0.314, 0.351, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    12: (*_D65, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    22: (*_D65, 0.630, 0.340, 0.295, 0.605, 0.155, 0.077),
}
PQ, HLG = 16, 18
HDR_TRANSFERS = frozenset({PQ, HLG})
_BT_1886 = 2.4
_SAMPLES_OF_CURVE = 1024
"""Number of samples of a curve that is not given by an exponent."""


def icc_profile_for(color: ColorDescription, mode: str) -> bytes | None:
    """Return the profile that describes a raster of this mode: the file's own, or one with the same meaning.

    None if the file has none for this mode, or describes its colours as sRGB.
    """
    if color.code_points is not None:
        made = _of_code_points(*color.code_points, grey=mode in {"L", "LA"}) if mode != "CMYK" else None
        if made is not None or color.icc_profile is None:
            return made
    if color.icc_profile is not None:
        return profile_for(color.icc_profile, mode)
    if color.srgb_intent is None and color.gamma is not None and mode != "CMYK":
        chromaticities = color.chromaticities if color.chromaticities and _is_possible(color.chromaticities) else BT_709
        if chromaticities == BT_709 and abs(color.gamma - 1 / 2.2) < 0.01:
            return None
        return matrix_profile(chromaticities, 1 / color.gamma, grey=mode in {"L", "LA"})
    return None


def profile_for(icc_profile: bytes | None, mode: str) -> bytes | None:
    """Return a file's own profile if it describes the colours of a raster of this mode."""
    return icc_profile if icc_profile and mode in _ICC_MODES.get(icc_profile[16:20], set()) else None


def curve_of(transfer: int) -> Curve | None:
    """Return the transfer function with this code point; None for an unknown one."""
    match transfer:
        case 1 | 6 | 14 | 15:
            return lambda samples: samples**_BT_1886  # how a screen shows BT.709, as in Chromium
        case 4:
            return lambda samples: samples**2.2
        case 5:
            return lambda samples: samples**2.8
        case 8:
            return lambda samples: samples
        case 13:
            return _srgb
        case 16:
            return _pq
        case 18:
            return _hlg
    return None


@lru_cache(maxsize=16)
def _of_code_points(primaries: int, transfer: int, *, grey: bool) -> bytes | None:
    curve = curve_of(transfer)
    if primaries not in _PRIMARIES or curve is None or (primaries, transfer) == (1, 13):
        return None
    gamma = {1: _BT_1886, 6: _BT_1886, 14: _BT_1886, 15: _BT_1886, 4: 2.2, 5: 2.8, 8: 1.0}.get(transfer)
    hdr = (primaries, transfer) if transfer in HDR_TRANSFERS else None
    return matrix_profile(_PRIMARIES[primaries], gamma or curve, code_points=hdr, grey=grey)


@lru_cache(maxsize=16)
def matrix_profile(
    chromaticities: Sequence[float], curve: float | Curve, *, grey: bool, code_points: tuple[int, int] | None = None
) -> bytes:
    """Make a profile of version 4 from primaries and a transfer function, which may be an exponent."""
    to_d50 = _to_d50(chromaticities)
    white = _adaptation(chromaticities[:2])
    tags: dict[bytes, bytes] = {
        b"desc": _text("ImageBlur, from the description of the original"),
        b"cprt": _text("CC0"),
        b"wtpt": _xyz(_D50),
        b"chad": b"sf32" + bytes(4) + _fixed(white.ravel()),
    }
    response = _curve(curve)
    if grey:
        tags[b"kTRC"] = response
    else:
        for index, name in enumerate("rgb"):
            tags[f"{name}XYZ".encode()] = _xyz(to_d50[:, index])
            tags[f"{name}TRC".encode()] = response
    if code_points is not None:
        tags[b"cicp"] = b"cicp" + bytes(4) + bytes([*code_points, 0, 1])
    return _profile(tags, b"GRAY" if grey else b"RGB ")


def linear_transform(primaries: int, chromaticities: Sequence[float]) -> NDArray[np.float64] | None:
    """From linear RGB of primaries, by their code point, to that of others; None for unknown ones."""
    if primaries not in _PRIMARIES:
        return None
    return np.asarray(np.linalg.solve(_to_d50(chromaticities), _to_d50(_PRIMARIES[primaries])), np.float64)


def _profile(tags: dict[bytes, bytes], space: bytes) -> bytes:
    at = 128 + 4 + 12 * len(tags)
    table, places = [struct.pack(">I", len(tags))], dict[bytes, int]()
    body = b""
    for name, content in tags.items():
        if content not in places:
            places[content] = at + len(body)
            body += content + bytes(-len(content) % 4)
        table.append(struct.pack(">4sII", name, places[content], len(content)))
    header = bytearray(128)
    struct.pack_into(">I4sI4s4s4s", header, 0, at + len(body), bytes(4), 0x04400000, b"mntr", space, b"XYZ ")
    struct.pack_into(">6H4s", header, 24, 2026, 1, 1, 0, 0, 0, b"acsp")
    header[68:80] = _fixed(_D50)
    return b"".join([header, *table, body])


def _text(text: str) -> bytes:
    encoded = text.encode("utf-16-be")
    return b"mluc" + bytes(4) + struct.pack(">II4sII", 1, 12, b"enUS", len(encoded), 28) + encoded


def _fixed(values: NDArray[np.float64]) -> bytes:
    return np.rint(np.asarray(values) * 65536).astype(">i4").tobytes()


def _xyz(values: NDArray[np.float64]) -> bytes:
    return b"XYZ " + bytes(4) + _fixed(values)


def _curve(curve: float | Curve) -> bytes:
    if not callable(curve):
        return b"para" + bytes(4) + struct.pack(">HH", 0, 0) + _fixed(np.array([curve]))
    values = np.rint(curve(np.linspace(0, 1, _SAMPLES_OF_CURVE)) * 65535).astype(">u2")
    return b"curv" + bytes(4) + struct.pack(">I", len(values)) + values.tobytes()


def _is_possible(chromaticities: Sequence[float]) -> bool:
    if 0 in chromaticities[1::2]:
        return False
    return abs(float(np.linalg.det(_columns(chromaticities[2:])))) > 1e-4


def _columns(chromaticities: Sequence[float]) -> NDArray[np.float64]:
    """XYZ of each pair of x and y, with a Y of 1, side by side."""
    pairs = np.array(chromaticities).reshape(-1, 2)
    return np.stack([pairs[:, 0] / pairs[:, 1], np.ones(len(pairs)), (1 - pairs.sum(axis=1)) / pairs[:, 1]])


def _to_d50(chromaticities: Sequence[float]) -> NDArray[np.float64]:
    """From linear RGB to XYZ of a white of D50."""
    white, primaries = _columns(chromaticities[:2])[:, 0], _columns(chromaticities[2:])
    return np.asarray(_adaptation(chromaticities[:2]) @ (primaries * np.linalg.solve(primaries, white)), np.float64)


def _adaptation(white: Sequence[float]) -> NDArray[np.float64]:
    cones = (_BRADFORD @ _D50) / (_BRADFORD @ _columns(white)[:, 0])
    adapted: NDArray[np.float64] = np.linalg.solve(_BRADFORD, cones[:, np.newaxis] * _BRADFORD)
    return adapted


def _srgb(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(samples <= 0.04045, samples / 12.92, ((samples + 0.055) / 1.055) ** 2.4)


def _pq(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    root = samples ** (32 / 2523)
    return (np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)) ** (8192 / 1305)


def _hlg(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    high = (np.exp((np.maximum(samples, 0.5) - 0.55991073) / 0.17883277) + 0.28466892) / 12
    return np.where(samples <= 0.5, samples**2 / 3, high)
