"""Settings of the one-machine stack; those of the services are in their own `settings.py`."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from services.common.infra.process.machine import default_children
from services.common.infra.settings import Settings
from services.stack.address import split_address


def _checked_address(address: str) -> str:
    split_address(address)
    return address


def _checked_web_address(address: str) -> str:
    if split_address(address) is None:
        raise ValueError("must be host:port, such as 127.0.0.1:8080")
    return address


def _checked_folder(folder: Path) -> Path:
    if any(character in str(folder) for character in "?#"):  # they end the path in a database URL
        raise ValueError("must not contain ? or #")
    return folder


class StackSettings(Settings):
    """Settings of `python -m services.stack`, from the environment and `.env`."""

    data_dir: Annotated[Path, AfterValidator(_checked_folder)] = Field(
        default=Path("data"), description="Folder of the database, images, queue and mailbox."
    )
    gateway_address: Annotated[str, AfterValidator(_checked_address)] = Field(
        default="127.0.0.1:50051", description="Address that the gateway listens on, as host:port."
    )
    web_address: Annotated[str, AfterValidator(_checked_web_address)] = Field(
        default="127.0.0.1:8080", description="Address that the web pages listen on, as host:port."
    )
    public_url: str | None = Field(
        default=None, description="URL of the web pages as others reach them; by default the one they listen on."
    )
    mailbox_port: int = Field(default=1025, ge=1, le=65535, description="Port of the local SMTP mailbox, on loopback.")
    blur_children: int = Field(
        default_factory=default_children,
        ge=1,
        description="Child processes that blur; by default one per core, fewer where memory is short.",
    )
    order_window: int | None = Field(
        default=None, ge=1, description="Images that may be queued or running; by default two per child process."
    )
    database_url: str | None = Field(default=None, description="Database to use instead of SQLite in the data folder.")
    broker_url: str | None = Field(default=None, description="Redis or Valkey to use instead of the embedded one.")
    blob_url: str | None = Field(default=None, description="Blob store to use instead of a folder in the data folder.")
    smtp_host: str | None = Field(default=None, description="SMTP relay to use instead of the local mailbox.")
    unconfirmed_addresses: str | None = Field(
        default=None, description="As of the services; by default `results` for the local mailbox, else `link`."
    )
    secret_key: SecretStr | None = Field(
        default=None, description="Key that signs links; by default created once and kept."
    )
