"""`imageblur order` against a server on a socket: what it sends, what it prints where, and how it exits."""

import json
from pathlib import Path

from imageblur.v1.blur_service_pb2 import SendImagesRequest, SendImagesResponse, StreamBlurOrderRequest
from imageblur.v1.order_pb2 import (
    BlurSpec,
    CheckState,
    Delivery,
    DeliveryState,
    Effort,
    ImageFormat,
    Pixelate,
    Redact,
    TextClass,
)
from imageblur_client import box, brush, ellipse, find_faces, find_text, polygon

from tests.integration.client.messages import (
    ORDER_ID,
    PARTIALLY_FAILED,
    RUNNING,
    SUCCEEDED,
    Run,
    accepted,
    change,
    file,
    image,
    order,
)
from tests.integration.client.scripted import ScriptedServer, sent_order


def test_order_prints_what_was_accepted(server: ScriptedServer, run: Run, photo: Path) -> None:
    server.on("StreamBlurOrder", accepted())

    result = run("order", "--email", "ada@example.org", photo, photo)

    assert result.stdout == f"Order {ORDER_ID} accepted: 2 images, 6.0 MB\n"
    assert (result.stderr, result.exit_code) == ("", 0)
    assert sent_order(server).start.image_count == 2
    assert sent_order(server).start.order.spec == BlurSpec()


def test_an_order_without_an_address_names_the_command_for_its_results(
    server: ScriptedServer, run: Run, photo: Path
) -> None:
    server.on("StreamBlurOrder", accepted())

    result = run("order", photo)

    assert result.stdout.splitlines()[1:] == [f"Results: imageblur download {ORDER_ID} -o DIR"]
    assert sent_order(server).start.order.email == ""


def test_order_downloads_the_results(server: ScriptedServer, run: Run, photo: Path, tmp_path: Path) -> None:
    server.on("StreamBlurOrder", accepted())
    server.on("WatchStatus", change(order(SUCCEEDED, total=1, succeeded=1), image(1, "cat.jpg")))
    server.on("DownloadImages", *file("blur_cat.jpg", b"blurred"))

    result = run("order", photo, "--output", tmp_path / "results")

    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines()[-1] == str(tmp_path / "results" / "blur_cat.jpg")
    assert (tmp_path / "results" / "blur_cat.jpg").read_bytes() == b"blurred"


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

    header = sent_order(server).start.order
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

    assert sent_order(server).start.order.spec == BlurSpec(
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


def test_originals_are_kept_as_long_as_asked(run: Run, server: ScriptedServer, photo: Path) -> None:
    server.on("StreamBlurOrder", accepted())
    assert run("order", "-e", "a@b.de", "--keep-originals", "90m", str(photo)).exit_code == 0
    start = server.requests["StreamBlurOrder"][0][0]
    assert isinstance(start, StreamBlurOrderRequest)
    assert start.start.order.keep_originals_for.ToSeconds() == 90 * 60
    wrong = run("order", "-e", "a@b.de", "--keep-originals", "soon", str(photo))
    assert wrong.exit_code == 2
    assert "is not a time such as" in wrong.stderr
