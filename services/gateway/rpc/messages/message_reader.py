"""Reads and parses the messages of a call within its time and size limits."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from google.protobuf.message import Message
from grpc import aio

from services.common.domain.errors import InvalidArgument, ReadTimeout, Violation
from services.gateway.rpc.limits.admission import SMALL_MESSAGE, CallPolicy
from services.gateway.rpc.limits.byte_budget import Reservation
from services.gateway.rpc.messages.message_parser import MessageParser

Context = aio.ServicerContext[Any, Any]


async def read_only_message(
    context: Context, parser: MessageParser, parse: Any, policy: CallPolicy, reservation: Reservation
) -> Any:
    """Return the message of a unary request, and shrink the reservation to its size.

    Raises:
        InvalidArgument: There is none or more than one, or it is too large or malformed.
        MessageTooLarge: It has too many parts.
        ReadTimeout: It was not received in time.
    """
    seconds = policy.first_message_seconds
    try:
        async with asyncio.timeout(seconds):
            message = await context.read()
            if message is aio.EOF:
                raise _invalid("is missing")
            if await context.read() is not aio.EOF:
                raise _invalid("must be the only one of its call")
    except TimeoutError:
        raise ReadTimeout(f"the message was not received within {seconds:g} seconds") from None
    reservation.shrink(_checked_size(message, policy))
    request = await parser.parse(message, parse)
    # Methods with images check each of their strings themselves.
    if policy.max_message_bytes <= SMALL_MESSAGE and b"\0" in message:
        _check_strings(request)
    return request


async def read_messages(context: Context, parser: MessageParser, parse: Any, policy: CallPolicy) -> AsyncIterator[Any]:
    """Yield the messages of a streamed request.

    Raises:
        InvalidArgument: One is too large or malformed.
        MessageTooLarge: One has too many parts.
        ReadTimeout: The first or the next one was not received in time.
    """
    seconds = policy.first_message_seconds
    while True:
        try:
            async with asyncio.timeout(seconds):
                message = await context.read()
        except TimeoutError:
            raise ReadTimeout(f"nothing was received for {seconds:g} seconds") from None
        if message is aio.EOF:
            return
        _checked_size(message, policy)
        yield await parser.parse(message, parse)
        seconds = policy.idle_seconds


def _checked_size(message: bytes, policy: CallPolicy) -> int:
    if len(message) > policy.max_message_bytes:
        raise _invalid(f"is larger than {policy.max_message_bytes} bytes")
    return len(message)


def _check_strings(message: Message, path: str = "") -> None:
    """Refuse strings with NUL: PostgreSQL can neither store nor compare them."""
    for field, value in message.ListFields():
        for index, item in enumerate(value) if field.is_repeated else ((None, value),):
            name = path + field.name + ("" if index is None else f"[{index}]")
            if isinstance(item, Message):
                _check_strings(item, f"{name}.")
            elif isinstance(item, str) and "\0" in item:
                raise InvalidArgument(Violation(name, "must not contain NUL"))


def _invalid(description: str) -> InvalidArgument:
    return InvalidArgument(Violation("message", description))
