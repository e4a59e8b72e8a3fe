"""`python -m services.blur_worker [SOCKET]`: blur until SIGTERM.

SOCKET: of the engine server (`child/engine_server.py`) that forks its child processes; without, it starts its own.
"""

import sys
from pathlib import Path


def main() -> None:
    """Check the settings and the database, then serve."""
    # Imported here: each child process imports this module too, and needs none of it.
    from services.blur_worker.app import setup  # noqa: PLC0415
    from services.blur_worker.child.pool import WAIT_SECONDS  # noqa: PLC0415
    from services.blur_worker.settings import BlurWorkerSettings  # noqa: PLC0415
    from services.common import migrations  # noqa: PLC0415
    from services.common.infra.messaging import dramatiq_worker  # noqa: PLC0415
    from services.common.infra.messaging.messages import INSTANT_QUEUE  # noqa: PLC0415
    from services.common.infra.process.fork_server import fork_elsewhere  # noqa: PLC0415

    if sys.argv[1:]:
        fork_elsewhere(Path(sys.argv[1]))
    settings = BlurWorkerSettings.load()
    migrations.check_url(settings.database_url)
    dramatiq_worker.serve(
        setup,
        queues=[*settings.queues, INSTANT_QUEUE] if settings.instant_children else list(settings.queues),
        # One more than child processes: while a thread records a result, its child process has another image. And
        # threads for instant calls, so that these never wait for images: `most_held` in `app` limits their messages.
        # Likewise for sources, whose servers may be slow.
        threads=settings.blur_children + 1 + settings.instant_children + settings.fetch_threads,
        prefetch=settings.blur_children + 1,
        drain_seconds=WAIT_SECONDS + settings.longest_seconds + 2,
    )


if __name__ == "__main__":
    from services.common.infra.process.startup import run

    run(main)
