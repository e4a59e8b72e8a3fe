"""Orders that keep their originals, and revisions of their images."""

import io

from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1 import order_pb2
from sqlalchemy import update

from services.common.db.engine import Database
from services.common.db.models import Order
from tests.integration.gateway.conftest import Gateway
from tests.support.images import encode, photo

PHOTO = encode(photo(), "PNG")

RED = order_pb2.BlurSpec(solid=order_pb2.Solid(color="#ff0000"))

BLUE = order_pb2.BlurSpec(solid=order_pb2.Solid(color="#0000ff"))

HOUR = 3600


def place(gateway: Gateway, *files: bytes, keep: int = HOUR) -> str:
    header = pb.OrderHeader(email="ann@example.org", spec=RED)
    header.keep_originals_for.FromSeconds(keep)
    inputs = [pb.InputImage(filename=f"{number}.png", data=data) for number, data in enumerate(files, 1)]
    return gateway.blur.BlurOrder(pb.BlurOrderRequest(order=header, images=inputs)).order.order_id


def status(gateway: Gateway, order_id: str) -> pb.StatusResponse:
    return gateway.blur.Status(pb.StatusRequest(order_id=order_id, view=pb.ORDER_VIEW_FULL))


def revise(gateway: Gateway, order_id: str, *image_ids: str, spec: order_pb2.BlurSpec = BLUE) -> order_pb2.Order:
    return gateway.blur.ReviseImages(revision(order_id, *image_ids, spec=spec)).order


def revision(order_id: str, *image_ids: str, spec: order_pb2.BlurSpec = BLUE) -> pb.ReviseImagesRequest:
    if not image_ids:
        return pb.ReviseImagesRequest(order_id=order_id, spec=spec)
    listed = [pb.ImageRevision(image_id=image_id, spec=spec) for image_id in image_ids]
    return pb.ReviseImagesRequest(order_id=order_id, images=listed)


def color(gateway: Gateway, order_id: str, image_id: str) -> tuple[int, ...]:
    """The colour of a downloaded result."""
    from PIL import Image as Pillow

    parts = gateway.blur.DownloadImages(pb.DownloadImagesRequest(order_id=order_id, image_ids=[image_id]))
    with Pillow.open(io.BytesIO(b"".join(part.chunk for part in parts))) as opened:
        pixel = opened.convert("RGB").getpixel((5, 5))
    assert isinstance(pixel, tuple)
    return pixel


def expire_originals(database: Database) -> None:
    with database.write() as session:
        session.execute(update(Order).values(originals_until=1))
