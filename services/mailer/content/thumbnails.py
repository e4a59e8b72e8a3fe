"""Makes thumbnails of results to display inside an e-mail. Originals are never read."""

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
from services.mailer.content.email_content import PreviewedImage, Thumbnail

MAX_THUMBNAILS = 6
"""Most thumbnails in an e-mail."""
_SIDE = 156
"""Longest side as displayed, in pixels; the file has twice as many, for screens of high density."""
_MAX_BYTES, _MAX_PIXELS = 4_000_000, 12_000_000
"""Larger results have no thumbnail: it would take too long to make."""
_FORMATS = (Format.JPEG, Format.PNG, Format.WEBP)
_BACKGROUND = (255, 255, 255)

_log = log.get(__name__)


def has_thumbnail(image: Image) -> bool:
    """Return whether a thumbnail is made of a result."""
    small = image.output_bytes <= _MAX_BYTES and image.width * image.height <= _MAX_PIXELS
    return small and image.format in _FORMATS


@dataclass(frozen=True)
class Thumbnails:
    """Makes thumbnails of results."""

    blobs: BlobReader

    def __call__(self, previews: Iterable[PreviewedImage], email_id: UUID, domain: str) -> list[Thumbnail]:
        """Return the thumbnails of an e-mail; a result of which none can be made is left out.

        Raises:
            MissingBlob: A result is gone.
            Unavailable: The blob store cannot be reached.
        """
        made = []
        for preview in previews:
            data = self.blobs.get(preview.key)
            try:
                picture = _small(data)
            except Exception as error:  # a decoder may raise anything: the e-mail is sent without this thumbnail
                _log.warning("no thumbnail", error=type(error).__name__)
                continue
            made.append(_thumbnail(picture, preview.position, f"image-{preview.position}.{email_id}@{domain}"))
        return made


def _small(data: bytes) -> Pictures.Image:
    with Pictures.open(BytesIO(data), formats=[*_FORMATS]) as opened:
        if opened.width * opened.height > _MAX_PIXELS:
            raise ValueError("larger than its row states")
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
    return Thumbnail(
        position=position,
        cid=cid,
        width=max(1, round(width / scale)),
        height=max(1, round(height / scale)),
        data=target.getvalue(),
    )
