"""Independent readers: Chromium for the formats of the web; libvips, Pillow and libtiff for TIFF; libheif for HEIC."""

import base64
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pyvips
from numpy.typing import NDArray
from PIL import Image, ImageOps
from playwright.sync_api import sync_playwright

_PAGE = "https://pictures.test/"
_READ = """async ([encoded, type, animated]) => {
  const bytes = Uint8Array.from(atob(encoded), character => character.charCodeAt(0));
  const pixels = (source, width, height) => {
    const context = new OffscreenCanvas(width, height).getContext('2d', {willReadFrequently: true, colorSpace: 'srgb'});
    context.drawImage(source, 0, 0);
    const data = context.getImageData(0, 0, width, height).data;
    let text = '';
    for (let at = 0; at < data.length; at += 32768)
      text += String.fromCharCode.apply(null, data.subarray(at, at + 32768));
    return {width, height, data: btoa(text)};
  };
  if (!animated) {
    const image = new Image();
    image.src = URL.createObjectURL(new Blob([bytes], {type}));
    await image.decode();
    return {frames: [pixels(image, image.naturalWidth, image.naturalHeight)]};
  }
  const decoder = new ImageDecoder({data: bytes, type});
  await decoder.tracks.ready;
  await decoder.completed;
  const frames = [];
  for (let index = 0; index < decoder.tracks.selectedTrack.frameCount; index++) {
    const {image} = await decoder.decode({frameIndex: index});
    frames.push({...pixels(image, image.displayWidth, image.displayHeight), microseconds: image.duration || 0});
    image.close();
  }
  return {frames, repetitions: String(decoder.tracks.selectedTrack.repetitionCount)};
}"""


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What a reader shows."""

    frames: list[NDArray[np.float32]]
    """Premultiplied RGBA, 0 to 255: shape (height, width, 4)."""
    milliseconds: list[float]
    repetitions: str = ""


class Unreadable(Exception):
    """The reader does not read the file: there is nothing to compare with."""


class Chromium:
    """A browser, as a context manager."""

    def __enter__(self) -> Self:
        self._playwright = sync_playwright().start()
        arguments = ["--no-sandbox", "--force-color-profile=srgb"]
        self._browser = self._playwright.chromium.launch(executable_path="/usr/bin/chromium", args=arguments)
        self._page = self._browser.new_page()
        self._page.route(f"{_PAGE}**", lambda route: route.fulfill(body="<html></html>", content_type="text/html"))
        self._page.goto(_PAGE)
        return self

    def __exit__(self, *_: object) -> None:
        self._browser.close()
        self._playwright.stop()

    def read(self, data: bytes, kind: str) -> Shown:
        """Read a file of the web. Raises: Unreadable."""
        animated = kind in {"png", "gif", "webp", "avif"}
        try:
            read: dict[str, Any] = self._page.evaluate(
                _READ, [base64.b64encode(data).decode(), f"image/{kind}", animated]
            )
        except Exception as error:
            raise Unreadable(str(error)[:100]) from error
        frames = [
            _premultiplied(np.frombuffer(base64.b64decode(each["data"]), np.uint8).reshape(each["height"], -1, 4))
            for each in read["frames"]
        ]
        if not frames:
            raise Unreadable("no frames")
        milliseconds = [each.get("microseconds", 0) / 1000 for each in read["frames"]]
        return Shown(frames=frames, milliseconds=milliseconds, repetitions=read.get("repetitions", ""))


class Readers:
    """All readers, as a context manager: for each kind of file the first one is the reference."""

    ORDER: ClassVar[dict[str, tuple[str, ...]]] = {
        "tiff": ("libvips", "Pillow", "tiff2rgba"),
        "heif": ("heif-convert",),
        "gif": ("Chromium",),
    }
    """Of GIF and other animations libvips and Pillow see only the first frame, or compose it otherwise."""

    def __enter__(self) -> Self:
        self._chromium = Chromium().__enter__()
        return self

    def __exit__(self, *arguments: object) -> None:
        self._chromium.__exit__(*arguments)

    def others(self, kind: str, name: str) -> Sequence[str]:
        """Return the readers of a kind of file but this one."""
        return [each for each in self.ORDER.get(kind, ("Chromium",)) if each != name]

    def read_first(self, data: bytes, kind: str) -> tuple[Shown | None, str, str]:
        """Return what the first reader shows that reads the file, and its name; else why none does."""
        why = ""
        for name in self.ORDER.get(kind, ("Chromium",)):
            try:
                return self.read(name, data, kind), name, ""
            except Unreadable as error:
                why = str(error)
        return None, "", why

    def read_if_it_can(self, name: str, data: bytes, kind: str) -> Shown | None:
        """Read a file; None if it cannot be read."""
        try:
            return self.read(name, data, kind)
        except Unreadable:
            return None

    def read(self, name: str, data: bytes, kind: str) -> Shown:
        """Read a file. Raises: Unreadable."""
        match name:
            case "libvips" if kind == "tiff":
                return read_with_libvips(data)
            case "Pillow" if kind == "tiff":
                return _read_with_pillow(data)
            case "tiff2rgba" if kind == "tiff":
                return read_with_libvips(_converted(data, "tiff2rgba", "source.tif", "target.tif"))
            case "heif-convert" if kind == "heif":
                return self._chromium.read(_converted(data, "heif-convert", "source.heic", "target.png"), "png")
            case _:
                return self._chromium.read(data, kind)


def _converted(data: bytes, tool: str, source: str, target: str) -> bytes:
    """Return what a command line tool makes of a file. Raises: Unreadable."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, source).write_bytes(data)
        done = subprocess.run(
            [tool, source, target], cwd=folder, capture_output=True, text=True, check=False, timeout=60
        )
        # Of a file with several pictures heif-convert writes each.
        written = sorted(Path(folder).glob(f"{Path(target).stem}*"))
        if done.returncode or not written:
            raise Unreadable(" ".join((done.stderr or done.stdout).split())[:100])
        return written[0].read_bytes()


def _read_with_pillow(data: bytes) -> Shown:
    """Read the first page of a TIFF by libtiff. Raises: Unreadable."""
    try:
        with Image.open(BytesIO(data)) as image:
            upright = ImageOps.exif_transpose(image)
            pixels = np.asarray(upright.convert("RGBA"))
    except Exception as error:
        raise Unreadable(str(error)[:100]) from error
    return Shown(frames=[_premultiplied(pixels)], milliseconds=[0])


def read_with_libvips(data: bytes) -> Shown:
    """Read the first page of a TIFF. Raises: Unreadable."""
    try:
        image = pyvips.Image.new_from_buffer(data, "").autorot()
        if image.interpretation not in {"b-w", "grey16", "rgb16", "srgb", "rgb", "multiband"} or image.format not in {
            "uchar",
            "ushort",
        }:
            raise Unreadable(f"{image.interpretation} {image.format}")
        pixels = np.asarray(image.numpy(), np.float32)
    except pyvips.Error as error:
        raise Unreadable(str(error)[:100]) from error
    if image.format == "ushort":
        pixels = pixels / np.float32(257)
    pixels = np.atleast_3d(pixels)
    if pixels.shape[2] not in {1, 2, 3, 4}:
        raise Unreadable(f"{pixels.shape[2]} bands")
    opaque = np.full((*pixels.shape[:2], 1), 255.0)
    alpha = pixels[..., -1:] if pixels.shape[2] in {2, 4} else opaque
    colors = pixels[..., :3] if pixels.shape[2] > 2 else np.repeat(pixels[..., :1], 3, axis=2)
    return Shown(frames=[_premultiplied(np.concatenate([colors, alpha], axis=2))], milliseconds=[0])


def _premultiplied(pixels: NDArray[Any]) -> NDArray[np.float32]:
    found = pixels.astype(np.float32)
    found[..., :3] *= found[..., 3:] / 255
    return found
