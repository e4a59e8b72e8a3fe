"""The command line against a server on a socket: what it prints where, and how it exits."""

import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Protocol

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2
from imageblur.v1.blur_service_pb2 import (
    BlurImageRequest,
    BlurImageResponse,
    CancelOrderResponse,
    DeleteOrderResponse,
    DeleteOriginalsResponse,
    DownloadImagesRequest,
    FindModel,
    FindRegionsRequest,
    FindRegionsResponse,
    GetLimitsResponse,
    ListImagesResponse,
    ReviseImagesRequest,
    ReviseImagesResponse,
    SendImagesRequest,
    SendImagesResponse,
    StreamBlurOrderRequest,
)
from imageblur.v1.order_pb2 import (
    BlurSpec,
    Check,
    CheckState,
    Delivery,
    DeliveryState,
    Effort,
    Finding,
    FindingKind,
    Image,
    ImageFormat,
    Pixelate,
    Rect,
    Redact,
    TextClass,
)
from imageblur.v1.subscription_service_pb2 import (
    ConfirmSubscriptionResponse,
    SubscribeResponse,
    UnsubscribeRequest,
    UnsubscribeResponse,
)
from imageblur_client import box, brush, ellipse, find_faces, find_text, polygon
from imageblur_client.cli import app
from PIL import Image as PillowImage
from typer.testing import CliRunner

from tests.integration.client.messages import (
    ORDER_ID,
    PARTIALLY_FAILED,
    RUNNING,
    SUCCEEDED,
    accepted,
    change,
    file,
    image,
    order,
    stands,
)
from tests.integration.client.scripted import ScriptedServer, bad_request, failure, unavailable


class Outcome(Protocol):
    exit_code: int

    @property
    def stdout(self) -> str: ...

    @property
    def stderr(self) -> str: ...


Run = Callable[..., Outcome]


@pytest.fixture
def run(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("IMAGEBLUR_SERVER", server.address)

    def invoke(*words: object) -> Outcome:
        result = CliRunner().invoke(app, [str(word) for word in words], prog_name="imageblur")
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return invoke


def _sent(server: ScriptedServer) -> StreamBlurOrderRequest:
    first = server.requests["StreamBlurOrder"][0][0]
    assert isinstance(first, StreamBlurOrderRequest)
    return first


def test_order_prints_what_was_accepted(server: ScriptedServer, run: Run, photo: Path) -> None:
    server.on("StreamBlurOrder", accepted())

    result = run("order", "--email", "ada@example.org", photo, photo)

    assert result.stdout == f"Order {ORDER_ID} accepted: 2 images, 6.0 MB\n"
    assert (result.stderr, result.exit_code) == ("", 0)
    assert _sent(server).start.image_count == 2
    assert _sent(server).start.order.spec == BlurSpec()


def test_an_order_without_an_address_names_the_command_for_its_results(
    server: ScriptedServer, run: Run, photo: Path
) -> None:
    server.on("StreamBlurOrder", accepted())

    result = run("order", photo)

    assert result.stdout.splitlines()[1:] == [f"Results: imageblur download {ORDER_ID} -o DIR"]
    assert _sent(server).start.order.email == ""


def test_order_downloads_the_results(server: ScriptedServer, run: Run, photo: Path, tmp_path: Path) -> None:
    server.on("StreamBlurOrder", accepted())
    server.on("WatchStatus", change(order(SUCCEEDED, total=1, succeeded=1), image(1, "cat.jpg")))
    server.on("DownloadImages", *file("blur_cat.jpg", b"blurred"))

    result = run("order", photo, "--output", tmp_path / "results")

    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines()[-1] == str(tmp_path / "results" / "blur_cat.jpg")
    assert (tmp_path / "results" / "blur_cat.jpg").read_bytes() == b"blurred"


def test_send_gives_an_order_its_address(server: ScriptedServer, run: Run) -> None:
    delivery = Delivery(state=DeliveryState.DELIVERY_STATE_QUEUED)
    server.on("SendImages", SendImagesResponse(delivery=delivery))

    assert run("send", ORDER_ID, "--email", "ada@example.org").exit_code == 0

    request = server.requests["SendImages"][0][0]
    assert isinstance(request, SendImagesRequest)
    assert request.email == "ada@example.org"


def test_order_quiet_prints_the_id_alone(server: ScriptedServer, run: Run, photo: Path) -> None:
    server.on("StreamBlurOrder", accepted())

    result = run("order", "-q", "-e", "ada@example.org", photo)

    assert (result.stdout, result.stderr) == (f"{ORDER_ID}\n", "")


def test_order_json_is_one_object(server: ScriptedServer, run: Run, photo: Path) -> None:
    server.on("StreamBlurOrder", accepted())

    result = run("order", "--json", "-e", "ada@example.org", photo)

    assert json.loads(result.stdout)["order"]["order_id"] == ORDER_ID


def test_every_option_arrives(server: ScriptedServer, run: Run, photo: Path) -> None:
    server.on("StreamBlurOrder", accepted())
    words = "--pixelate 24 --region 0,0,.5,.5 --region .5,.5,.1,.1 --ellipse .1,.1,.2,.3 --padding .02 --feather .01"
    words += " --polygon 0,0,1,0,.5,1 --brush .1:.2,.3,.4,.5"
    words += " --invert --format PNG --quality 70 --keep-metadata --notify --locale ru --request-id r1"

    assert run("order", "-e", "ada@example.org", *words.split(), photo).exit_code == 0

    header = _sent(server).start.order
    edge = {"padding": 0.02, "feather": 0.01}
    assert header.spec == BlurSpec(
        pixelate=Pixelate(cell_px=24),
        regions=[
            box(0, 0, 0.5, 0.5, **edge),
            box(0.5, 0.5, 0.1, 0.1, **edge),
            ellipse(0.1, 0.1, 0.2, 0.3, **edge),
            polygon([(0, 0), (1, 0), (0.5, 1)], padding=0.02, feather=0.01),
            brush([(0.2, 0.3), (0.4, 0.5)], 0.1, padding=0.02, feather=0.01),
        ],
        invert_regions=True,
        output_format=ImageFormat.IMAGE_FORMAT_PNG,
        quality=70,
        keep_metadata=True,
    )
    assert (header.email, header.notify, header.locale, header.request_id) == ("ada@example.org", True, "ru", "r1")


def test_every_option_of_finding_arrives(server: ScriptedServer, run: Run, photo: Path) -> None:
    server.on("StreamBlurOrder", accepted())
    words = "--find faces,text:card --effort thorough --redact --exclude 0,0,.5,.5 --find-padding .25 --invert"

    assert run("order", "-e", "ada@example.org", *words.split(), photo).exit_code == 0

    assert _sent(server).start.order.spec == BlurSpec(
        redact=Redact(),
        find=[find_faces(padding=0.25), find_text(TextClass.TEXT_CLASS_CARD, padding=0.25)],
        effort=Effort.EFFORT_THOROUGH,
        exclude_regions=[box(0, 0, 0.5, 0.5)],
        invert_regions=True,
    )


def test_order_watch_exits_with_1_when_something_remains(server: ScriptedServer, run: Run, photo: Path) -> None:
    server.on("StreamBlurOrder", accepted())
    doubtful = image(1, "cat.jpg")
    doubtful.findings.add(applied=True)
    doubtful.check.state = CheckState.CHECK_STATE_REMAINING
    doubtful.check.remaining.add()
    server.on("WatchStatus", change(order(SUCCEEDED, total=1, succeeded=1), doubtful))

    result = run("order", "-e", "ada@example.org", "--watch", "--find", "faces", photo)

    assert result.exit_code == 1
    assert result.stdout.splitlines()[-1].endswith("1 found, 1 hidden, 1 STILL FOUND in the result: look at it")


def test_errors_name_the_files_that_they_are_about(server: ScriptedServer, run: Run, photo: Path) -> None:
    server.on("StreamBlurOrder", bad_request(("images[1].data", "is empty"), ("order.email", "is wrong")))

    result = run("order", "-e", "ada@example.org", photo, photo)

    assert result.stderr.splitlines() == [
        f"imageblur: {photo}: is empty (INVALID_ARGUMENT)",
        "imageblur: order.email: is wrong (INVALID_ARGUMENT)",
    ]
    assert result.exit_code == 3


def test_order_watch_exits_with_1_when_an_image_failed(server: ScriptedServer, run: Run, photo: Path) -> None:
    server.on("StreamBlurOrder", accepted())
    server.on(
        "WatchStatus",
        change(order()),
        change(order(RUNNING, revision=2, succeeded=1), image(1, "cat.jpg")),
        change(order(PARTIALLY_FAILED, revision=3, succeeded=1, failed=1), image(2, "b\x1b.jpg", failed="cut short")),
    )

    result = run("order", "-e", "ada@example.org", "--watch", photo, photo)

    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        f"Order {ORDER_ID} accepted: 2 images, 6.0 MB",
        f"Order {ORDER_ID}: partially failed",
        "  images   2: 1 blurred, 1 failed",
        "     2  failed     b\N{REPLACEMENT CHARACTER}.jpg  cut short",
    ]
    # No terminal, no bars: a few plain lines.
    assert result.stderr.splitlines() == [
        "images 2: 0 blurred, 2 to do",
        "images 2: 1 blurred, 1 to do",
        "images 2: 1 blurred, 1 failed",
    ]


def test_order_send_and_watch_wait_for_the_mail(server: ScriptedServer, run: Run, photo: Path) -> None:
    server.on("StreamBlurOrder", accepted())
    server.on("SendImages", SendImagesResponse(delivery=Delivery(delivery_id="d")))
    refused = order(SUCCEEDED, succeeded=2, mail=DeliveryState.DELIVERY_STATE_FAILED)
    server.on("WatchStatus", change(refused))

    result = run("order", "-q", "-e", "ada@example.org", "--send", "--watch", photo)

    assert (result.stdout, result.stderr, result.exit_code) == (f"{ORDER_ID}\n", "", 1)
    ((request,),) = server.requests["SendImages"]
    assert isinstance(request, SendImagesRequest)
    assert request.when_ready


def test_folders_are_entered_only_on_demand(server: ScriptedServer, run: Run, tmp_path: Path) -> None:
    server.on("StreamBlurOrder", accepted())
    (tmp_path / "cat.jpg").write_bytes(b"x")
    inner = tmp_path / "more" / "deep"
    inner.mkdir(parents=True)
    for name in ("b.PNG", "a.jpeg", "notes.txt", ".hidden.png"):
        (inner / name).write_bytes(b"x")

    refused = run("order", "-e", "ada@example.org", tmp_path)
    assert refused.exit_code == 2
    assert "is a folder: use -r" in refused.stderr
    assert not server.requests

    assert run("order", "-r", "-e", "ada@example.org", tmp_path).exit_code == 0
    starts = [
        part.image.filename
        for part in server.requests["StreamBlurOrder"][0]
        if isinstance(part, StreamBlurOrderRequest) and part.WhichOneof("part") == "image"
    ]
    assert starts == ["cat.jpg", "a.jpeg", "b.PNG"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("order -e a@b.org nothing.png", "nothing.png does not exist"),
        ("order -e a@b.org", "give files, --source or --from"),
        ("order --pattern x a.jpg", "is for --from"),
        ("order --source photos", "neither https://"),
        ("order --notify {photo}", "--email"),
        ("order --send {photo}", "--email"),
        ("order -e a@b.org --sigma 3 --solid 000000 {photo}", "give one of --sigma, --pixelate, --solid and --redact"),
        ("order -e a@b.org --sigma wide {photo}", "--sigma"),
        ("order -e a@b.org --relative-sigma {photo}", "needs --sigma"),
        ("order -e a@b.org --region 1,2,3 {photo}", "is not LEFT,TOP,WIDTH,HEIGHT"),
        ("order -e a@b.org --solid red {photo}", "is not a colour"),
        ("order -e a@b.org --invert {photo}", "--invert"),
        ("order -e a@b.org --feather 0.1 {photo}", "need a --region"),
        ("order -e a@b.org --effort fast {photo}", "need --find"),
        ("order -e a@b.org --format psd {photo}", "--format"),
        ("order -e a@b.org -q --json {photo}", "give one of --quiet and --json"),
        ("unsubscribe", "give either the address or --token"),
        ("unsubscribe a@b.org --token t", "give either the address or --token"),
        ("frobnicate", "No such command"),
        ("--timeout 0 limits", "--timeout"),
    ],
)
def test_a_wrong_command_line_exits_with_2_and_sends_nothing(
    server: ScriptedServer, run: Run, photo: Path, words: str, said: str
) -> None:
    result = run(*(word.format(photo=photo) for word in words.split()))

    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stdout == ""
    assert not server.requests


def test_each_violation_is_a_line(server: ScriptedServer, run: Run, photo: Path) -> None:
    server.on("StreamBlurOrder", bad_request(("images[2].data", "is empty"), ("order.email", "is no\x1b address")))

    result = run("order", "-e", "x", photo)

    assert result.exit_code == 3
    assert result.stderr.splitlines() == [
        "imageblur: images[2].data: is empty (INVALID_ARGUMENT)",
        "imageblur: order.email: is no\N{REPLACEMENT CHARACTER} address (INVALID_ARGUMENT)",
    ]


@pytest.mark.parametrize(
    ("code", "exit_code"),
    [
        (grpc.StatusCode.FAILED_PRECONDITION, 3),
        (grpc.StatusCode.NOT_FOUND, 4),
        (grpc.StatusCode.ABORTED, 5),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, 5),
        (grpc.StatusCode.INTERNAL, 6),
        (grpc.StatusCode.PERMISSION_DENIED, 3),
    ],
)
def test_errors_are_one_line_and_an_exit_code(
    server: ScriptedServer, run: Run, code: grpc.StatusCode, exit_code: int
) -> None:
    server.on("Status", failure(code, "so it is", "REASON"))

    result = run("status", ORDER_ID)

    assert result.stderr == f"imageblur: so it is ({code.name})\n"
    assert (result.stdout, result.exit_code) == ("", exit_code)


def test_it_says_when_to_try_again(server: ScriptedServer, run: Run) -> None:
    server.on("Status", unavailable(2))

    result = run("status", ORDER_ID)

    assert result.stderr == "imageblur: the server is stopping (UNAVAILABLE); try again in 2 s\n"
    assert result.exit_code == 5


def test_no_server(run: Run) -> None:
    with ScriptedServer() as gone:
        address = gone.address

    result = run("--server", address, "status", ORDER_ID)

    assert result.stderr == f"imageblur: cannot reach the server at {address}: connection refused (UNAVAILABLE)\n"
    assert result.exit_code == 5


def test_an_upload_that_broke_tells_how_to_repeat_it(server: ScriptedServer, run: Run, photo: Path) -> None:
    server.on("StreamBlurOrder", unavailable(1))

    result = run("order", "-e", "a@b.org", photo)

    hint, error = result.stderr.splitlines()
    assert hint.endswith(f"--request-id {_sent(server).start.order.request_id}")
    assert error.startswith("imageblur: the server is stopping")


def test_an_upload_that_found_no_room_tells_when_to_come_again(server: ScriptedServer, run: Run, photo: Path) -> None:
    full = "the queue is full: 99,999 of 100,000 images are waiting, and the order has 2"
    quota = error_details_pb2.QuotaFailure.Violation(subject="queued images", description=full)
    retry = error_details_pb2.RetryInfo(retry_delay=Duration(seconds=30))
    details = (error_details_pb2.QuotaFailure(violations=[quota]), retry)
    server.on("StreamBlurOrder", failure(grpc.StatusCode.RESOURCE_EXHAUSTED, full, "QUEUE_FULL", *details))

    result = run("order", "-e", "a@b.org", photo)

    assert result.stderr == f"imageblur: {full} (RESOURCE_EXHAUSTED); try again in 30 s\n"
    assert result.exit_code == 5


def test_status_shows_order_and_images(server: ScriptedServer, run: Run) -> None:
    of = order(RUNNING, succeeded=1, failed=1, total=3, mail=DeliveryState.DELIVERY_STATE_WAITING)
    of.estimated_remaining.FromSeconds(75)
    server.on("Status", stands(of))
    server.on("ListImages", ListImagesResponse(images=[image(1, "cat.jpg")], next_page_token="n"))
    server.on("ListImages", ListImagesResponse(images=[image(2, "dog.jpg", failed="no image")]))

    result = run("status", ORDER_ID, "--images")

    assert result.stdout.splitlines() == [
        f"Order {ORDER_ID}: running",
        "  images   3: 1 blurred, 1 failed, 1 to do",
        "  ready    in about 75 s",
        "  mail     to be sent when the order has finished to a***@example.org",
        "     1  succeeded  cat.jpg  640\u00d7480  52.0 kB",
        "     2  failed     dog.jpg  no image",
    ]
    assert result.exit_code == 0


def test_status_json(server: ScriptedServer, run: Run) -> None:
    server.on("Status", stands(order()))
    server.on("ListImages", ListImagesResponse(images=[Image(position=1, filename="\u043f\u0451\u0441.png")]))

    found = json.loads(run("status", ORDER_ID, "--images", "--json").stdout)

    assert found["order"]["counts"] == dict.fromkeys(("running", "succeeded", "failed", "cancelled"), 0) | {
        "total": 2,
        "queued": 2,
    }
    assert found["images"][0]["filename"] == "\u043f\u0451\u0441.png"


def test_watch_json_is_a_line_for_each_change(server: ScriptedServer, run: Run) -> None:
    server.on("WatchStatus", change(order()), change(order(SUCCEEDED, revision=2, succeeded=2), image(1, "a")))

    result = run("watch", ORDER_ID, "--json")

    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["order"]["state"] for line in lines] == ["ORDER_STATE_QUEUED", "ORDER_STATE_SUCCEEDED"]
    assert lines[1]["changed_images"][0]["filename"] == "a"
    assert (result.stderr, result.exit_code) == ("", 0)


def test_download_prints_what_it_wrote(server: ScriptedServer, run: Run, tmp_path: Path) -> None:
    server.on("DownloadImages", *file("../../a.png", b"a"), *file("b.png", b"b"))

    result = run("download", ORDER_ID, "-o", tmp_path / "out")

    assert result.stdout.splitlines() == [str(tmp_path / "out" / "a.png"), str(tmp_path / "out" / "b.png")]
    assert (result.stderr, result.exit_code) == ("", 0)


def test_download_that_arrives_broken(server: ScriptedServer, run: Run, tmp_path: Path) -> None:
    server.on("DownloadImages", *file("a.png", b"a"), *file("b.png", b"b", sha256=bytes(32)))

    result = run("download", ORDER_ID, "-o", tmp_path)

    assert result.stdout == f"{tmp_path / 'a.png'}\n"
    assert result.stderr.startswith("imageblur: b.png: the received bytes do not have the SHA-256")
    assert result.exit_code == 6


def test_download_archive(server: ScriptedServer, run: Run, tmp_path: Path) -> None:
    for _ in range(2):
        server.on("DownloadImages", *file("blur_images.zip", b"PK"))

    assert run("download", ORDER_ID, "--archive", "-o", tmp_path / "new").exit_code == 0
    again = run("download", ORDER_ID, "--archive", "-o", tmp_path / "new")
    forced = run("download", ORDER_ID, "--archive", "--force", "-o", tmp_path / "new")

    assert again.exit_code == 6
    assert again.stderr.endswith("blur_images.zip: exists already: use --force to replace it\n")
    assert forced.stdout == f"{tmp_path / 'new' / 'blur_images.zip'}\n"
    assert (tmp_path / "new" / "blur_images.zip").read_bytes() == b"PK"
    ((request,), _) = server.requests["DownloadImages"]
    assert isinstance(request, DownloadImagesRequest)
    assert request.archive


def test_a_file_in_the_way_is_one_line(server: ScriptedServer, run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"precious")
    server.on("DownloadImages", *file("a.png", b"a"))

    result = run("download", ORDER_ID, "-o", tmp_path)

    assert (
        result.stderr
        == f"imageblur: {tmp_path / 'a.png'}: exists already and differs; choose another folder, or replace it\n"
    )
    assert result.exit_code == 6


def test_send(server: ScriptedServer, run: Run) -> None:
    waiting = Delivery(delivery_id="d", state=DeliveryState.DELIVERY_STATE_WAITING)
    server.on("SendImages", SendImagesResponse(delivery=waiting))
    server.on("SendImages", SendImagesResponse(delivery=waiting))

    assert run("send", ORDER_ID, "--when-ready").stdout == "E-mail: to be sent when the order has finished\n"
    found = json.loads(run("send", ORDER_ID, "--json").stdout)
    assert found["delivery"]["state"] == "DELIVERY_STATE_WAITING"


def test_cancel_delete_limits(server: ScriptedServer, run: Run) -> None:
    server.on("CancelOrder", CancelOrderResponse(order=order(RUNNING)))
    server.on("DeleteOrder", DeleteOrderResponse())
    server.on(
        "GetLimits",
        GetLimitsResponse(
            max_order_bytes=2 * 10**9,
            max_image_bytes=50_000_000,
            max_images=5000,
            max_pixels=100_000_000,
            formats=[ImageFormat.IMAGE_FORMAT_JPEG, ImageFormat.IMAGE_FORMAT_PNG],
            retention=Duration(seconds=7 * 86400),
            server_version="0.1.0",
        ),
    )

    assert run("cancel", ORDER_ID).stdout.startswith(f"Order {ORDER_ID}: running")
    assert run("delete", ORDER_ID).stdout == ""
    assert run("limits").stdout.splitlines() == [
        "formats  JPEG, PNG",
        "order    5,000 images, 2.0 GB",
        "image    50.0 MB, 100,000,000 pixels (width \u00d7 height \u00d7 frames)",
        "results  kept for 7 days",
        "server   0.1.0",
    ]


def test_subscriptions(server: ScriptedServer, run: Run) -> None:
    server.on("Subscribe", SubscribeResponse(confirmation_required=True))
    server.on("ConfirmSubscription", ConfirmSubscriptionResponse())
    server.on("Unsubscribe", UnsubscribeResponse())

    assert "confirm the subscription" in run("subscribe", "a@b.org", "--locale", "ru").stdout
    assert "Confirmed" in run("confirm", "token").stdout
    assert "Unsubscribed" in run("unsubscribe", "a@b.org").stdout
    assert server.requests["Unsubscribe"] == [[UnsubscribeRequest(email="a@b.org")]]


def test_an_image_is_blurred_at_once(run: Run, server: ScriptedServer, tmp_path: Path) -> None:
    server.on("BlurImage", BlurImageResponse(data=b"blurred", media_type="image/jpeg", width=2, height=1))
    (tmp_path / "in.jpg").write_bytes(b"original")
    out = tmp_path / "out.jpg"
    done = run("blur", str(tmp_path / "in.jpg"), "-o", str(out), "--find", "faces", "--effort", "fast")
    assert (done.exit_code, done.stdout) == (0, f"{out}\n")
    assert out.read_bytes() == b"blurred"
    ((request,),) = server.requests["BlurImage"]
    assert isinstance(request, BlurImageRequest)
    assert (request.image.filename, request.image.data) == ("in.jpg", b"original")
    assert [each.kind for each in request.image.spec.find] == [FindingKind.FINDING_KIND_FACE]
    assert request.image.spec.effort == Effort.EFFORT_FAST
    again = run("blur", str(tmp_path / "in.jpg"), "-o", str(out))
    assert again.exit_code == 6, "it must not replace a file unasked"
    assert len(server.requests["BlurImage"]) == 1


def test_a_refused_image_is_named(run: Run, server: ScriptedServer, tmp_path: Path) -> None:
    server.on("BlurImage", bad_request(("image.data", "is not an image")))
    (tmp_path / "in.jpg").write_bytes(b"text")
    done = run("blur", str(tmp_path / "in.jpg"), "-o", str(tmp_path / "out.jpg"))
    assert done.exit_code == 3
    assert done.stderr == f"imageblur: {tmp_path / 'in.jpg'}: is not an image (INVALID_ARGUMENT)\n"
    assert not (tmp_path / "out.jpg").exists()


def test_a_result_that_still_shows_something_is_reported(run: Run, server: ScriptedServer, tmp_path: Path) -> None:
    check = Check(state=CheckState.CHECK_STATE_REMAINING, remaining=[Finding()])
    server.on("BlurImage", BlurImageResponse(data=b"blurred", check=check))
    (tmp_path / "in.jpg").write_bytes(b"original")
    done = run("blur", str(tmp_path / "in.jpg"), "-o", str(tmp_path / "out.jpg"))
    assert done.exit_code == 1
    assert "Still visible: 1 finding" in done.stdout


def test_findings_are_listed_and_drawn(run: Run, server: ScriptedServer, tmp_path: Path) -> None:
    box = Rect(left=0.25, top=0.5, width=0.5, height=0.25)
    finding = Finding(kind=FindingKind.FINDING_KIND_FACE, confidence=0.875, box=box)
    models = [
        FindModel(kind=FindingKind.FINDING_KIND_FACE, name="f"),
        FindModel(kind=FindingKind.FINDING_KIND_CUSTOM, name="p"),
    ]
    server.on("GetLimits", GetLimitsResponse(find_models=models))
    preview = BytesIO()
    PillowImage.new("RGB", (40, 20)).save(preview, "JPEG")
    answer = FindRegionsResponse(findings=[finding], width=40, height=20, preview=preview.getvalue())
    server.on("FindRegions", answer)
    (tmp_path / "in.png").write_bytes(b"what the server sees may differ from what a viewer shows")
    done = run("find", str(tmp_path / "in.png"), "--draw", str(tmp_path / "drawn.png"))
    assert (done.exit_code, done.stdout) == (0, "face     0.88  0.2500,0.5000,0.5000,0.2500\n")
    ((request,),) = server.requests["FindRegions"]
    assert isinstance(request, FindRegionsRequest)
    assert request.preview_side == 2048
    assert [(each.kind, each.model) for each in request.find] == [
        (FindingKind.FINDING_KIND_FACE, ""),
        (FindingKind.FINDING_KIND_CUSTOM, "p"),
    ]
    with PillowImage.open(tmp_path / "drawn.png") as drawn:
        assert drawn.getpixel((10, 10)) != (0, 0, 0)
        assert drawn.getpixel((2, 2)) == (0, 0, 0)


def test_nothing_found_and_unknown_kinds(run: Run, server: ScriptedServer, tmp_path: Path) -> None:
    server.on("FindRegions", FindRegionsResponse())
    (tmp_path / "in.jpg").write_bytes(b"original")
    assert run("find", str(tmp_path / "in.jpg"), "--find", "codes").stdout == "nothing found\n"
    assert run("find", str(tmp_path / "in.jpg"), "--find", "cats").exit_code == 2
    assert run("find", str(tmp_path / "in.jpg"), "--find", "custom").exit_code == 2


def test_originals_are_kept_as_long_as_asked(run: Run, server: ScriptedServer, photo: Path) -> None:
    server.on("StreamBlurOrder", accepted())
    assert run("order", "-e", "a@b.de", "--keep-originals", "90m", str(photo)).exit_code == 0
    start = server.requests["StreamBlurOrder"][0][0]
    assert isinstance(start, StreamBlurOrderRequest)
    assert start.start.order.keep_originals_for.ToSeconds() == 90 * 60
    wrong = run("order", "-e", "a@b.de", "--keep-originals", "soon", str(photo))
    assert wrong.exit_code == 2
    assert "is not a time such as" in wrong.stderr


def test_images_are_revised_by_their_positions(run: Run, server: ScriptedServer) -> None:
    server.on("ListImages", ListImagesResponse(images=[image(1, "a"), image(2, "b")]))
    server.on("ReviseImages", ReviseImagesResponse(order=order(RUNNING)))
    done = run("revise", ORDER_ID, "-i", "2", "--solid", "ff0000")
    assert done.exit_code == 0
    assert "running" in done.stdout
    ((request,),) = server.requests["ReviseImages"]
    assert isinstance(request, ReviseImagesRequest)
    assert [(each.image_id, each.spec.solid.color) for each in request.images] == [("i2", "#ff0000")]
    assert not request.HasField("spec")
    assert request.request_id
    server.on("ListImages", ListImagesResponse(images=[image(1, "a")]))
    assert run("revise", ORDER_ID, "-i", "2").exit_code == 2


def test_all_images_are_revised_and_originals_deleted(run: Run, server: ScriptedServer) -> None:
    server.on("ReviseImages", ReviseImagesResponse(order=order(RUNNING)))
    assert run("revise", ORDER_ID, "--pixelate", "9", "--json").exit_code == 0
    ((request,),) = server.requests["ReviseImages"]
    assert isinstance(request, ReviseImagesRequest)
    assert (request.spec.pixelate.cell_px, len(request.images)) == (9, 0)
    server.on("DeleteOriginals", DeleteOriginalsResponse(order=order(SUCCEEDED)))
    assert run("done", ORDER_ID).exit_code == 0
    not_kept = failure(grpc.StatusCode.FAILED_PRECONDITION, "the originals are not kept", "ORIGINALS_NOT_KEPT")
    server.on("ReviseImages", not_kept)
    assert run("revise", ORDER_ID).exit_code == 3


def test_an_interrupted_revision_can_be_repeated(run: Run, server: ScriptedServer) -> None:
    server.on("ReviseImages", unavailable(2.0))
    done = run("revise", ORDER_ID, "--request-id", "c0ffee00-0000-4000-8000-000000000000")
    assert done.exit_code == 5
    assert "--request-id c0ffee00-0000-4000-8000-000000000000" in done.stderr
