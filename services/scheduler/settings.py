"""Settings of the scheduler."""

from typing import Literal

from pydantic import Field

from services.common.infra.settings import CommonSettings, MailingSettings, metrics_port


class SchedulerSettings(CommonSettings, MailingSettings):
    """The scheduler's settings."""

    scheduler_metrics_port: int = metrics_port(9467, "the scheduler")
    mailing_day: Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"] = Field(
        default="mon", description="Day of the newsletter."
    )
    mailing_hour: int = Field(default=12, ge=0, le=23, description="Hour of the newsletter, 0 to 23.")
    sweep_seconds: float = Field(
        default=2,
        gt=0,
        description="How often lost work (of a killed worker, of a broker without its data) is looked for.",
    )
