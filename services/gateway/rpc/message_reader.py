"""Reads the messages of calls: parsed, in time, and no more of them than the method takes."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from google.protobuf.message import DecodeError, Message
from grpc import aio

from services.common.domain.errors import InvalidArgument, Stalled, Violation
from services.gateway.rpc.admission import SMALL_MESSAGE, Terms
from services.gateway.rpc.byte_budget import Reservation

Context = aio.ServicerContext[Any, Any]


async def only_message(context: Context, parse: Any, terms: Terms, reservation: Reservation) -> Any:
    """The one message of a call; its reservation shrinks to what it takes.

    Raises:
        InvalidArgument: There is none, more than one, one that is too large or that cannot be parsed.
        Stalled: It did not come in time.
    """
    try:
        async with asyncio.timeout(terms.seconds):
            message = await context.read()
            if message is aio.EOF:
                raise _wrong("is missing")
            if await context.read() is not aio.EOF:
                raise _wrong("must be the only one of its call")
    except TimeoutError:
        raise Stalled(f"the message did not arrive within {terms.seconds:g} seconds") from None
    reservation.shrink(_measured(message, terms))
    request = _parsed(message, parse)
    # Methods that bring images look at each of their texts themselves.
    if terms.largest <= SMALL_MESSAGE and b"\0" in message:
        _check_texts(request)
    return request


async def each_message(context: Context, parse: Any, terms: Terms) -> AsyncIterator[Any]:
    """The messages of a stream.

    Raises:
        InvalidArgument: One is too large or cannot be parsed.
        Stalled: The first, or the next, did not come in time.
    """
    seconds = terms.seconds
    while True:
        try:
            async with asyncio.timeout(seconds):
                message = await context.read()
        except TimeoutError:
            raise Stalled(f"nothing came for {seconds:g} seconds") from None
        if message is aio.EOF:
            return
        _measured(message, terms)
        yield _parsed(message, parse)
        seconds = terms.idle_seconds


def _measured(message: bytes, terms: Terms) -> int:
    if len(message) > terms.largest:
        raise _wrong(f"is larger than {terms.largest} bytes")
    return len(message)


def _parsed(message: bytes, parse: Any) -> Any:
    try:
        return parse(message)
    except DecodeError:
        raise _wrong("cannot be parsed as this method's request") from None


def _check_texts(message: Message, path: str = "") -> None:
    """No text holds a NUL: it is in none that anybody means, and PostgreSQL can neither store it nor look for it."""
    for field, value in message.ListFields():
        for index, item in enumerate(value) if field.is_repeated else ((None, value),):
            name = path + field.name + ("" if index is None else f"[{index}]")
            if isinstance(item, Message):
                _check_texts(item, f"{name}.")
            elif isinstance(item, str) and "\0" in item:
                raise InvalidArgument(Violation(name, "must not contain NUL"))


def _wrong(description: str) -> InvalidArgument:
    return InvalidArgument(Violation("message", description))
