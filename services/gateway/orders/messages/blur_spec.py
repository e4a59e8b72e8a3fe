"""Parses blur specs; errors name the field."""

from collections.abc import Sequence

from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1 import order_pb2

from services.common.domain.errors import InvalidArgument, Violation
from services.common.domain.spec import (
    MAX_FINDS,
    MAX_POLYGON_POINTS,
    MAX_REGIONS,
    MAX_STROKE_POINTS,
    MAX_STROKES,
    BlurSpec,
    Effect,
    Effort,
    Find,
    FindingKind,
    Format,
    Gaussian,
    InvalidSpec,
    Pixelate,
    Point,
    Redact,
    Region,
    Shape,
    Solid,
    Stroke,
    TextClass,
)
from services.gateway.rpc.fields import Violations

MAX_TEXT_CLASSES = 10


def parse_image_spec(image: pb.InputImage | pb.ImageStart) -> BlurSpec | None:
    """Return the blur spec of an image; None if it has none of its own.

    Raises:
        InvalidArgument: The spec is not valid.
    """
    if not image.HasField("spec"):
        return None
    violations = Violations()
    with violations.collect("spec"):
        return parse_spec(image.spec)
    raise InvalidArgument(*violations)


def parse_spec(spec: order_pb2.BlurSpec) -> BlurSpec:
    """Return a blur spec.

    Raises:
        InvalidArgument: The spec is not valid.
    """
    try:
        return BlurSpec(
            effect=_effect(spec) or BlurSpec.default_effect(whole_image=not (spec.regions or spec.find)),
            regions=_regions(spec.regions, "regions"),
            invert_regions=spec.invert_regions,
            find=_finds(spec.find),
            effort=parse_effort(spec.effort),
            exclude_regions=_regions(spec.exclude_regions, "exclude_regions"),
            output_format=_format(spec.output_format),
            quality=spec.quality if spec.HasField("quality") else 90,
            keep_metadata=spec.keep_metadata,
        )
    except InvalidSpec as error:
        raise InvalidArgument(Violation(error.path, error.description)) from None


def _finds(finds: Sequence[order_pb2.Find]) -> tuple[Find, ...]:
    # Checked first: each is parsed.
    if len(finds) > MAX_FINDS:
        raise InvalidSpec("find", f"must be at most {MAX_FINDS}")
    return tuple(parse_find(find, f"find[{index}]") for index, find in enumerate(finds))


def parse_find(find: order_pb2.Find, path: str) -> Find:
    """Return something to find; `path` is its path in the spec.

    Raises:
        InvalidSpec: It is not valid.
    """
    if find.kind == order_pb2.FINDING_KIND_UNSPECIFIED:
        raise InvalidSpec(f"{path}.kind", "is required")
    try:
        kind = FindingKind(order_pb2.FindingKind.Name(find.kind).removeprefix("FINDING_KIND_"))
    except ValueError:
        raise InvalidSpec(f"{path}.kind", f"{find.kind} is not a kind") from None
    if len(find.text_classes) > MAX_TEXT_CLASSES:
        raise InvalidSpec(f"{path}.text_classes", f"must be at most {MAX_TEXT_CLASSES}")
    try:
        return Find(
            kind=kind,
            model=find.model.replace("\0", ""),
            min_confidence=find.min_confidence if find.HasField("min_confidence") else None,
            padding=find.padding if find.HasField("padding") else None,
            shape=_shape(find.shape),
            text_classes=tuple(_text_class(value, index) for index, value in enumerate(find.text_classes)),
        )
    except InvalidSpec as error:
        raise InvalidSpec(f"{path}.{error.path}", error.description) from None


def parse_effort(value: order_pb2.Effort.ValueType) -> Effort:
    """Return an effort.

    Raises:
        InvalidSpec: There is no such effort.
    """
    if value == order_pb2.EFFORT_UNSPECIFIED:
        return Effort.BALANCED
    try:
        return Effort(order_pb2.Effort.Name(value).removeprefix("EFFORT_"))
    except ValueError:
        raise InvalidSpec("effort", f"{value} is not an effort") from None


def _shape(value: order_pb2.RegionShape.ValueType) -> Shape | None:
    match value:
        case order_pb2.REGION_SHAPE_UNSPECIFIED:
            return None
        case order_pb2.REGION_SHAPE_BOX:
            return "box"
        case order_pb2.REGION_SHAPE_ELLIPSE:
            return "ellipse"
    raise InvalidSpec("shape", f"{value} is not a shape")


def _text_class(value: order_pb2.TextClass.ValueType, index: int) -> TextClass:
    try:
        return TextClass(order_pb2.TextClass.Name(value).removeprefix("TEXT_CLASS_"))
    except ValueError:
        raise InvalidSpec(f"text_classes[{index}]", f"{value} is not a class of text") from None


def _effect(message: order_pb2.BlurSpec | order_pb2.Region) -> Effect | None:
    match message.WhichOneof("effect"):
        case "pixelate":
            return _pixelate(message.pixelate)
        case "solid":
            return Solid(message.solid.color.lower()) if message.solid.color else Solid()
        case "gaussian":
            return _gaussian(message.gaussian)
        case "redact":
            return Redact()
        case None:
            return None
        case effect:
            raise InvalidSpec("effect", f"is not supported: {effect}")


def _gaussian(gaussian: order_pb2.Gaussian) -> Gaussian:
    match gaussian.WhichOneof("sigma"):
        case "sigma_px":
            return Gaussian(gaussian.sigma_px)
        case "sigma_relative":
            return Gaussian(gaussian.sigma_relative, relative=True)
        case _:
            return Gaussian()


def _pixelate(pixelate: order_pb2.Pixelate) -> Pixelate:
    match pixelate.WhichOneof("cell"):
        case "cell_px":
            return Pixelate(pixelate.cell_px)
        case "cell_relative":
            return Pixelate(pixelate.cell_relative, relative=True)
        case _:
            return Pixelate()


def _regions(regions: Sequence[order_pb2.Region], field: str) -> tuple[Region, ...]:
    # Checked first: each is parsed.
    if len(regions) > MAX_REGIONS:
        raise InvalidSpec(field, f"must be at most {MAX_REGIONS}")
    return tuple(_region(region, f"{field}[{index}]") for index, region in enumerate(regions))


def _region(region: order_pb2.Region, path: str) -> Region:
    if region.WhichOneof("shape") is None:
        raise InvalidSpec(path, "needs a box, an ellipse, a polygon or a brush")
    try:
        edges = region.padding, region.feather, _effect(region)
        match region.WhichOneof("shape"):
            case "box":
                return Region("box", *_rect(region.box), *edges)
            case "ellipse":
                return Region("ellipse", *_rect(region.ellipse), *edges)
            case "polygon":
                return Region.polygon(_points(region.polygon.points, MAX_POLYGON_POINTS, "polygon.points"), *edges)
            case _:
                return Region.brush(_strokes(region.brush.strokes), *edges)
    except InvalidSpec as error:
        raise InvalidSpec(f"{path}.{error.path}", error.description) from None


def _rect(rect: order_pb2.Rect) -> tuple[float, float, float, float]:
    return rect.left, rect.top, rect.width, rect.height


def _strokes(strokes: Sequence[order_pb2.Stroke]) -> tuple[Stroke, ...]:
    if len(strokes) > MAX_STROKES:
        raise InvalidSpec("brush.strokes", f"must be at most {MAX_STROKES}")
    return tuple(_stroke(stroke, f"brush.strokes[{index}]") for index, stroke in enumerate(strokes))


def _stroke(stroke: order_pb2.Stroke, path: str) -> Stroke:
    try:
        return Stroke(_points(stroke.points, MAX_STROKE_POINTS, "points"), stroke.width)
    except InvalidSpec as error:
        raise InvalidSpec(f"{path}.{error.path}", error.description) from None


def _points(points: Sequence[order_pb2.Point], most: int, path: str) -> tuple[Point, ...]:
    # Checked first: each is converted.
    if len(points) > most:
        raise InvalidSpec(path, f"must be at most {most} points")
    return tuple((point.x, point.y) for point in points)


def _format(value: order_pb2.ImageFormat.ValueType) -> Format | None:
    if value == order_pb2.IMAGE_FORMAT_UNSPECIFIED:
        return None
    try:
        return Format(order_pb2.ImageFormat.Name(value).removeprefix("IMAGE_FORMAT_"))
    except ValueError:
        raise InvalidSpec("output_format", f"{value} is not a format") from None
