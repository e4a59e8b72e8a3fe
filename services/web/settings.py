"""Settings of the web pages."""

from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from services.common.infra.settings import MetricsSettings, is_loopback, metrics_port


class WebSettings(MetricsSettings):
    """What the web pages need to know."""

    allow_anonymous: bool = Field(
        default=False,
        description="Lets the pages be reached on other than loopback addresses though anyone may then place orders.",
    )
    web_address: str = Field(
        default="127.0.0.1:8080", description="Where the web pages are served: `host:port`, port 0 for any free one."
    )
    web_metrics_port: int = metrics_port(9468, "the web pages")
    gateway_url: str = Field(
        default="http://127.0.0.1:50051",
        description="The gateway that the web pages call: `http://host:port`, `https://host:port` with TLS, or "
        "`unix:/path`.",
    )
    gateway_ca_file: Path | None = Field(
        default=None,
        description="Certificates (PEM) that the gateway's is checked against, with `https://`. Default: those that "
        "gRPC brings along.",
    )
    gateway_key: SecretStr | None = Field(
        default=None, description="Key that the web pages show to the gateway, where it asks for one."
    )
    public_url: str | None = Field(
        default=None, description="Where the web pages are reached from outside, such as `https://blur.example.org`."
    )
    mailbox_dir: Path | None = Field(
        default=None,
        description="Folder of e-mails that `/mailbox` shows; `make run` sets it. Whoever reaches that page reads them "
        "all, so it is there on loopback only.",
    )

    operator_pages: bool | None = Field(
        default=None,
        description="Whether `/operator` is there, for operators with an API key. Default: while the pages can be "
        "reached from this machine alone, by `IMAGEBLUR_WEB_ADDRESS` and `IMAGEBLUR_PUBLIC_URL`; there a gateway that "
        "asks for no keys makes them unnecessary.",
    )

    @property
    def host_and_port(self) -> tuple[str, int]:
        """Where to listen."""
        host, _, port = self.web_address.rpartition(":")
        return host.strip("[]"), int(port)

    @property
    def is_local(self) -> bool:
        """Whether only this machine is meant to reach the pages."""
        public = urlsplit(self.public_url).hostname if self.public_url else None
        return is_loopback(self.host_and_port[0]) and (public is None or is_loopback(public))

    @property
    def serves_operators(self) -> bool:
        """Whether the operator's pages are there."""
        return self.is_local if self.operator_pages is None else self.operator_pages

    @property
    def hosts(self) -> frozenset[str] | None:
        """Names that browsers may call this server by; None: any.

        Otherwise a page of somebody else's could have its own name point here (DNS rebinding) and read everything.
        """
        host, _ = self.host_and_port
        public = urlsplit(self.public_url).hostname if self.public_url else None
        if public is None and not is_loopback(host):
            return None
        return frozenset({"localhost", "127.0.0.1", "::1", host} | ({public} if public else set()))

    @field_validator("web_address")
    @classmethod
    def _host_and_port(cls, value: str) -> str:
        host, colon, port = value.rpartition(":")
        if not colon or not host or not (port.isascii() and port.isdecimal()) or int(port) > 65535:
            raise ValueError("must be host:port, such as 127.0.0.1:8080")
        return value

    @field_validator("gateway_url")
    @classmethod
    def _known_scheme(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme == "unix":
            return value
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path.strip("/"):
            raise ValueError("must be http://host:port or https://host:port")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _not_open_by_accident(self) -> Self:
        host, _ = self.host_and_port
        if is_loopback(host):
            return self
        if not self.allow_anonymous:
            raise ValueError(
                f"IMAGEBLUR_WEB_ADDRESS: {self.web_address} can be reached from other machines, and anyone could then "
                "use the service: listen on 127.0.0.1, or set IMAGEBLUR_ALLOW_ANONYMOUS=true if that is meant"
            )
        if self.mailbox_dir:
            raise ValueError(
                f"IMAGEBLUR_MAILBOX_DIR: {self.web_address} can be reached from other machines, and anyone could then "
                "read all e-mails"
            )
        return self
