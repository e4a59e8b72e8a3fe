"""The limits of bytes of an image and of an order, however it is sent: message, stream, upload or instant call."""

from services.common.domain.errors import InvalidArgument, Violation


def check_image_bytes(size: int, limit: int, field: str) -> None:
    """Raise InvalidArgument if an image is larger than the limit; `field` is that of its data."""
    if size > limit:
        raise InvalidArgument(Violation(field, f"is larger than {limit} bytes"))


def check_order_bytes(size: int, limit: int) -> None:
    """Raise InvalidArgument if the images of an order together are larger than the limit."""
    if size > limit:
        raise InvalidArgument(Violation("images", f"are larger than {limit} bytes together"))
