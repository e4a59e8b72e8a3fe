"""Settings of the scheduler."""

from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator

from services.common.infra.settings import CommonSettings, MailingSettings, metrics_port


class SchedulerSettings(CommonSettings, MailingSettings):
    """The scheduler's settings."""

    scheduler_metrics_port: int = metrics_port(9467, "the scheduler")
    mailing_day: Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"] = Field(
        default="mon", description="Day of the newsletter."
    )
    mailing_hour: int = Field(default=12, ge=0, le=23, description="Hour of the newsletter, 0 to 23.")
    mailing_zone: str = Field(default="UTC", description="Time zone of that day and hour, such as `Europe/Moscow`.")
    sweep_seconds: float = Field(
        default=2,
        gt=0,
        description="How often lost work (of a killed worker, of a broker without its data) is looked for.",
    )

    @field_validator("mailing_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"{value!r} is not a time zone: use a name such as Europe/Moscow") from None
        return value
