"""Settings of the gateway."""

from pydantic import Field, ValidationInfo, field_validator

from services.common.settings import CommonSettings, LimitSettings, SigningSettings, is_loopback

MIB = 1 << 20


class GatewaySettings(CommonSettings, LimitSettings, SigningSettings):
    """What the gateway needs to know."""

    allow_anonymous: bool = Field(
        default=False,
        description="Lets the gateway listen on other than loopback addresses though anyone may then call it.",
    )
    gateway_address: str = Field(
        default="127.0.0.1:50051", description="Where the gateway listens: `host:port`, port 0 for any free one."
    )
    gateway_threads: int = Field(
        default=16, ge=1, description="Threads for database and blob work; calls beyond them wait their turn."
    )
    max_message_bytes: int = Field(
        default=32 * MIB, ge=MIB, description="Largest BlurOrder message; larger orders go through StreamBlurOrder."
    )
    max_image_bytes: int = Field(default=128 * MIB, ge=1, description="Largest image file.")
    max_order_bytes: int = Field(default=4096 * MIB, ge=1, description="Largest order, all its images together.")
    max_images: int = Field(default=10_000, ge=1, description="Most images in an order.")
    retention_days: float = Field(
        default=7, gt=0, description="How long results and address are kept after an order has finished."
    )
    confirm_subscriptions: bool = Field(
        default=True,
        description="Asks subscribers to confirm by a letter (double opt-in) before anything else is sent.",
    )

    @field_validator("gateway_address")
    @classmethod
    def _not_open_by_accident(cls, value: str, info: ValidationInfo) -> str:
        host, colon, port = value.rpartition(":")
        if value.startswith("unix:"):
            return value
        if not colon or not port.isdecimal():
            raise ValueError("must be host:port, such as 127.0.0.1:50051")
        if not info.data.get("allow_anonymous") and not is_loopback(host.strip("[]")):
            raise ValueError(
                f"{value} can be reached from other machines, and anyone could then use the service: "
                "listen on 127.0.0.1, or set IMAGEBLUR_ALLOW_ANONYMOUS=true if that is meant"
            )
        return value
