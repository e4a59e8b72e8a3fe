"""A small client of ImageBlur, for programs; the command line `imageblur` is made of it.

    with Client("localhost:50051") as client:
        order = client.order("ada@example.org", ["cat.jpg"], spec=BlurSpec(gaussian=Gaussian(sigma_px=12)))
        for change in client.watch(order.order_id):
            print(change.order.counts.succeeded)
        client.download(order.order_id, "blurred")

What it returns are the messages of `imageblur.v1`; what it raises on purpose is an `ImageBlurClientError`, or the
OSError of a file that cannot be read or written.
"""

from imageblur.v1.order_pb2 import BlurSpec, Delivery, Gaussian, Image, Order, Pixelate, Region, Solid

from imageblur_client.channel import Security
from imageblur_client.client import Client
from imageblur_client.errors import (
    AccessDenied,
    BrokenDownload,
    FailedPrecondition,
    ImageBlurClientError,
    InvalidArgument,
    NotFound,
    ServerUnavailable,
    TryAgain,
    Violation,
)
from imageblur_client.operator import Operator
from imageblur_client.regions import box, ellipse
from imageblur_client.upload import InputFile

__all__ = [
    "AccessDenied",
    "BlurSpec",
    "BrokenDownload",
    "Client",
    "Delivery",
    "FailedPrecondition",
    "Gaussian",
    "Image",
    "ImageBlurClientError",
    "InputFile",
    "InvalidArgument",
    "NotFound",
    "Operator",
    "Order",
    "Pixelate",
    "Region",
    "Security",
    "ServerUnavailable",
    "Solid",
    "TryAgain",
    "Violation",
    "box",
    "ellipse",
]
