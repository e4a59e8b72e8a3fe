"""Builds the requests of both clients."""

import uuid
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, TypedDict

from imageblur.v1 import blur_service_pb2 as blur
from imageblur.v1 import subscription_service_pb2 as subscription
from imageblur.v1.order_pb2 import BlurSpec, Effort, Find, ImageFormat

from imageblur_client.sources import AnyTarget, as_target
from imageblur_client.upload import AnyFile, UploadFile


def new_id(request_id: str | None) -> str:
    """Return a request ID, or a new one."""
    return request_id or str(uuid.uuid4())


class OrderFields(TypedDict, total=False):
    """What an order has besides its files."""

    email: str
    """Address that results can be e-mailed to; needed with `notify`. `send` can set it later."""
    spec: BlurSpec | None
    """Blur spec of images without their own."""
    notify: bool
    """E-mail the results when the order has finished."""
    locale: str
    """Language of e-mails."""
    request_id: str | None
    """A UUID; a repeated call with it creates no second order. None: a new one."""
    keep_originals_for: timedelta | None
    """Keep the originals so long after the order has finished, for `revise_images`."""
    webhook_url: str
    """An https:// address to which the order's events are posted; see `verify_webhook`."""
    target: AnyTarget | None
    """Where results are written too: `place:folder`."""


def order_header(options: OrderFields) -> blur.OrderHeader:
    """Return the header of an order."""
    if unknown := options.keys() - OrderFields.__annotations__.keys():
        raise TypeError(f"an order has no option {min(unknown)!r}")
    fields: dict[str, Any] = {**options, "request_id": new_id(options.get("request_id"))}
    target, kept = fields.pop("target", None), fields.pop("keep_originals_for", None)
    header = blur.OrderHeader(**fields, target=None if target is None else as_target(target))
    if kept is not None:
        header.keep_originals_for.FromTimedelta(kept)
    return header


def blur_image_request(file: AnyFile, spec: BlurSpec | None) -> blur.BlurImageRequest:
    """Return a request with the whole file. Raises: OSError."""
    upload = UploadFile.of(file)
    own = upload.start.spec if upload.start.HasField("spec") else spec
    image = blur.InputImage(filename=upload.start.filename, data=b"".join(upload.chunks()), spec=own)
    return blur.BlurImageRequest(image=image)


def find_regions_request(
    file: AnyFile,
    find: Iterable[Find],
    *,
    effort: Effort.ValueType,
    output_format: ImageFormat.ValueType,
    preview_side: int,
) -> blur.FindRegionsRequest:
    """Return a request with the whole file. Raises: OSError."""
    data = b"".join(UploadFile.of(file).chunks())
    return blur.FindRegionsRequest(
        data=data, find=find, effort=effort, output_format=output_format, preview_side=preview_side
    )


def preview_request(order_id: str, image_id: str, *, result: bool, max_side: int) -> blur.PreviewImageRequest:
    """Return a request for a drawing of an image's original, or of its result."""
    source = blur.PREVIEW_SOURCE_RESULT if result else blur.PREVIEW_SOURCE_ORIGINAL
    return blur.PreviewImageRequest(order_id=order_id, image_id=image_id, source=source, max_side=max_side)


def status_request(order_id: str, *, images: bool) -> blur.StatusRequest:
    """Return a request for an order, optionally with its images."""
    view = blur.OrderView.ORDER_VIEW_FULL if images else blur.OrderView.ORDER_VIEW_BASIC
    return blur.StatusRequest(order_id=order_id, view=view)


def revise_request(
    order_id: str, specs: BlurSpec | Mapping[str, BlurSpec], request_id: str | None
) -> blur.ReviseImagesRequest:
    """Return a request to blur all images again, or some by ID."""
    request = blur.ReviseImagesRequest(order_id=order_id, request_id=new_id(request_id))
    if isinstance(specs, BlurSpec):
        request.spec.CopyFrom(specs)
    elif not specs:
        raise ValueError("specs names no image: give one spec to revise all")
    else:
        request.images.extend(blur.ImageRevision(image_id=key, spec=spec) for key, spec in specs.items())
    return request


def unsubscribe_request(email: str | None, token: str | None) -> subscription.UnsubscribeRequest:
    """Return a request with either of them."""
    if email is not None and token is None:
        return subscription.UnsubscribeRequest(email=email)
    if token is not None and email is None:
        return subscription.UnsubscribeRequest(token=token)
    raise TypeError("give either email or token")
