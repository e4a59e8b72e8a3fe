"""A Python client of ImageBlur; the command line `imageblur` uses it.

    with Client("localhost:50051") as client:
        order = client.order("cat.jpg", spec=BlurSpec(gaussian=Gaussian(sigma_px=12)))
        for change in client.watch(order.order_id):
            print(change.order.counts.succeeded)
        client.download(order.order_id, "blurred")

Methods return messages of `imageblur.v1`. They raise an ImageBlurClientError (see imageblur_client.errors), or OSError
for a file that cannot be read or written.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imageblur.v1.order_pb2 import (
        BlurSpec,
        Check,
        CheckState,
        Delivery,
        Effort,
        Find,
        Finding,
        FindingKind,
        Gaussian,
        Image,
        Order,
        Pixelate,
        Redact,
        Region,
        Solid,
        TextClass,
    )

    from imageblur_client.aio import AsyncClient
    from imageblur_client.client import Client
    from imageblur_client.errors import (
        AccessDeniedError,
        BrokenDownloadError,
        FailedPreconditionError,
        FieldViolation,
        ImageBlurClientError,
        InvalidArgumentError,
        NotFoundError,
        RetryableError,
        ServerUnavailableError,
    )
    from imageblur_client.finding import find_codes, find_custom, find_faces, find_text, hidden_regions
    from imageblur_client.operator import OperatorApi
    from imageblur_client.regions import box, brush, ellipse, polygon
    from imageblur_client.requests import OrderFields
    from imageblur_client.security import Security
    from imageblur_client.sources import listing, source, target
    from imageblur_client.upload import InputFile
    from imageblur_client.webhooks import WebhookVerificationError, verify_webhook

__all__ = [
    "AccessDeniedError",
    "AsyncClient",
    "BlurSpec",
    "BrokenDownloadError",
    "Check",
    "CheckState",
    "Client",
    "Delivery",
    "Effort",
    "FailedPreconditionError",
    "FieldViolation",
    "Find",
    "Finding",
    "FindingKind",
    "Gaussian",
    "Image",
    "ImageBlurClientError",
    "InputFile",
    "InvalidArgumentError",
    "NotFoundError",
    "OperatorApi",
    "Order",
    "OrderFields",
    "Pixelate",
    "Redact",
    "Region",
    "RetryableError",
    "Security",
    "ServerUnavailableError",
    "Solid",
    "TextClass",
    "WebhookVerificationError",
    "box",
    "brush",
    "ellipse",
    "find_codes",
    "find_custom",
    "find_faces",
    "find_text",
    "hidden_regions",
    "listing",
    "polygon",
    "source",
    "target",
    "verify_webhook",
]

_NAMES = {
    "imageblur.v1.order_pb2": "BlurSpec Check CheckState Delivery Effort Find Finding FindingKind Gaussian Image Order "
    "Pixelate Redact Region Solid TextClass",
    "imageblur_client.aio": "AsyncClient",
    "imageblur_client.security": "Security",
    "imageblur_client.client": "Client",
    "imageblur_client.errors": "AccessDeniedError BrokenDownloadError FailedPreconditionError FieldViolation "
    "ImageBlurClientError InvalidArgumentError NotFoundError RetryableError ServerUnavailableError",
    "imageblur_client.finding": "find_codes find_custom find_faces find_text hidden_regions",
    "imageblur_client.operator": "OperatorApi",
    "imageblur_client.regions": "box brush ellipse polygon",
    "imageblur_client.sources": "listing source target",
    "imageblur_client.upload": "InputFile",
    "imageblur_client.webhooks": "WebhookVerificationError verify_webhook",
    "imageblur_client.requests": "OrderFields",
}
_MODULES = {name: module for module, names in _NAMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    # With the first use of a name: gRPC takes longer to load than a command line that needs none of it.
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
