"""Sends the images of `imageblur order`: small orders in one call, larger ones so that they go on after a lost line."""

import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import typer
from imageblur.v1.blur_service_pb2 import Source, SourceListing, Target
from imageblur.v1.order_pb2 import BlurSpec, Order

from imageblur_client.cli.errors import print_error
from imageblur_client.cli.progress import upload_progress
from imageblur_client.cli.unfinished import UnfinishedOrder
from imageblur_client.client import Client
from imageblur_client.errors import FieldViolation, ImageBlurClientError, InvalidArgumentError, RetryableError

SMALL_BYTES = 16 << 20
"""Most bytes of files that are sent by one call, and again after a failure, rather than in several calls."""


@dataclass(frozen=True, kw_only=True)
class RemoteImages:
    """What the server fetches and writes itself."""

    sources: Sequence[Source]
    listings: Sequence[SourceListing]
    target: Target | None

    @property
    def is_any(self) -> bool:
        """Whether the server fetches images: they are not uploaded."""
        return bool(self.sources or self.listings)


@dataclass(frozen=True, kw_only=True)
class OrderOptions:
    """What to do with the images."""

    email: str
    spec: BlurSpec
    notify: bool
    locale: str
    keep: timedelta | None
    webhook: str
    remote: RemoteImages
    request_id: str | None

    def arguments(self, request_id: str) -> Mapping[str, Any]:
        """Return the arguments of the client's method."""
        return {
            "email": self.email,
            "spec": self.spec,
            "notify": self.notify,
            "locale": self.locale,
            "request_id": request_id,
            "keep_originals_for": self.keep,
            "webhook_url": self.webhook,
            "target": self.remote.target,
        }

    @property
    def key(self) -> Sequence[object]:
        """What makes two orders of the same files the same one."""
        spec = self.spec.SerializeToString(deterministic=True).hex()
        keep = self.keep.total_seconds() if self.keep else None
        target = self.remote.target.SerializeToString(deterministic=True).hex() if self.remote.target else None
        return [self.email, spec, self.notify, self.locale, keep, self.webhook, target]


def place_order(client: Client, paths: list[Path], options: OrderOptions, *, resume: bool, quiet: bool) -> Order:
    """Send the images, and return the accepted order.

    Raises:
        typer.BadParameter: There is no upload to resume.
        ImageBlurClientError: The order was refused; fields name files.
    """
    begun = False
    unfinished = UnfinishedOrder.of(client.server, paths, options.key)
    if resume and options.remote.is_any:
        raise typer.BadParameter("is for orders whose images are all sent", param_hint="--resume")
    earlier = unfinished.request_id()
    if resume and not (earlier or options.request_id):
        raise typer.BadParameter(
            "there is no unfinished upload of these files with these options", param_hint="--resume"
        )
    request_id = options.request_id or (earlier if resume else None) or str(uuid.uuid4())
    if earlier and not resume:
        print_error("an upload of these files was not finished: with --resume, the command would go on with it")
    try:
        with upload_progress(quiet=quiet) as show:

            def on_progress(sent: int, total: int) -> None:
                nonlocal begun
                begun = True
                show(sent, total)

            remote = options.remote
            if remote.is_any or (not resume and sum(path.stat().st_size for path in paths) <= SMALL_BYTES):
                return client.order(
                    paths,
                    sources=remote.sources,
                    listings=remote.listings,
                    on_progress=on_progress,
                    **options.arguments(request_id),
                )
            unfinished.remember(request_id)
            order = _send_large(client, paths, options.arguments(request_id), on_progress)
            unfinished.forget()
            return order
    except InvalidArgumentError as error:
        unfinished.forget()
        raise _with_filenames(error, paths) from None
    except RetryableError as error:
        # A refused order (RESOURCE_EXHAUSTED) was not stored.
        if begun and error.code is not grpc.StatusCode.RESOURCE_EXHAUSTED:
            if unfinished.request_id() == request_id:
                print_error("what was sent is kept for a day: repeat the command with --resume")
            else:
                print_error(f"the order may have been accepted: repeat the command with --request-id {request_id}")
        raise


def _send_large(
    client: Client, paths: list[Path], arguments: Mapping[str, Any], on_progress: Callable[[int, int], None]
) -> Order:
    try:
        return client.resumable_order(
            paths,
            on_progress=on_progress,
            on_interruption=lambda error: print_error(f"{error.message}: the upload goes on when it is back"),
            **arguments,
        )
    except ImageBlurClientError as error:
        # A server of before, or more regions than fit into a message: as one stream.
        if error.code is not grpc.StatusCode.UNIMPLEMENTED and error.reason != "MESSAGE_TOO_LARGE":
            raise
        return client.order(paths, on_progress=on_progress, **arguments)


def _with_filenames(error: InvalidArgumentError, paths: list[Path]) -> InvalidArgumentError:
    """Name files instead of their places in the request: `cat.png: is empty`, `cat.png, spec: …`."""

    def named(violation: FieldViolation) -> FieldViolation:
        match = re.match(r"images\[(\d+)\](?:\.(.*))?$", violation.field)
        if not match or int(match[1]) >= len(paths):
            return violation
        field = "" if match[2] in {None, "data"} else f", {match[2]}"
        return replace(violation, field=f"{paths[int(match[1])]}{field}")

    error.violations = tuple(map(named, error.violations))
    return error
