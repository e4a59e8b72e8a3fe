"""Small pictures of results, to be shown inside an e-mail. Results alone: nothing that was not blurred is ever read."""

from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
from uuid import UUID

from PIL import Image as Pictures
from PIL import ImageOps

from services.common.db.models import Image
from services.common.domain.blob_reader import BlobReader
from services.common.domain.spec import Format
from services.common.infra import log
from services.mailer.content.models import Preview, Thumbnail

MOST = 6
"""In an e-mail."""
_SIDE = 156
"""Longest side as shown, in pixels; the file has twice as many, for screens that are fine."""
_MOST_BYTES, _MOST_PIXELS = 4_000_000, 12_000_000
"""Results beyond have no thumbnail: to make one would take more than an e-mail is worth."""
_FORMATS = (Format.JPEG, Format.PNG, Format.WEBP)
_BACKGROUND = (255, 255, 255)

_log = log.get(__name__)


def possible(image: Image) -> bool:
    """Whether a thumbnail is made of a result."""
    small = image.output_bytes <= _MOST_BYTES and image.width * image.height <= _MOST_PIXELS
    return small and image.format in _FORMATS


@dataclass(frozen=True)
class Thumbnails:
    """Makes thumbnails of results."""

    blobs: BlobReader

    def __call__(self, previews: Iterable[Preview], email_id: UUID, domain: str) -> list[Thumbnail]:
        """The thumbnails of an e-mail; a result of which none can be made is left out.

        Raises:
            MissingBlob: A result is gone.
            Unavailable: The blob store cannot be reached.
        """
        made = []
        for preview in previews:
            data = self.blobs.get(preview.key)
            try:
                picture = _small(data)
            except Exception as error:  # whatever a picture may do: the e-mail goes without it
                _log.warning("no thumbnail", error=type(error).__name__)
                continue
            made.append(_thumbnail(picture, preview.position, f"image-{preview.position}.{email_id}@{domain}"))
        return made


def _small(data: bytes) -> Pictures.Image:
    with Pictures.open(BytesIO(data), formats=[*_FORMATS]) as opened:
        if opened.width * opened.height > _MOST_PIXELS:
            raise ValueError("larger than its row says")
        opened.draft("RGB", (4 * _SIDE, 4 * _SIDE))
        upright = ImageOps.exif_transpose(opened)
        upright.thumbnail((2 * _SIDE, 2 * _SIDE))
        with_alpha = upright.convert("RGBA")
        flat = Pictures.new("RGB", with_alpha.size, _BACKGROUND)
        flat.paste(with_alpha, mask=with_alpha.getchannel("A"))
        return flat


def _thumbnail(picture: Pictures.Image, position: int, cid: str) -> Thumbnail:
    target = BytesIO()
    picture.save(target, "JPEG", quality=78, optimize=True)
    width, height = picture.size
    scale = max(width, height, _SIDE) / _SIDE
    return Thumbnail(position, cid, max(1, round(width / scale)), max(1, round(height / scale)), target.getvalue())
