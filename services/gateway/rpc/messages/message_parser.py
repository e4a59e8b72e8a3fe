"""Parses messages: small ones at once, those of many fields or regions apart from the event loop, callers in turn."""

from typing import Any

from google.protobuf.message import DecodeError, Message

from services.common.domain.errors import InvalidArgument, MessageTooLarge, Violation
from services.common.infra.fair_executor import FairExecutor
from services.gateway.rpc.callers import rate_limit_key
from services.gateway.rpc.messages.message_size import FIELDS_PER_ELEMENT, CountLimits, check_counts

_AT_ONCE = CountLimits(regions=1_000, fields=1_000)
"""Counted and parsed within about a millisecond."""


class MessageParser:
    """Parses the messages of all calls.

    Args:
        thread: Where messages of many fields or regions are parsed.
        max_images: Most images of a message.
        max_regions: Most regions of a message, of all its images together.
    """

    def __init__(self, thread: FairExecutor, *, max_images: int, max_regions: int) -> None:
        self._thread = thread
        self._limits = CountLimits(regions=max_regions, fields=FIELDS_PER_ELEMENT * (max_images + max_regions))

    async def parse(self, message: bytes, parse: Any) -> Any:
        """Return a parsed message; `parse` is the generated class's `FromString`.

        Raises:
            MessageTooLarge: It has too many fields or regions.
            InvalidArgument: It is malformed.
        """
        message_class: type[Message] = parse.__self__
        try:
            try:
                check_counts(message, message_class.DESCRIPTOR, _AT_ONCE)
            except MessageTooLarge:
                return await self._thread.run(rate_limit_key(), self._parse_large, message, message_class)
            return parse(message)
        except DecodeError:
            raise InvalidArgument(Violation("message", "cannot be parsed as this method's request")) from None

    def _parse_large(self, message: bytes, message_class: type[Message]) -> Message:
        check_counts(message, message_class.DESCRIPTOR, self._limits)
        return message_class.FromString(message)
