"""Parses blur specs; errors name the field."""

from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1 import order_pb2

from services.common.domain.errors import InvalidArgument, Violation
from services.common.domain.spec import BlurSpec, Effect, Format, Gaussian, InvalidSpec, Pixelate, Region, Solid
from services.gateway.rpc.fields import Violations


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
            effect=_effect(spec),
            regions=tuple(_region(region, index) for index, region in enumerate(spec.regions)),
            invert_regions=spec.invert_regions,
            output_format=_format(spec.output_format),
            quality=spec.quality if spec.HasField("quality") else 90,
            keep_metadata=spec.keep_metadata,
        )
    except InvalidSpec as error:
        raise InvalidArgument(Violation(error.path, error.description)) from None


def _effect(spec: order_pb2.BlurSpec) -> Effect:
    match spec.WhichOneof("effect"):
        case "pixelate":
            return _pixelate(spec.pixelate)
        case "solid":
            return Solid(spec.solid.color.lower()) if spec.solid.color else Solid()
        case "gaussian" | None:
            return _gaussian(spec.gaussian)
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


def _region(region: order_pb2.Region, index: int) -> Region:
    path = f"regions[{index}]"
    match region.WhichOneof("shape"):
        case "box":
            rect = region.box
        case "ellipse":
            rect = region.ellipse
        case _:
            raise InvalidSpec(path, "needs a box or an ellipse")
    try:
        return Region(
            "ellipse" if region.HasField("ellipse") else "box",
            rect.left,
            rect.top,
            rect.width,
            rect.height,
            region.padding,
            region.feather,
        )
    except InvalidSpec as error:
        raise InvalidSpec(f"{path}.{error.path}", error.description) from None


def _format(value: order_pb2.ImageFormat.ValueType) -> Format | None:
    if value == order_pb2.IMAGE_FORMAT_UNSPECIFIED:
        return None
    try:
        return Format(order_pb2.ImageFormat.Name(value).removeprefix("IMAGE_FORMAT_"))
    except ValueError:
        raise InvalidSpec("output_format", f"{value} is not a format") from None
