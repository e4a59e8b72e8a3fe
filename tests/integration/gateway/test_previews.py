"""PreviewImage between a real gateway, broker, worker and child process: of any format, only while it is kept."""

import io
from collections.abc import Iterator

import dramatiq
import grpc
import pytest
from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1 import order_pb2
from PIL import Image
from sqlalchemy import update

from services.blur_worker.child.pool import ChildPool
from services.blur_worker.images.blur_image import BlurImage
from services.common.db.engine import Database
from services.common.db.models import Order
from services.common.infra.messaging.broker import Broker
from tests.integration.gateway.conftest import Gateway
from tests.integration.gateway.operator.test_keys import reason
from tests.integration.gateway.test_orders import fields, refused
from tests.integration.steps_of_work import work_off
from tests.support.blur_workers import instant_worker
from tests.support.ids import UNKNOWN_ID
from tests.support.images import encode

SIZE = (80, 60)
TURNED = 6
"""EXIF orientation: to be turned clockwise by a quarter."""
HOUR = 3600
INVALID, NOT_FOUND = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND
PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """What previews use is in the blob store."""
    return sqlite_url


@pytest.fixture(autouse=True)
def instant(
    queues: Broker,  # noqa: ARG001 - empty before this worker starts
    gateway: Gateway,
    instant_children: ChildPool,
) -> Iterator[dramatiq.Worker]:
    settings = gateway.settings
    with instant_worker(settings.broker_url, instant_children, settings.blob_url) as worker:
        yield worker


def turned_tiff() -> bytes:
    """A CMYK TIFF that browsers cannot show: cyan on the left, and stored lying on its side."""
    image = Image.new("CMYK", SIZE, (0, 0, 0, 0))
    image.paste((255, 0, 0, 0), (0, 0, SIZE[0] // 2, SIZE[1]))
    exif = Image.Exif()
    exif[0x0112] = TURNED
    target = io.BytesIO()
    image.save(target, "TIFF", exif=exif)
    return target.getvalue()


def place(gateway: Gateway, *files: bytes, keep: int = HOUR) -> list[order_pb2.Image]:
    """Place an order and return its images; the gateway remembers its ID."""
    header = pb.OrderHeader(email="ann@example.org", spec=order_pb2.BlurSpec(solid=order_pb2.Solid(color="#ff0000")))
    header.keep_originals_for.FromSeconds(keep)
    inputs = [pb.InputImage(filename=f"{number}.tif", data=data) for number, data in enumerate(files, 1)]
    order_id = gateway.blur.BlurOrder(pb.BlurOrderRequest(order=header, images=inputs)).order.order_id
    images = gateway.blur.ListImages(pb.ListImagesRequest(order_id=order_id)).images
    gateway.order_id = order_id  # type: ignore[attr-defined]
    return list(images)


def request(gateway: Gateway, image: order_pb2.Image, **fields: object) -> pb.PreviewImageRequest:
    return pb.PreviewImageRequest(
        order_id=gateway.order_id,  # type: ignore[attr-defined]
        image_id=image.image_id,
        **fields,  # type: ignore[arg-type]
    )


def preview(gateway: Gateway, image: order_pb2.Image, **fields: object) -> Image.Image:
    answer = gateway.blur.PreviewImage(request(gateway, image, **fields))
    drawn = Image.open(io.BytesIO(answer.data))
    assert (drawn.format, drawn.mode) == ("JPEG", "RGB")
    assert (answer.width, answer.height) == SIZE[::-1]
    return drawn


def test_an_original_is_drawn_upright_and_in_srgb(gateway: Gateway) -> None:
    [image] = place(gateway, turned_tiff())
    drawn = preview(gateway, image)
    assert drawn.size == SIZE[::-1]
    top, bottom = drawn.getpixel((30, 10)), drawn.getpixel((30, 70))
    assert isinstance(top, tuple)
    assert isinstance(bottom, tuple)
    assert top[0] < 40  # cyan has no red
    assert top[2] > 200
    assert min(bottom) > 240


def test_a_drawing_is_no_larger_than_asked_for(gateway: Gateway) -> None:
    [image] = place(gateway, turned_tiff())
    assert preview(gateway, image, max_side=40).size == (30, 40)


def test_a_result_is_drawn_once_there_is_one(gateway: Gateway, blur: BlurImage) -> None:
    [image] = place(gateway, turned_tiff())
    source = pb.PREVIEW_SOURCE_RESULT
    error = refused(PRECONDITION, gateway.blur.PreviewImage, request(gateway, image, source=source))
    assert reason(error) == "IMAGE_NOT_SUCCEEDED"
    work_off(blur)
    color = preview(gateway, image, source=source).getpixel((30, 40))
    assert isinstance(color, tuple)
    assert color[0] > 240
    assert color[1] < 20


def test_originals_are_drawn_until_they_are_deleted(gateway: Gateway, blur: BlurImage) -> None:
    [image] = place(gateway, turned_tiff())
    work_off(blur)
    preview(gateway, image)
    gateway.blur.DeleteOriginals(pb.DeleteOriginalsRequest(order_id=gateway.order_id))  # type: ignore[attr-defined]
    assert reason(refused(PRECONDITION, gateway.blur.PreviewImage, request(gateway, image))) == "ORIGINALS_NOT_KEPT"


def test_originals_are_not_drawn_after_their_deadline(gateway: Gateway, blur: BlurImage, database: Database) -> None:
    [image] = place(gateway, turned_tiff())
    work_off(blur)
    with database.write() as session:
        session.execute(update(Order).values(originals_until=1))
    assert gateway.files()  # the sweep has not removed them yet
    assert reason(refused(PRECONDITION, gateway.blur.PreviewImage, request(gateway, image))) == "ORIGINALS_NOT_KEPT"


def test_orders_that_keep_nothing_show_no_original(gateway: Gateway) -> None:
    [image] = place(gateway, turned_tiff(), keep=0)  # waits for a worker
    assert reason(refused(PRECONDITION, gateway.blur.PreviewImage, request(gateway, image))) == "ORIGINALS_NOT_KEPT"


def test_an_original_of_another_order_is_not_drawn(gateway: Gateway) -> None:
    [other] = place(gateway, turned_tiff())
    place(gateway, turned_tiff())
    refused(NOT_FOUND, gateway.blur.PreviewImage, request(gateway, other))


def test_a_file_that_is_no_image_is_refused_with_the_reason(gateway: Gateway) -> None:
    [image] = place(gateway, b"not an image")
    error = refused(INVALID, gateway.blur.PreviewImage, request(gateway, image))
    assert reason(error) == "NOT_AN_IMAGE"


@pytest.mark.parametrize(
    ("wrong", "field"), [({"max_side": 15}, "max_side"), ({"max_side": 8193}, "max_side"), ({"source": 7}, "source")]
)
def test_wrong_requests_name_the_field(gateway: Gateway, wrong: dict[str, object], field: str) -> None:
    [image] = place(gateway, turned_tiff())
    assert list(fields(refused(INVALID, gateway.blur.PreviewImage, request(gateway, image, **wrong)))) == [field]
    image.image_id = UNKNOWN_ID
    refused(NOT_FOUND, gateway.blur.PreviewImage, request(gateway, image))


def test_status_and_list_images_return_specs_to_send_back(gateway: Gateway, blur: BlurImage) -> None:
    spec = order_pb2.BlurSpec(
        pixelate=order_pb2.Pixelate(cell_relative=0.25),
        regions=[order_pb2.Region(ellipse=order_pb2.Rect(left=0.25, top=0.25, width=0.5, height=0.5), padding=0.125)],
        exclude_regions=[order_pb2.Region(box=order_pb2.Rect(left=0, top=0, width=0.5, height=0.5))],
        output_format=order_pb2.IMAGE_FORMAT_PNG,
        quality=77,
    )
    first, _ = place(gateway, encode(Image.new("RGB", SIZE), "PNG"), encode(Image.new("RGB", SIZE), "PNG"))
    work_off(blur)
    order_id: str = gateway.order_id  # type: ignore[attr-defined]
    revision = pb.ImageRevision(image_id=first.image_id, spec=spec)
    gateway.blur.ReviseImages(pb.ReviseImagesRequest(order_id=order_id, images=[revision]))
    work_off(blur)
    order = gateway.blur.Status(pb.StatusRequest(order_id=order_id)).order
    assert order.spec.solid.color == "#ff0000"
    revised, other = gateway.blur.ListImages(pb.ListImagesRequest(order_id=order_id)).images
    assert revised.spec == spec
    assert not other.HasField("spec")
    watched = next(iter(gateway.blur.WatchStatus(pb.WatchStatusRequest(order_id=order_id))))
    assert not any(image.HasField("spec") for image in watched.changed_images)


def test_the_image_of_an_upload_is_drawn_once_it_is_complete(gateway: Gateway) -> None:
    file = turned_tiff()
    images = [pb.ImageStart(filename="a.tif", size_bytes=len(file))]
    upload = gateway.blur.CreateUpload(pb.CreateUploadRequest(order=pb.OrderHeader(), images=images)).upload

    def send(offset: int, data: bytes) -> None:
        start = pb.AppendStart(upload_id=upload.upload_id, offset=offset)
        gateway.blur.AppendUpload(iter([pb.AppendUploadRequest(start=start), pb.AppendUploadRequest(chunk=data)]))

    wanted = pb.FindRegionsRequest(upload_id=upload.upload_id, preview_side=40)
    send(0, file[:1000])
    assert reason(refused(PRECONDITION, gateway.blur.FindRegions, wanted)) == "UPLOAD_INCOMPLETE"
    send(1000, file[1000:])
    answer = gateway.blur.FindRegions(wanted)
    assert (answer.width, answer.height) == (60, 80)
    with Image.open(io.BytesIO(answer.preview)) as drawn:
        assert drawn.size == (30, 40)
    both = pb.FindRegionsRequest(upload_id=upload.upload_id, data=b"x", preview_side=40)
    assert set(fields(refused(INVALID, gateway.blur.FindRegions, both))) == {"upload_id"}
    refused(NOT_FOUND, gateway.blur.FindRegions, pb.FindRegionsRequest(upload_id=UNKNOWN_ID, preview_side=40))
    gateway.blur.CompleteUpload(pb.CompleteUploadRequest(upload_id=upload.upload_id))
    assert reason(refused(PRECONDITION, gateway.blur.FindRegions, wanted)) == "UPLOAD_COMPLETED"
