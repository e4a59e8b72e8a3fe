"""Runs a Dramatiq worker: one process, several threads. On SIGTERM, running messages are finished first."""

from collections.abc import Sequence

from services.common.infra.dramatiq_private import run_worker

RESTART_DELAY_MS = 500
"""Pause after a lost connection; the default of three seconds would be most of a recovery."""


def serve(setup: str, *, queues: Sequence[str], threads: int, prefetch: int, drain_seconds: int) -> None:
    """Run until SIGTERM, then exit the process.

    Args:
        setup: `module:function`, called in the worker process.
        queues: The queues to take messages from.
        threads: How many messages are handled at a time.
        prefetch: Most messages of a queue that the worker has at a time, waiting ones included. No more than threads,
            so that no message waits for this worker while another worker is idle.
        drain_seconds: How long running messages may take after SIGTERM.
    """
    arguments = [setup, "--processes=1", f"--threads={threads}", f"--worker-shutdown-timeout={drain_seconds * 1000}"]
    run_worker(
        [*arguments, "--skip-logging", "--queues", *queues], prefetch=prefetch, restart_delay_ms=RESTART_DELAY_MS
    )
