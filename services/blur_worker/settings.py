"""Settings of the blur worker."""

import os

from pydantic import Field

from services.common.infra.settings import CommonSettings, LimitSettings, metrics_port


class BlurWorkerSettings(CommonSettings, LimitSettings):
    """The settings of the blur worker."""

    blur_children: int = Field(
        default_factory=lambda: os.cpu_count() or 1,
        ge=1,
        description="How many images this worker blurs at a time, each in a child process. Default: one per core.",
    )
    blur_worker_metrics_port: int = metrics_port(9465, "the blur worker")
    blur_seconds: int = Field(
        default=60, ge=1, le=500, description="Longest time that an image may take; then it fails."
    )
    blur_memory_mb: int = Field(
        default=3072,
        ge=512,
        description="Largest memory (address space, MiB) of a child process; only on Linux.",
    )
    instant_children: int = Field(
        default_factory=lambda: max(1, (os.cpu_count() or 1) // 2),
        ge=0,
        description="How many instant calls (BlurImage, FindRegions) this worker answers at a time, in child processes "
        "of their own, which start with the first call and end after five minutes without one. 0: none, other workers "
        "do. Default: one per two cores.",
    )
