"""Starts a Dramatiq worker: one process, so many threads; SIGTERM lets what is under way finish."""

import os
import sys
from collections.abc import Sequence


def serve(setup: str, *, queues: Sequence[str], threads: int, prefetch: int, drain_seconds: int) -> None:
    """Run until SIGTERM, then exit; `setup` is `module:function`, called in the worker process.

    Of each queue at most `prefetch` messages are held, waiting ones included: no more than there are threads for, so
    that none waits behind a busy worker while another is idle.
    """
    # Read when dramatiq.worker is imported.
    os.environ["dramatiq_queue_prefetch"] = str(prefetch)  # noqa: SIM112
    # After a lost connection; the default of three seconds would be most of a recovery.
    os.environ["dramatiq_restart_delay"] = "500"  # noqa: SIM112
    from dramatiq import cli  # noqa: PLC0415

    parser = cli.make_argument_parser()  # type: ignore[no-untyped-call]
    arguments = parser.parse_args(
        [
            setup,
            "--processes=1",
            f"--threads={threads}",
            f"--worker-shutdown-timeout={drain_seconds * 1000}",
            "--skip-logging",
            "--queues",
            *queues,
        ]
    )
    sys.exit(cli.main(arguments))  # type: ignore[no-untyped-call]
