"""The path of a JPEG of which only regions are blurred: all blocks that they do not touch stay what they are."""

from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from typing import Protocol

from services.blur_worker.engine.blur_frame import blur_frame, read_box
from services.blur_worker.engine.decode import decode
from services.blur_worker.engine.find_and_hide import find_and_hide
from services.blur_worker.engine.finding.find import DetectorSource
from services.blur_worker.engine.images import Blurred, Frame
from services.blur_worker.engine.jpeg.copied import CopiedJpeg
from services.blur_worker.engine.jpeg.format.markers import UnsupportedJpeg
from services.blur_worker.engine.jpeg.original import OriginalJpeg, jpeg_to_jpeg, open_original
from services.blur_worker.engine.jpeg.recoded import RecodedJpeg
from services.blur_worker.engine.jpeg.stored_pixels import ChangedBlocks, StoredComponent, blank, changed_blocks, draw
from services.blur_worker.engine.layers import Layer, layers
from services.blur_worker.engine.limits import Limits
from services.blur_worker.engine.pixel_image import PixelImage
from services.blur_worker.engine.regions import hides_whole
from services.blur_worker.engine.stage_timer import StageTimer
from services.common.domain.spec import BlurSpec, Format

NAME = "jpeg-splice"


def blur_regions(
    data: bytes, spec: BlurSpec, limits: Limits, detectors: DetectorSource | None = None
) -> Blurred | None:
    """Apply the effects to the blocks that regions touch; return None if file or spec are not for this path.

    Those blocks are encoded anew from their pixels, with the file's own quantization tables: nothing of what was there
    before is in them. The spec's quality is not used here, since it would change the others. An image is turned
    upright by turning its blocks.

    Raises:
        ImageError: See `blur`.
    """
    if not jpeg_to_jpeg(data, spec) or hides_whole(spec):
        return None
    timer = StageTimer()
    try:
        image = _SplicedJpeg(data, spec, limits, timer)
    except UnsupportedJpeg:
        return None
    return find_and_hide(image, spec, limits, detectors, timer)


class StoredJpeg(Protocol):
    """A JPEG of which blocks can be changed, several times, each time those of the original."""

    def components(self, found: Sequence[Layer]) -> list[StoredComponent]:
        """Return all components, with at least those blocks that layers need."""

    def encode(self, changes: Sequence[Sequence[ChangedBlocks]], timer: StageTimer) -> bytes:
        """Return the image with these changes, of each component, to what `components` returned last."""


class _SplicedJpeg:
    """A JPEG of which regions are to be hidden: a `HideableImage`."""

    def __init__(self, data: bytes, spec: BlurSpec, limits: Limits, timer: StageTimer) -> None:
        """Decode the coefficients.

        Raises:
            UnsupportedJpeg: It is not for this path.
        """
        self._data, self._limits, self._timer, self._keep_metadata = data, limits, timer, spec.keep_metadata
        self._original = open_original(data, limits, keep_metadata=spec.keep_metadata)
        if self._original.has_coarse_chroma:
            raise UnsupportedJpeg("samples of chroma that viewers repeat: no blur of them is smooth")
        # What is found may become solid, too, if it can still be found.
        effects = (spec.effect, *(region.effect for region in spec.regions if region.effect))
        fine = bool(spec.find) or any(effect.irreversible for effect in effects)
        self._stored: StoredJpeg | None = _stored(self._original, spec, fine=fine)
        timer.lap("decode")

    @property
    def frames(self) -> list[Frame]:
        """See `HideableImage`: all pixels, which only detectors need."""
        return self._pixels.frames

    @cached_property
    def _pixels(self) -> PixelImage:
        decoded = decode(self._data, self._limits, Format.JPEG, keep_metadata=self._keep_metadata)
        return PixelImage(decoded, self._timer)

    def hide(self, spec: BlurSpec) -> Blurred:
        """See `HideableImage`."""
        if self._stored:
            with suppress(UnsupportedJpeg):
                return self._hide_blocks(self._stored, spec)
            # In pixels from now on, which need the memory; what was found by now is not looked for again.
            self._stored = None
        return self._pixels.hide(spec)

    def _hide_blocks(self, stored: StoredJpeg, spec: BlurSpec) -> Blurred:
        size = width, height = self._original.displayed
        found = layers(spec, size)
        components = stored.components(found)
        self._timer.lap("decode")
        original = blank(components, size)
        for layer in found:
            draw(components, read_box(layer, original), original)
        hidden = blur_frame(Frame(original), spec, found, in_place=True).raster
        changes = [changed_blocks(components, hidden, layer.box, layer.mask) for layer in found]
        self._timer.lap("blur")
        encoded = stored.encode(changes, self._timer)
        return Blurred(
            data=encoded,
            format=Format.JPEG,
            width=width,
            height=height,
            frames=1,
            path=NAME,
            seconds=self._timer.seconds,
        )


def _stored(original: OriginalJpeg, spec: BlurSpec, *, fine: bool) -> StoredJpeg:
    if original.orientation == 1 and original.has_sequential_scan:
        with suppress(UnsupportedJpeg):  # divisors of 16 bits; finer tables may have none
            copied = CopiedJpeg(original, spec)
            if copied.can_be_copied(fine=fine):
                return copied
    return RecodedJpeg(original, spec, fine=fine)
