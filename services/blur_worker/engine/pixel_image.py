"""An image that is hidden in its pixels: that of every file that no fast path is for."""

from services.blur_worker.engine.blur_frame import blur_frames
from services.blur_worker.engine.encode import encode
from services.blur_worker.engine.images import Blurred, DecodedImage, Frame
from services.blur_worker.engine.stage_timer import StageTimer
from services.common.domain.spec import BlurSpec


class PixelImage:
    """A `HideableImage` in pixels."""

    def __init__(self, decoded: DecodedImage, timer: StageTimer) -> None:
        self._decoded = decoded
        self._timer = timer

    @property
    def frames(self) -> list[Frame]:
        """See `HideableImage`."""
        return self._decoded.frames

    def hide(self, spec: BlurSpec) -> Blurred:
        """See `HideableImage`; without anything to find, the original frames are gone afterwards."""
        info, target = self._decoded.info, spec.output_format or self._decoded.info.format.written_as
        frames = list(self.frames) if spec.find else self.frames
        blur_frames(frames, spec)
        self._timer.lap("blur")
        width, height = frames[0].raster.size
        encoded = encode(info, frames, target, spec)
        self._timer.lap("encode")
        return Blurred(
            data=encoded,
            format=target,
            width=width,
            height=height,
            frames=len(frames),
            path="pixels",
            seconds=self._timer.seconds,
        )
