"""The commands for orders that exist: status, watch, download, send, cancel, delete, and revisions."""

import json
from pathlib import Path

import grpc
from google.protobuf.duration_pb2 import Duration
from imageblur.v1.blur_service_pb2 import (
    CancelOrderResponse,
    DeleteOrderResponse,
    DeleteOriginalsResponse,
    DownloadImagesRequest,
    GetLimitsResponse,
    ListImagesResponse,
    ReviseImagesRequest,
    ReviseImagesResponse,
    SendImagesRequest,
    SendImagesResponse,
)
from imageblur.v1.order_pb2 import Delivery, DeliveryState, Image, ImageFormat
from imageblur.v1.subscription_service_pb2 import (
    ConfirmSubscriptionResponse,
    SubscribeResponse,
    UnsubscribeRequest,
    UnsubscribeResponse,
)

from tests.integration.client.messages import ORDER_ID, RUNNING, SUCCEEDED, Run, change, file, image, order, stands
from tests.integration.client.scripted import ScriptedServer, failure, unavailable


def test_send_gives_an_order_its_address(server: ScriptedServer, run: Run) -> None:
    delivery = Delivery(state=DeliveryState.DELIVERY_STATE_QUEUED)
    server.on("SendImages", SendImagesResponse(delivery=delivery))

    assert run("send", ORDER_ID, "--email", "ada@example.org").exit_code == 0

    request = server.requests["SendImages"][0][0]
    assert isinstance(request, SendImagesRequest)
    assert request.email == "ada@example.org"


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
