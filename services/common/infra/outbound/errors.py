"""Errors of requests to addresses that callers have named. Their texts are for the caller: they name the host only."""

from services.common.domain.errors import ImageBlurError


class OutboundError(ImageBlurError):
    """No answer was received, or not a whole one."""


class RefusedAddress(OutboundError):
    """The address may not be connected to."""


class ResponseTooLarge(OutboundError):
    """The answer is larger than allowed."""
