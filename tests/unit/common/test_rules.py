"""Specs, names, tokens and settings."""

import json
import math
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.archive.result_names import result_names
from services.common.domain.errors import ConfigurationError
from services.common.domain.orders import OrderState, state_when_done
from services.common.domain.spec import BlurSpec, Format, Gaussian, InvalidSpec, Pixelate, Region, Solid, Stroke
from services.common.infra.settings import CommonSettings
from services.common.infra.signing.tokens import BadToken, Tokens

STROKE = Stroke(((0, 0),), 0.1)
FIVE_HUNDRED = Region.brush((Stroke(((0, 0),) * 500, 0.1),))
REGION = Region("box", 0.1, 0.2, 0.3, 0.4, padding=0.01, feather=0.02)


@pytest.mark.parametrize(
    "spec",
    [
        BlurSpec(),
        BlurSpec(Gaussian(0.5, relative=True), (REGION,), invert_regions=True),
        BlurSpec(Pixelate(8), output_format=Format.PNG, quality=50, keep_metadata=True),
        BlurSpec(Solid("#aBcdef"), (REGION, Region("ellipse", 0, 0, 1, 1))),
        BlurSpec(
            regions=(Region.polygon(((0, 0), (1, 0.25), (0.5, 1)), 0.1, 0.2, Solid()),),
            exclude_regions=(Region.brush((Stroke(((0.5, 0.5),), 0.1), Stroke(((0, 0), (1, 1)), 1))),),
        ),
    ],
)
def test_a_spec_comes_back_from_its_row(spec: BlurSpec) -> None:
    assert BlurSpec.from_json(spec.to_json()) == spec
    json.loads(spec.to_json())


@pytest.mark.parametrize(
    ("make", "path"),
    [
        (lambda: Gaussian(0), "gaussian.sigma_px"),
        (lambda: Gaussian(math.nan), "gaussian.sigma_px"),
        (lambda: Gaussian(math.inf), "gaussian.sigma_px"),
        (lambda: Gaussian(1.1, relative=True), "gaussian.sigma_relative"),
        (lambda: Pixelate(1), "pixelate.cell_px"),
        (lambda: Pixelate(math.nan, relative=True), "pixelate.cell_relative"),
        (lambda: Solid("red"), "solid.color"),
        (lambda: Region("box", 0.5, 0, 0.6, 1), "box.width"),
        (lambda: Region("ellipse", 0, math.nan, 1, 1), "ellipse.top"),
        (lambda: Region("box", 0, 0, 1, 1, feather=2), "feather"),
        (lambda: Region.polygon(((0, 0), (1, 1))), "polygon.points"),
        (lambda: Region.polygon(((0, 0),) * 101), "polygon.points"),
        (lambda: Region.polygon(((0, 0), (1, 1), (0.5, math.nan))), "polygon.points[2].y"),
        (lambda: Region.polygon(((0, 0), (1.01, 1), (0.5, 1))), "polygon.points[1].x"),
        (lambda: Region.brush(()), "brush.strokes"),
        (lambda: Region.brush((STROKE,) * 101), "brush.strokes"),
        (lambda: Stroke((), 0.1), "points"),
        (lambda: Stroke(((0, 0),) * 501, 0.1), "points"),
        (lambda: Stroke(((0, 0), (-0.1, 0)), 0.1), "points[1].x"),
        (lambda: Stroke(((0, 0),), 0), "width"),
        (lambda: Stroke(((0, 0),), math.nan), "width"),
        (
            lambda: BlurSpec(regions=(Region.polygon(((0, 0),) * 100),) * 15, exclude_regions=(FIVE_HUNDRED,) * 2),
            "regions",
        ),
        (lambda: BlurSpec(quality=0), "quality"),
        (lambda: BlurSpec(invert_regions=True), "invert_regions"),
        (lambda: BlurSpec(regions=(REGION,) * 101), "regions"),
    ],
)
def test_what_is_out_of_range_is_named(make: object, path: str) -> None:
    with pytest.raises(InvalidSpec) as caught:
        make()  # type: ignore[operator]
    assert caught.value.path == path


@given(st.lists(st.text(max_size=300), min_size=1, max_size=20))
def test_names_are_safe_and_unique_whatever_was_sent(filenames: list[str]) -> None:
    names = result_names((name, Format.JPEG) for name in filenames)
    assert len({name.casefold() for name in names}) == len(filenames)
    for name in names:
        assert name.startswith("blur_")
        assert not set('/\\:*?"<>|\0\n\r') & set(name)
        assert len(name.encode("utf-8", "surrogatepass")) < 255


@pytest.mark.parametrize(
    ("sent", "named"),
    [
        ("cat.jpg", "blur_cat.jpg"),
        ("CAT.JPEG", "blur_CAT.JPEG"),
        ("cat.png", "blur_cat.jpg"),
        ("../../etc/cat.jpg", "blur_cat.jpg"),
        ("C:\\photos\\cat.jpg", "blur_cat.jpg"),
        ("", "blur_image.jpg"),
        (".jpg", "blur_jpg.jpg"),
        ("кот.jpg", "blur_кот.jpg"),
        ("CON", "blur_CON.jpg"),
    ],
)
def test_names(sent: str, named: str) -> None:
    assert result_names([(sent, Format.JPEG)]) == [named]


def test_equal_names_are_numbered() -> None:
    names = result_names([("a.jpg", Format.JPEG)] * 3)
    assert names == ["blur_a.jpg", "blur_a_2.jpg", "blur_a_3.jpg"]


def test_thousands_of_equal_names_are_numbered_in_one_go() -> None:
    names = result_names([("", Format.PNG)] * 20_000)
    assert (names[1], names[-1], len(set(names))) == ("blur_image_2.png", "blur_image_20000.png", 20_000)


def test_a_number_that_is_taken_is_skipped() -> None:
    names = result_names([("a_2.jpg", Format.JPEG), ("a.jpg", Format.JPEG), ("A.jpg", Format.JPEG)])
    assert names == ["blur_a_2.jpg", "blur_a.jpg", "blur_A_3.jpg"]


def test_states_follow_from_counts() -> None:
    assert state_when_done(succeeded=2, failed=0, cancelled=0) is OrderState.SUCCEEDED
    assert state_when_done(succeeded=1, failed=1, cancelled=0) is OrderState.PARTIALLY_FAILED
    assert state_when_done(succeeded=0, failed=2, cancelled=0) is OrderState.FAILED
    assert state_when_done(succeeded=1, failed=0, cancelled=1) is OrderState.CANCELLED


def test_a_token_works_for_its_purpose_alone() -> None:
    tokens, subscriber = Tokens("k" * 32), uuid4()
    token = tokens.make("confirm", subscriber, 3)
    assert tokens.read("confirm", token) == (subscriber, 3)
    for reader, purpose, text in (
        (tokens, "unsubscribe", token),
        (Tokens("x" * 32), "confirm", token),
        (tokens, "confirm", token[:-1]),
        (tokens, "confirm", "nonsense"),
    ):
        with pytest.raises(BadToken):
            reader.read(purpose, text)  # type: ignore[arg-type]


def test_tokens_outlive_a_change_of_the_secret_key() -> None:
    old, new, subscriber = "a" * 32, "b" * 32, uuid4()
    before = Tokens(old).make("unsubscribe", subscriber, 1)
    changed = Tokens(new, "c" * 32, old)
    assert changed.read("unsubscribe", before) == (subscriber, 1)
    after = changed.make("unsubscribe", subscriber, 1)
    assert Tokens(new).read("unsubscribe", after) == (subscriber, 1)
    for reader in (Tokens(old), Tokens("c" * 32)):
        with pytest.raises(BadToken):
            reader.read("unsubscribe", after)


def test_wrong_settings_are_named_one_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGEBLUR_DATABASE_URL", "mysql://x")
    monkeypatch.setenv("IMAGEBLUR_ORDER_WINDOW", "0")
    with pytest.raises(ConfigurationError) as caught:
        CommonSettings.load()
    assert [line.partition(":")[0] for line in str(caught.value).splitlines()] == [
        "IMAGEBLUR_DATABASE_URL",
        "IMAGEBLUR_ORDER_WINDOW",
    ]
