"""`imageblur blur` and `imageblur find`: one image, answered at once."""

from io import BytesIO
from pathlib import Path

from imageblur.v1.blur_service_pb2 import (
    BlurImageRequest,
    BlurImageResponse,
    FindModel,
    FindRegionsRequest,
    FindRegionsResponse,
    GetLimitsResponse,
)
from imageblur.v1.order_pb2 import Check, CheckState, Effort, Finding, FindingKind, Rect
from PIL import Image as PillowImage

from tests.integration.client.messages import Run
from tests.integration.client.scripted import ScriptedServer, bad_request


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
