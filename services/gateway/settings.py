"""Settings of the gateway."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from services.common.domain.api_keys import Role
from services.common.infra.settings import (
    CommonSettings,
    LimitSettings,
    OutboundSettings,
    PlaceSettings,
    RecipientSettings,
    SigningSettings,
    VisitorSettings,
    is_loopback,
    metrics_port,
)

MIB, GIB = 1 << 20, 1 << 30


class GatewaySettings(
    CommonSettings, LimitSettings, SigningSettings, RecipientSettings, VisitorSettings, OutboundSettings, PlaceSettings
):
    """The settings of the gateway."""

    require_keys: bool = Field(
        default=False,
        description="Requires an API key for every call (`authorization: Bearer KEY`; `python -m services.gateway "
        "create-key NAME` creates the first). Without it, everyone who can connect to a loopback address has full "
        "access: set it, too, if a proxy on this machine forwards calls of others.",
    )
    allow_anonymous: bool = Field(
        default=False,
        description="Allows addresses other than loopback without required keys: everyone can then place orders. "
        "OperatorService still requires a key.",
    )
    reflection: Literal["open", "keys", "off"] = Field(
        default="open",
        description="Who can use gRPC reflection (for grpcurl): everyone, holders of a key if keys are required, or "
        "nobody. It reveals the published protos only.",
    )
    tls_certificate: Path | None = Field(
        default=None,
        description="File with the certificate chain (PEM). Enables TLS for all connections. New connections use the "
        "current content of the file: no restart is needed to renew it.",
    )
    tls_key: Path | None = Field(default=None, description="File with the key of the certificate (PEM).")
    tls_client_ca: Path | None = Field(
        default=None,
        description="File with the CA certificates of clients (PEM). Enables mutual TLS: clients need a certificate; "
        "their role still depends on their API key.",
    )
    gateway_address: str = Field(
        default="127.0.0.1:50051", description="Address to listen on, as `host:port`; port 0 for any free port."
    )
    gateway_metrics_port: int = metrics_port(9464, "the gateway")
    gateway_threads: int = Field(
        default=16,
        ge=1,
        description="Threads for database and blob store, and short calls that are served at a time. Further calls "
        "wait, callers in turn; each caller leaves a quarter of them to others.",
    )
    max_message_bytes: int = Field(
        default=8 * MIB,
        ge=MIB,
        description="Largest BlurOrder message in bytes; larger orders need StreamBlurOrder. gRPC has one limit for "
        "all methods, so a higher limit leaves room for fewer concurrent calls.",
    )
    max_message_regions: int = Field(
        default=20_000,
        ge=1_000,
        description="Most regions of a BlurOrder message, of all its images together; orders with more need "
        "StreamBlurOrder.",
    )
    max_images: int = Field(default=10_000, ge=1, description="Most images in an order.")
    max_queued_images: int = Field(
        default=100_000,
        ge=1,
        description="Most images queued or running, of all orders together; further orders are refused with QUEUE_FULL "
        "and RetryInfo. Also a limit of a single order.",
    )
    max_bytes_in_flight: int = Field(
        default=256 * MIB,
        ge=64 * MIB,
        description="Most bytes of messages and uploads being received; the gateway's memory grows by up to about "
        "twice as much. Further calls wait for a moment, then are refused with BYTES_IN_FLIGHT and RetryInfo. At least "
        "sixteen times IMAGEBLUR_MAX_MESSAGE_BYTES.",
    )
    max_watches: int = Field(default=5_000, ge=1, description="Most concurrent watches (WatchStatus).")
    max_instant_calls: int = Field(
        default=16,
        ge=1,
        description="Most instant calls (BlurImage, FindRegions, PreviewImage) that wait in the queue or were taken "
        "from it, over all gateways (an idle worker of the gateway's machine gets them past the queue); further ones "
        "are refused with QUEUE_FULL and RetryInfo. Together those of a gateway hold at most half of "
        "IMAGEBLUR_MAX_BYTES_IN_FLIGHT.",
    )
    max_orders_per_minute: int = Field(
        default=600,
        ge=0,
        description="Most orders, revisions and instant calls of a caller (an API key, or without one a network "
        "address) in a minute, over all gateways; 0: no limit. Further ones are refused with "
        "RATE_LIMIT_EXCEEDED and RetryInfo.",
    )
    max_subscriptions_per_hour: int = Field(
        default=600,
        ge=0,
        description="Most calls of Subscribe, each of which may send an e-mail, of a caller in an hour; 0: no limit. "
        "An address gets at most one confirmation e-mail an hour in any case.",
    )
    max_unconfirmed_per_hour: int = Field(
        default=100,
        ge=0,
        description="Most requests of a caller in an hour to e-mail results to addresses that have not confirmed, so "
        "that nobody can write to many strangers; 0: no limit. Further ones are refused with RATE_LIMIT_EXCEEDED. See "
        "IMAGEBLUR_UNCONFIRMED_ADDRESSES.",
    )
    upload_hours: float = Field(
        default=24,
        gt=0,
        description="How long an unfinished upload (CreateUpload) is kept after its last byte, so that it can go on.",
    )
    max_uploads: int = Field(
        default=1_000,
        ge=1,
        description="Most unfinished uploads (CreateUpload), of all callers; further ones are refused with "
        "TOO_MANY_UPLOADS and RetryInfo.",
    )
    max_uploads_per_caller: int = Field(
        default=50, ge=1, description="The same of one caller (an API key, or without one a network address)."
    )
    max_upload_gib: float = Field(
        default=256,
        gt=0,
        description="Most GiB of unfinished uploads, of all callers, by the sizes that were announced. On a local disk "
        "they need the free space as well.",
    )
    max_upload_gib_per_caller: float = Field(default=32, gt=0, description="The same of one caller.")
    retention_days: float = Field(
        default=7, gt=0, description="How long results and address are kept after an order has finished."
    )
    max_keep_originals_hours: float = Field(
        default=24,
        ge=0,
        le=24,
        description="Longest time that orders may keep their originals after they have finished, so that images can be "
        "revised (`keep_originals_for`); 0: none may.",
    )
    mail_cooldown_seconds: float = Field(
        default=60, ge=0, description="Time between two requests to e-mail an order's results."
    )
    confirm_subscriptions: bool = Field(
        default=True, description="Asks subscribers to confirm by an e-mail (double opt-in)."
    )

    @property
    def largest_message(self) -> int:
        """Message limit of gRPC in bytes: above max_message_bytes, so that the error can name the limit."""
        return self.max_message_bytes + self.max_message_bytes // 8

    @property
    def max_originals_seconds(self) -> int:
        """Longest keep_originals_for."""
        return int(self.max_keep_originals_hours * 3600)

    @property
    def upload_seconds(self) -> float:
        """How long unfinished uploads are kept after their last byte."""
        return self.upload_hours * 3600

    @property
    def largest_order(self) -> int:
        """Most images in an order: an order above the queue's limit could never be accepted."""
        return min(self.max_images, self.max_queued_images)

    @property
    def anonymous_role(self) -> Role | None:
        """Role of callers without a key: admin on a local address, else client; None if keys are required."""
        if self.require_keys:
            return None
        host = self.gateway_address.rpartition(":")[0].strip("[]")
        local = self.gateway_address.startswith("unix:") or is_loopback(host)
        return Role.ADMIN if local else Role.CLIENT

    @model_validator(mode="after")
    def _check_tls(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("IMAGEBLUR_TLS_CERTIFICATE and IMAGEBLUR_TLS_KEY: set both or neither")
        if self.tls_client_ca and not self.tls_certificate:
            raise ValueError("IMAGEBLUR_TLS_CLIENT_CA: needs IMAGEBLUR_TLS_CERTIFICATE")
        return self

    @field_validator("max_bytes_in_flight")
    @classmethod
    def _check_bytes_in_flight(cls, value: int, info: ValidationInfo) -> int:
        if value < 16 * info.data.get("max_message_bytes", 0):
            raise ValueError("must be at least sixteen times IMAGEBLUR_MAX_MESSAGE_BYTES")
        return value

    @field_validator("gateway_address")
    @classmethod
    def _check_address(cls, value: str, info: ValidationInfo) -> str:
        host, colon, port = value.rpartition(":")
        if value.startswith("unix:"):
            return value
        if not colon or not port.isdecimal():
            raise ValueError("must be host:port, such as 127.0.0.1:50051")
        intended = info.data.get("require_keys") or info.data.get("allow_anonymous")
        if not intended and not is_loopback(host.strip("[]")):
            raise ValueError(
                f"{value} is reachable from other machines, and everyone could use the service: listen on 127.0.0.1, "
                "set IMAGEBLUR_REQUIRE_KEYS=true, or IMAGEBLUR_ALLOW_ANONYMOUS=true to allow that"
            )
        return value
