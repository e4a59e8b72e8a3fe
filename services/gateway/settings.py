"""Settings of the gateway."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from services.common.domain.api_keys import Role
from services.common.infra.settings import CommonSettings, LimitSettings, SigningSettings, is_loopback, metrics_port

MIB = 1 << 20


class GatewaySettings(CommonSettings, LimitSettings, SigningSettings):
    """What the gateway needs to know."""

    require_keys: bool = Field(
        default=False,
        description="Takes calls only with an API key (`authorization: Bearer KEY`; `python -m services.gateway keys "
        "create --role admin` makes the first). Without it, whoever reaches a loopback address may do everything: set "
        "it also where a proxy on this machine hands calls of others on.",
    )
    allow_anonymous: bool = Field(
        default=False,
        description="Lets the gateway listen on other than loopback addresses though no keys are required: anyone may "
        "then place orders. What operators do takes a key there.",
    )
    reflection: Literal["open", "keys", "off"] = Field(
        default="open",
        description="Who may ask the gateway for its interface (grpcurl does): anyone, holders of a key where keys are "
        "required, nobody. It tells nothing that the published protos do not.",
    )
    tls_certificate: Path | None = Field(
        default=None,
        description="File with the gateway's certificate and what leads to its root (PEM). With it the gateway speaks "
        "TLS only. New connections get what is in the files then: renewing them takes no restart.",
    )
    tls_key: Path | None = Field(default=None, description="File with the key of that certificate (PEM).")
    tls_client_ca: Path | None = Field(
        default=None,
        description="File with the roots of clients' certificates (PEM). With it only clients that have one are let in "
        "(mutual TLS); what they may do their API key says.",
    )
    gateway_address: str = Field(
        default="127.0.0.1:50051", description="Where the gateway listens: `host:port`, port 0 for any free one."
    )
    gateway_metrics_port: int = metrics_port(9464, "the gateway")
    gateway_threads: int = Field(
        default=16, ge=1, description="Threads for database and blob work; calls beyond them wait their turn."
    )
    max_message_bytes: int = Field(
        default=8 * MIB,
        ge=MIB,
        description="Largest BlurOrder message; larger orders go through StreamBlurOrder. gRPC knows one limit for all "
        "methods: whatever is read may be as large, so a higher one leaves room for fewer calls at a time.",
    )
    max_image_bytes: int = Field(default=128 * MIB, ge=1, description="Largest image file.")
    max_order_bytes: int = Field(default=4096 * MIB, ge=1, description="Largest order, all its images together.")
    max_images: int = Field(default=10_000, ge=1, description="Most images in an order.")
    max_queued_images: int = Field(
        default=100_000,
        ge=1,
        description="Most images that wait or are being worked on, of all orders together; an order beyond it is told "
        "to come again. No order may have more.",
    )
    max_bytes_in_flight: int = Field(
        default=256 * MIB,
        ge=64 * MIB,
        description="Most bytes of messages and uploads on their way in; the gateway's memory grows by up to about "
        "twice as much. A call beyond it waits a moment, then is told to come again. At least sixteen times "
        "IMAGEBLUR_MAX_MESSAGE_BYTES.",
    )
    max_watches: int = Field(default=5_000, ge=1, description="Most orders watched (WatchStatus) at a time.")
    max_orders_per_minute: int = Field(
        default=600,
        ge=0,
        description="Most orders that a caller (a key; without one a network address) may place in a minute, over all "
        "gateways; 0: as many as they like. Beyond it they are told when to come again.",
    )
    max_subscriptions_per_hour: int = Field(
        default=600,
        ge=0,
        description="Most calls of Subscribe, each of which may send an e-mail, that a caller may make in an hour; 0: "
        "as many as they like. Besides, an address gets one confirmation e-mail an hour at most.",
    )
    min_free_mb: int = Field(
        default=256,
        ge=0,
        description="Free space (MiB) below which no order is taken any more, where blobs or the database are on a "
        "disk of this machine: what was accepted can still be finished.",
    )
    retention_days: float = Field(
        default=7, gt=0, description="How long results and address are kept after an order has finished."
    )
    mail_cooldown_seconds: float = Field(
        default=60,
        ge=0,
        description="Time between two requests to mail an order's results; whoever asks sooner is told to wait.",
    )
    confirm_subscriptions: bool = Field(
        default=True,
        description="Asks subscribers to confirm by an e-mail (double opt-in) before anything else is sent.",
    )

    @property
    def largest_message(self) -> int:
        """What gRPC lets through: a little more than is taken, so that the answer can say what is wrong."""
        return self.max_message_bytes + self.max_message_bytes // 8

    @property
    def largest_order(self) -> int:
        """Most images in an order that is ever taken: one above the queue's bound would be sent away for ever."""
        return min(self.max_images, self.max_queued_images)

    @model_validator(mode="after")
    def _whole_tls(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("IMAGEBLUR_TLS_CERTIFICATE and IMAGEBLUR_TLS_KEY: set both or neither")
        if self.tls_client_ca and not self.tls_certificate:
            raise ValueError("IMAGEBLUR_TLS_CLIENT_CA: needs IMAGEBLUR_TLS_CERTIFICATE")
        return self

    @field_validator("max_bytes_in_flight")
    @classmethod
    def _room_for_a_message(cls, value: int, info: ValidationInfo) -> int:
        if value < 16 * info.data.get("max_message_bytes", 0):
            raise ValueError("must be at least sixteen times IMAGEBLUR_MAX_MESSAGE_BYTES")
        return value

    @field_validator("gateway_address")
    @classmethod
    def _not_open_by_accident(cls, value: str, info: ValidationInfo) -> str:
        host, colon, port = value.rpartition(":")
        if value.startswith("unix:"):
            return value
        if not colon or not port.isdecimal():
            raise ValueError("must be host:port, such as 127.0.0.1:50051")
        kept = info.data.get("require_keys") or info.data.get("allow_anonymous")
        if not kept and not is_loopback(host.strip("[]")):
            raise ValueError(
                f"{value} can be reached from other machines, and anyone could then use the service: "
                "listen on 127.0.0.1, set IMAGEBLUR_REQUIRE_KEYS=true, or IMAGEBLUR_ALLOW_ANONYMOUS=true if that is "
                "meant"
            )
        return value

    @property
    def anonymous_role(self) -> Role | None:
        """What callers without a key may do: on this machine what its user may do, elsewhere order; or nothing."""
        if self.require_keys:
            return None
        host = self.gateway_address.rpartition(":")[0].strip("[]")
        local = self.gateway_address.startswith("unix:") or is_loopback(host)
        return Role.ADMIN if local else Role.CLIENT
