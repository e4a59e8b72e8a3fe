"""Settings of the blur worker."""

from pathlib import Path

from pydantic import Field, field_validator

from services.common.domain.orders import ImageQueue
from services.common.infra.process.machine import default_children, default_instant_children
from services.common.infra.settings import CommonSettings, LimitSettings, OutboundSettings, PlaceSettings, metrics_port


class BlurWorkerSettings(CommonSettings, LimitSettings, OutboundSettings, PlaceSettings):
    """The settings of the blur worker."""

    blur_children: int = Field(
        default_factory=default_children,
        ge=1,
        description="How many images this worker blurs at a time, each in a child process. Default: one per core that "
        "it may use, fewer if the machine or its cgroup has less memory than 400 MiB and 300 for each of these and of "
        "`IMAGEBLUR_INSTANT_CHILDREN`.",
    )
    blur_worker_metrics_port: int = metrics_port(9465, "the blur worker")
    blur_seconds: int = Field(
        default=60, ge=1, le=500, description="Longest time that an image may take; then it fails."
    )
    blur_memory_mb: int = Field(
        default=3072, ge=512, description="Largest memory (address space, MiB) of a child process; only on Linux."
    )
    blur_worker_queues: str = Field(
        default="blur,find,fetch",
        description="The queues that this worker serves, separated by commas: `blur`, `find` (images with something to "
        "find), `fetch` (sources of images, for which it needs the network). A worker that can find nothing does not "
        "serve `find`.",
    )
    find_seconds: int = Field(
        default=180,
        ge=1,
        le=500,
        description="Longest time that an image may take in which something is to be found: it is searched twice or "
        "more, before and after it is blurred. On one core, 50 megapixels of text take a minute each time.",
    )
    find_memory_mb: int = Field(
        default=4096,
        ge=512,
        description="Largest memory (address space, MiB) of a child process that finds; only on Linux. More than "
        "without finding: the original stays in memory until its result is checked, and the models take about 200 MiB. "
        "A child process that has found something keeps the models, and this limit.",
    )
    find_models_folder: Path | None = Field(
        default=None,
        description="Folder of custom models: ONNX files, each with a TOML file beside it (docs/custom-models.md).",
    )

    fetch_connections: int = Field(
        default=8,
        ge=1,
        description="How many sources this worker fetches at a time, at most half of them from one host.",
    )
    fetch_seconds: int = Field(
        default=120, ge=1, le=500, description="Longest time to fetch a source with an address, all of it."
    )
    instant_children: int = Field(
        default_factory=default_instant_children,
        ge=0,
        description="How many instant calls (BlurImage, FindRegions, PreviewImage) this worker answers at a time, "
        "in child processes of their own, which start with the first call and end after five minutes without one. "
        "0: none, other workers do. Default: half as many as child processes for orders by default.",
    )

    @field_validator("blur_worker_queues")
    @classmethod
    def _known_queues(cls, value: str) -> str:
        names = [name.strip() for name in value.split(",")]
        if not set(names) <= {queue.value for queue in ImageQueue}:
            raise ValueError("must be one or more of blur, find and fetch, separated by commas")
        return ",".join(sorted(set(names)))

    @property
    def queues(self) -> tuple[ImageQueue, ...]:
        """The queues that this worker serves."""
        return tuple(map(ImageQueue, self.blur_worker_queues.split(",")))

    @property
    def longest_seconds(self) -> int:
        """Longest time that an image may take in any of the queues."""
        longest = {
            ImageQueue.BLUR: self.blur_seconds,
            ImageQueue.FIND: self.find_seconds,
            ImageQueue.FETCH: self.fetch_seconds,
        }
        return max(longest[queue] for queue in self.queues)

    @property
    def fetch_threads(self) -> int:
        """How many sources this worker fetches at a time."""
        return self.fetch_connections if ImageQueue.FETCH in self.queues else 0

    @property
    def image_queues(self) -> tuple[ImageQueue, ...]:
        """The queues of images that child processes work on."""
        return tuple(queue for queue in self.queues if queue is not ImageQueue.FETCH)
