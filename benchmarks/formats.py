"""The other formats at one sigma: the engine against Pillow with the same quality and compression, and 16 bits.

Pillow has no Gaussian of 16 bits: there the engine is compared with libvips and OpenCV.
"""

import io
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageFilter

from benchmarks import peers, photographs
from benchmarks.report import table
from benchmarks.rounds import Measured, interleaved, ratio, size_ratio

SIGMA = 5.0
_NAMES = list(photographs.LARGE)[:5]
_SIZE = 1640, 1200
_OPTIONS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "WebP": ("WEBP", {"quality": peers.QUALITY}),
    "WebP, lossless": ("WEBP", {"lossless": True}),
    "AVIF": ("AVIF", {"quality": peers.QUALITY, "max_threads": 1}),
    "TIFF, LZW": ("TIFF", {"compression": "tiff_lzw"}),
    "TIFF, deflate": ("TIFF", {"compression": "tiff_adobe_deflate"}),
    "GIF": ("GIF", {}),
}


def formats(rounds: int) -> str:
    """Return tables of milliseconds and bytes against Pillow's, and of 16 bits against 8."""
    crops = [photographs.cropped(name, *_SIZE) for name in _NAMES]
    rows = []
    for name, (format_, options) in _OPTIONS.items():
        files = [_saved(crop, format_, options) for crop in crops]
        found = interleaved({"engine": peers.by_engine, "Pillow": _pillow(format_, options)}, files, SIGMA, rounds)
        rows.append([name, *_against(found, "Pillow")])
    first = table(["RGB, 2 MP", "engine", "Pillow", "Pillow ÷ engine", "bytes against Pillow's"], rows)
    rows = []
    for mode in ("L", "RGB"):
        shallow = [photographs.png(crop.convert(mode)) for crop in crops]
        deep = [_deep_png(crop.convert(mode)) for crop in crops]
        ways = {"engine": peers.by_engine, "libvips": peers.by_vips, "OpenCV": peers.by_opencv}
        found = interleaved(ways, deep, SIGMA, rounds)
        of_8_bits = interleaved({"engine": peers.by_engine}, shallow, SIGMA, rounds)["engine"]
        times = found["engine"].milliseconds / of_8_bits.milliseconds
        rows.append([mode, *_against(found, "libvips"), f"{found['OpenCV'].milliseconds:.1f}", f"{times:.1f}"])
    head = ["PNG of 16 bits", "engine", "libvips", "libvips ÷ engine", "bytes against libvips'", "OpenCV", "÷ 8 bits"]
    return f"### Other formats, sigma {SIGMA:g}\n\nMilliseconds, medians:\n\n{first}\n{table(head, rows)}"


def _against(found: Mapping[str, Measured], other: str) -> list[str]:
    engine, peer = found["engine"], found[other]
    return [
        f"{engine.milliseconds:.1f}",
        f"{peer.milliseconds:.1f}",
        str(ratio(peer, engine)),
        f"{size_ratio(engine, peer):.3f}",
    ]


def _pillow(format_: str, options: dict[str, Any]) -> peers.Blur:
    def by_pillow(data: bytes, sigma: float) -> bytes:
        with Image.open(io.BytesIO(data)) as image:
            return _saved(image.convert("RGB").filter(ImageFilter.GaussianBlur(sigma)), format_, options)

    return by_pillow


def _saved(image: Image.Image, format_: str, options: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    image.save(out, format_, **options)
    return out.getvalue()


def _deep_png(image: Image.Image) -> bytes:
    """Return a 16-bit PNG, its lower bytes as noisy as those of a camera."""
    samples = np.asarray(image).astype(np.int64) * 257
    noise = np.random.default_rng(1).integers(-64, 65, samples.shape)
    return bytes(cv2.imencode(".png", (samples + noise).clip(0, 65535).astype(np.uint16))[1])
