"""Every operation of the API: its path, its RPC, what it takes and returns. The OpenAPI document is made of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1 import subscription_service_pb2 as subscriptions

from services.web.api.calls import CALLS
from services.web.api.order_form import HEADER_FIELDS, is_duration
from services.web.api.parameters import FLAG, SPEC_PARAMETERS, Parameter

SERVICES = (
    pb.DESCRIPTOR.services_by_name["BlurService"],
    subscriptions.DESCRIPTOR.services_by_name["SubscriptionService"],
)
"""Whose RPCs have counterparts; operators use the pages, the command line or gRPC."""
SECONDS: Mapping[str, Any] = {"type": "integer", "minimum": 0}
"""JSON schema of a duration in a form: whole seconds."""
BINARY = "binary"
"""A body that is a file."""


@dataclass(frozen=True, kw_only=True)
class Form:
    """A form with one file, or several, and fields."""

    file: str
    several: bool = False
    fields: Sequence[Parameter] = ()


@dataclass(frozen=True, kw_only=True)
class Operation:
    """A method and a path. A body or an answer is a message, a form, BINARY, or a text with this description."""

    method: str
    path: str
    rpcs: Sequence[str]
    """The first one gives the description."""
    id: str = ""
    """Its name in the OpenAPI document; empty: that of the RPC."""
    summary: str = ""
    """Empty: the first sentence about the RPC."""
    note: str = ""
    """What differs from the RPC."""
    headers: Sequence[Parameter] = ()
    query: Sequence[Parameter] = ()
    """Besides the fields of `request`."""
    request: type[Message] | None = None
    """Its fields are those of the path and of the query; of a POST the body, too."""
    bodies: dict[str, Any] = field(default_factory=dict)
    """By media type, if `request` is not the body."""
    answers: dict[str, Any] = field(default_factory=dict)
    """By media type; empty: none."""
    status: int = 200
    ranges: bool = False
    """Whether it answers ranges of a file."""

    @property
    def tag(self) -> str:
        """The group that it belongs to."""
        if self.path.startswith("/v1/subscriptions"):
            return "Newsletter"
        return "One image at once" if self.path in {"/v1/blur", "/v1/find", "/blur/"} else "Orders"


def _answer(rpc: str) -> dict[str, Any]:
    (method,) = (method for service in SERVICES for method in service.methods if method.name == rpc)
    return {"application/json": method.output_type}


_IMAGE = {"image/*": BINARY}


def _form_field(header_field: FieldDescriptor) -> Parameter:
    """Return a field of the form; its description is that of OrderHeader."""
    schema: Mapping[str, Any] = {"type": "string"}
    if header_field.type == FieldDescriptor.TYPE_BOOL:
        schema = FLAG
    elif is_duration(header_field):
        schema = SECONDS
    return Parameter(name=header_field.name, description="", schema=schema)


_FORM_FIELDS = (
    *map(_form_field, HEADER_FIELDS),
    Parameter(
        name="spec", description="How to blur: a BlurSpec as JSON, instead of the query.", schema={"type": "string"}
    ),
)
_SEARCHED = [
    parameter
    for parameter in SPEC_PARAMETERS
    if parameter.name in {"find", "effort", "min_confidence", "find_padding", "format", "spec"}
]
_PREVIEW = Parameter(
    name="preview",
    description="Longest side in pixels of a picture of the image as the server sees it, at most 2,048.",
    schema={"type": "integer", "minimum": 0, "maximum": 2048},
)

WITH_FILES = (
    Operation(
        method="POST",
        path="/v1/blur",
        rpcs=["BlurImage"],
        note="Send the image as the body or as a file of a form. `X-ImageBlur-Findings` counts what was found, "
        "`X-ImageBlur-Check` is `CLEAN`, `REMAINING` or `NOT_CHECKED`. With `Accept: application/json`, or a request "
        "as JSON, a BlurImageResponse.",
        query=SPEC_PARAMETERS,
        bodies={
            "multipart/form-data": Form(file="image"),
            **_IMAGE,
            "application/json": pb.BlurImageRequest.DESCRIPTOR,
        },
        answers={**_IMAGE, **_answer("BlurImage")},
    ),
    Operation(
        method="POST",
        path="/v1/find",
        rpcs=["FindRegions"],
        note="Send the image as the body or as a file of a form.",
        query=[*_SEARCHED, _PREVIEW],
        bodies={
            "multipart/form-data": Form(file="image"),
            **_IMAGE,
            "application/json": pb.FindRegionsRequest.DESCRIPTOR,
        },
        answers=_answer("FindRegions"),
    ),
    Operation(
        method="POST",
        path="/blur/",
        rpcs=["BlurImage"],
        id="BlurPanoramax",
        summary="Blurs a picture as a Panoramax instance asks for it",
        note="The blurring interface of Panoramax: hides faces unless `find` asks for something else, keeps EXIF, and "
        "returns a JPEG unless `format` asks for something else. With `Accept: multipart/form-data` a form of `image` "
        "and `metadata`.",
        query=[
            *SPEC_PARAMETERS,
            Parameter(name="keep", description="Ignored: nothing that was hidden is kept.", schema=FLAG),
        ],
        bodies={"multipart/form-data": Form(file="picture")},
        answers={**_IMAGE, "multipart/form-data": "a form of `image` and `metadata`"},
    ),
    Operation(
        method="POST",
        path="/v1/orders",
        rpcs=["StreamBlurOrder", "BlurOrder"],
        id="PlaceOrder",
        summary="Places an order",
        note="As a form: files of any size. As JSON: one message of at most `max_message_bytes`.",
        query=SPEC_PARAMETERS,
        bodies={
            "multipart/form-data": Form(file="image", several=True, fields=_FORM_FIELDS),
            "application/json": pb.BlurOrderRequest.DESCRIPTOR,
        },
        answers=_answer("BlurOrder"),
        status=201,
    ),
    Operation(
        method="POST",
        path="/v1/uploads",
        rpcs=["CreateUpload"],
        note="With the header `Upload-Length` instead of a body as in tus, for an order of one image.",
        headers=[
            Parameter(
                name="Upload-Length",
                description="Size of the one image in bytes.",
                schema={"type": "integer", "minimum": 0},
            ),
            Parameter(
                name="Upload-Metadata",
                description="Of the one image: `filename` and the fields of OrderHeader, each with a value in base64, "
                "separated by commas.",
                schema={"type": "string"},
            ),
        ],
        query=SPEC_PARAMETERS,
        bodies={"application/json": pb.CreateUploadRequest.DESCRIPTOR},
        answers=_answer("CreateUpload"),
        status=201,
    ),
    Operation(
        method="GET",
        path="/v1/uploads/{upload_id}",
        rpcs=["GetUpload"],
        note="HEAD answers with the headers of tus alone: `Upload-Offset` is `received_bytes`.",
        request=pb.GetUploadRequest,
        answers=_answer("GetUpload"),
    ),
    Operation(
        method="PATCH",
        path="/v1/uploads/{upload_id}",
        rpcs=["AppendUpload"],
        note="As in tus 1.0.",
        headers=[
            Parameter(
                name="Upload-Offset",
                description="`received_bytes` of the upload; required.",
                schema={"type": "integer", "minimum": 0},
            )
        ],
        bodies={"application/offset+octet-stream": BINARY},
        status=204,
    ),
    Operation(
        method="POST",
        path="/v1/uploads/{upload_id}/complete",
        rpcs=["CompleteUpload"],
        answers=_answer("CompleteUpload"),
        status=201,
    ),
    Operation(
        method="DELETE",
        path="/v1/uploads/{upload_id}",
        rpcs=["DeleteUpload"],
        request=pb.DeleteUploadRequest,
        status=204,
    ),
    Operation(
        method="GET",
        path="/v1/orders/{order_id}/events",
        rpcs=["WatchStatus"],
        note="Server-sent events: `change` with a WatchStatusResponse as JSON and the revision as its id, then `end`, "
        "or `deleted`. A new connection with `Last-Event-ID` goes on after it.",
        request=pb.WatchStatusRequest,
        answers={"text/event-stream": "events `change` (a WatchStatusResponse), `end`, `deleted`"},
    ),
    Operation(
        method="GET",
        path="/v1/orders/{order_id}/archive",
        rpcs=["DownloadImages"],
        id="DownloadArchive",
        summary="Returns all results as a ZIP archive",
        answers={"application/zip": BINARY},
        ranges=True,
    ),
    Operation(
        method="GET",
        path="/v1/orders/{order_id}/images/{image_id}",
        rpcs=["DownloadImages"],
        id="DownloadImage",
        summary="Returns one result",
        query=[Parameter(name="download", description="Ask browsers to save it.", schema=FLAG)],
        answers=_IMAGE,
        ranges=True,
    ),
    Operation(
        method="GET",
        path="/v1/orders/{order_id}/images/{image_id}/preview",
        rpcs=["PreviewImage"],
        note="`X-ImageBlur-Width` and `X-ImageBlur-Height` are the size of the image itself.",
        request=pb.PreviewImageRequest,
        answers=_IMAGE,
    ),
    Operation(
        method="GET",
        path="/v1/archive",
        rpcs=["DownloadImages"],
        id="DownloadLinkedArchive",
        summary="Returns the archive that a link in an e-mail leads to",
        query=[Parameter(name="token", description="The token of the link; required.", schema={"type": "string"})],
        answers={"application/zip": BINARY},
        ranges=True,
    ),
)
OPERATIONS = (
    *WITH_FILES,
    *(
        Operation(method=call.method, path=call.path, rpcs=[call.rpc], request=call.request, answers=_answer(call.rpc))
        for call in CALLS
    ),
)
