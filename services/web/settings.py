"""Settings of the web pages."""

import ipaddress
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from services.common.infra.settings import MetricsSettings, VisitorSettings, is_loopback, metrics_port

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class WebSettings(MetricsSettings, VisitorSettings):
    """Settings of the web pages (environment variables with the prefix IMAGEBLUR_)."""

    allow_anonymous: bool = Field(
        default=False, description="Allow other than loopback addresses, although anyone may then place orders."
    )
    web_address: str = Field(
        default="127.0.0.1:8080", description="Address of the web pages: `host:port`; port 0 for any free port."
    )
    web_metrics_port: int = metrics_port(9468, "the web pages")
    gateway_url: str = Field(
        default="http://127.0.0.1:50051",
        description="The gateway that the web pages call: `http://host:port`, `https://host:port` with TLS, or "
        "`unix:/path`.",
    )
    gateway_ca_file: Path | None = Field(
        default=None,
        description="Root certificates (PEM) for an `https://` gateway. Default: those that gRPC includes.",
    )
    gateway_key: SecretStr | None = Field(
        default=None, description="API key of the web pages, for a gateway that requires keys."
    )
    public_url: str | None = Field(
        default=None, description="Public URL of the web pages, such as `https://blur.example.org`."
    )
    cors_origins: str = Field(
        default="",
        description="Origins of other sites whose pages may call the HTTP interface, separated by commas "
        "(`https://app.example.org`). Without any, pages of other sites cannot use a server that only their visitors "
        "reach.",
    )
    trusted_proxies: str = Field(
        default="",
        description="Addresses or networks of proxies in front of the web pages, separated by commas (`127.0.0.1`, "
        "`10.0.0.0/8`): their `X-Forwarded-For` names the visitor, whom rate limits count.",
    )
    mailbox_dir: Path | None = Field(
        default=None,
        description="Folder of the e-mails that `/mailbox` shows; `make run` sets it. The page has no access control: "
        "allowed on loopback only.",
    )

    operator_pages: bool | None = Field(
        default=None,
        description="Serve the operator pages at `/operator`. Default: only if `IMAGEBLUR_WEB_ADDRESS` and "
        "`IMAGEBLUR_PUBLIC_URL` are loopback. There, a gateway that requires no keys makes signing in unnecessary.",
    )

    @property
    def host_and_port(self) -> tuple[str, int]:
        """The host and port to listen on."""
        host, _, port = self.web_address.rpartition(":")
        return host.strip("[]"), int(port)

    @property
    def is_local(self) -> bool:
        """Whether the pages are for this machine only."""
        public = urlsplit(self.public_url).hostname if self.public_url else None
        return is_loopback(self.host_and_port[0]) and (public is None or is_loopback(public))

    @property
    def serves_operators(self) -> bool:
        """Whether the operator pages are served."""
        return self.is_local if self.operator_pages is None else self.operator_pages

    @property
    def hosts(self) -> frozenset[str] | None:
        """Host names that requests may use; None: any.

        Without this check, another site could point its own name here (DNS rebinding) and read everything.
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

    @property
    def proxy_networks(self) -> list[Network]:
        """The networks of trusted proxies."""
        return [ipaddress.ip_network(part.strip()) for part in self.trusted_proxies.split(",") if part.strip()]

    @model_validator(mode="after")
    def _proxies_are_networks(self) -> Self:
        try:
            self.proxy_networks  # noqa: B018 - parses them
        except ValueError as error:
            raise ValueError(f"IMAGEBLUR_TRUSTED_PROXIES: {error}") from None
        return self

    @property
    def api_origins(self) -> frozenset[str]:
        """The origins that may call the HTTP interface, as browsers send them."""
        return frozenset(part.strip().lower() for part in self.cors_origins.split(",") if part.strip())

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, value: str) -> str:
        for origin in filter(None, map(str.strip, value.split(","))):
            parts = urlsplit(origin)
            if (
                parts.scheme not in {"http", "https"}
                or not parts.hostname
                or origin != f"{parts.scheme}://{parts.netloc}"
            ):
                raise ValueError(f"IMAGEBLUR_CORS_ORIGINS: {origin} is not an origin such as https://app.example.org")
        return value

    @field_validator("public_url")
    @classmethod
    def _without_a_path(cls, value: str | None) -> str | None:
        parts = urlsplit(value or "https://host")
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path.strip("/") or parts.query:
            raise ValueError(
                "must be http://host or https://host without a path: the pages need a host name of their own"
            )
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
                f"IMAGEBLUR_WEB_ADDRESS: {self.web_address} is reachable from other machines, and anyone could use "
                "the service: listen on 127.0.0.1, or set IMAGEBLUR_ALLOW_ANONYMOUS=true to allow that"
            )
        if self.mailbox_dir:
            raise ValueError(
                f"IMAGEBLUR_MAILBOX_DIR: {self.web_address} is reachable from other machines, and anyone could read "
                "all e-mails: listen on 127.0.0.1, or unset it"
            )
        return self
