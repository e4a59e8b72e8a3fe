"""What the one-machine stack can be told; what the services themselves can be told is in `services.common`."""

import os
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from services.common.infra.settings import Settings
from services.stack.address import split_address


def _cores() -> int:
    """Cores that this process may use, which in a container or under `taskset` are fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _checked_address(address: str) -> str:
    split_address(address)
    return address


def _checked_web_address(address: str) -> str:
    if split_address(address) is None:
        raise ValueError("must be host:port, such as 127.0.0.1:8080")
    return address


def _checked_folder(folder: Path) -> Path:
    if any(character in str(folder) for character in "?#"):  # they would end the path inside a database URL
        raise ValueError("must not contain ? or #")
    return folder


class StackSettings(Settings):
    """Settings of `python -m services.stack`, from the environment and `.env`."""

    data_dir: Annotated[Path, AfterValidator(_checked_folder)] = Field(
        default=Path("data"), description="Folder for everything that is kept: database, images, queue, mailbox."
    )
    gateway_address: Annotated[str, AfterValidator(_checked_address)] = Field(
        default="127.0.0.1:50051", description="Where the gateway listens, as host:port."
    )
    web_address: Annotated[str, AfterValidator(_checked_web_address)] = Field(
        default="127.0.0.1:8080", description="Where the web pages are served, as host:port."
    )
    public_url: str | None = Field(
        default=None, description="Where the web pages are reached from outside; by default at their own address."
    )
    mailbox_port: int = Field(default=1025, ge=1, le=65535, description="Port of the local SMTP mailbox, on loopback.")
    blur_children: int = Field(
        default_factory=_cores, ge=1, description="Processes that blur at the same time; by default one per core."
    )
    order_window: int | None = Field(
        default=None, ge=1, description="Images in the queue or at work at a time; by default two for each child."
    )
    database_url: str | None = Field(
        default=None, description="A database to use instead of SQLite in the data folder."
    )
    broker_url: str | None = Field(default=None, description="A Redis or Valkey to use instead of the embedded one.")
    blob_url: str | None = Field(
        default=None, description="A blob store to use instead of a folder in the data folder."
    )
    smtp_host: str | None = Field(default=None, description="An SMTP relay to use instead of the local mailbox.")
    secret_key: SecretStr | None = Field(
        default=None, description="Key that signs links; by default made once and kept."
    )
