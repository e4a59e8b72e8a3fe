"""The other formats at one sigma: the engine against Pillow with the same quality; kinds of JPEG; PNG of 16 bits.

Beside the engine's time is what its decoder and encoder alone take: what no faster blur would save. Pillow has no
Gaussian of 16 bits: there the engine is compared with libvips and OpenCV.
"""

import functools
import io
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageFilter

from benchmarks import peers, photographs
from benchmarks.report import table
from benchmarks.rounds import Measured, interleaved, ratio, size_ratio
from services.blur_worker.engine.blur_frame import blur_frames
from services.blur_worker.engine.decode import decode
from services.blur_worker.engine.encode import encode
from services.blur_worker.engine.images import Frame
from services.common.domain.spec import BlurSpec, Gaussian

SIGMA = 5.0
_NAMES = list(photographs.LARGE)[:5]
_SIZE = 1640, 1200
_HEAD = [
    "engine", "Pillow", "Pillow ÷ engine", "bytes against Pillow's", "decode + encode alone", "engine ÷ these",
]  # fmt: skip
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
        ways = {"engine": peers.by_engine, "Pillow": _pillow(format_, options), "alone": _codec_alone}
        rows.append([name, *_with_codec(interleaved(ways, files, SIGMA, rounds))])
    first = table(["RGB, 2 MP", *_HEAD], rows)
    rows = []
    for mode in ("L", "RGB"):
        shallow = [photographs.png(crop.convert(mode)) for crop in crops]
        deep = [_deep_png(crop.convert(mode)) for crop in crops]
        ways = {"engine": peers.by_engine, "libvips": peers.by_vips, "OpenCV": peers.by_opencv}
        found = interleaved(ways, deep, SIGMA, rounds)
        of_8_bits = interleaved({"engine": peers.by_engine}, shallow, SIGMA, rounds)["engine"]
        times = found["engine"].milliseconds / of_8_bits.milliseconds
        rows.append([mode, *_against(found, "libvips"), f"{found['OpenCV'].milliseconds:.1f}", f"{times:.1f}"])
    kinds = table(["JPEG, 2 MP", *_HEAD, "libvips ÷ engine", "path"], _kinds_of_jpeg(crops, rounds))
    head = ["PNG of 16 bits", "engine", "libvips", "libvips ÷ engine", "bytes against libvips'", "OpenCV", "÷ 8 bits"]
    return f"### Other formats, sigma {SIGMA:g}\n\nMilliseconds, medians:\n\n{first}\n{kinds}\n{table(head, rows)}"


def _kinds_of_jpeg(crops: Sequence[Image.Image], rounds: int) -> list[list[str]]:
    rows = []
    for name, mode, options in (
        ("progressive", "RGB", {"progressive": True}),
        ("CMYK", "CMYK", {}),
        ("progressive, CMYK", "CMYK", {"progressive": True}),
    ):
        files = [_saved(crop.convert(mode), "JPEG", options | {"quality": peers.QUALITY}) for crop in crops]
        ways = {
            "engine": peers.by_engine,
            "Pillow": peers.by_pillow,
            "alone": _jpeg_alone if mode == "RGB" else _codec_alone,
            "libvips": peers.by_vips,
        }
        for sigma in (2.0, SIGMA, 20.0):
            for data in files:
                peers.by_engine(data, sigma)
            found = interleaved(ways, files, sigma, rounds)
            of_vips = str(ratio(found["libvips"], found["engine"]))
            path = peers.blur_with_engine(files[0], sigma).path
            rows.append([f"{name}, sigma {sigma:g}", *_with_codec(found), of_vips, path])
    return rows


def _with_codec(found: Mapping[str, Measured]) -> list[str]:
    return [
        *_against(found, "Pillow"),
        f"{found['alone'].milliseconds:.1f}",
        str(ratio(found["engine"], found["alone"])),
    ]


def _codec_alone(data: bytes, sigma: float) -> bytes:
    """Decode, and encode what was blurred before."""
    spec, frames = BlurSpec(Gaussian(sigma), quality=peers.QUALITY), _blurred(data, sigma)
    info = decode(data, peers.LIMITS, None, keep_metadata=False).info
    return encode(info, frames, info.format, spec)


@functools.lru_cache(maxsize=8)
def _blurred(data: bytes, sigma: float) -> list[Frame]:
    frames = decode(data, peers.LIMITS, None, keep_metadata=False).frames
    blur_frames(frames, BlurSpec(Gaussian(sigma)))
    return frames


def _jpeg_alone(data: bytes, sigma: float) -> bytes:
    """Let libjpeg decode, and encode what was blurred before."""
    with Image.open(io.BytesIO(data)) as image:
        image.load()
    return peers.saved(_blurred(data, sigma)[0].raster.to_pillow(), "JPEG")


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
