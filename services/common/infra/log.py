"""Logs: one line per event on standard error, as text or JSON; without addresses, file names and tokens."""

import logging
import sys

# Structlog loads rich, where it is installed, for tracebacks that are not used here: a third of a second and 15 MB for
# each service.
_hidden = "rich" not in sys.modules
if _hidden:
    sys.modules["rich"] = None  # type: ignore[assignment]
import structlog  # noqa: E402

if _hidden:
    del sys.modules["rich"]


def configure(level: str, log_format: str) -> None:
    """Write the log events of structlog and of the standard library to standard error.

    `level` is a name of the logging module; `log_format` is `text` or `json`.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso" if log_format == "json" else "%Y-%m-%d %H:%M:%SZ", utc=True),
        # Without local variables and values of rows, which may be addresses or tokens.
        structlog.processors.format_exc_info,
        _without_values,
    ]
    renderer: structlog.typing.Processor
    if log_format == "json":
        renderer = structlog.processors.JSONRenderer()
    else:
        renderer = structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            pad_event_to=0,
            pad_level=False,
            exception_formatter=structlog.dev.plain_traceback,
        )
    # Our own events bypass the standard library, which would take twice as long, for every image.
    structlog.configure(
        processors=[*shared, renderer],
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer]
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # These log every job, message, statement and line of SMTP at INFO; the services log the outcomes themselves.
    for chatty in ("apscheduler", "alembic", "dramatiq", "mail.log"):  # the last one is aiosmtpd's
        logging.getLogger(chatty).setLevel(max(logging.WARNING, logging.getLevelName(level)))


def _without_values(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Remove PostgreSQL's details, which quote rows: `DETAIL:  Key (email)=(ann@example.org) already exists.`."""
    if trace := event.get("exception"):
        lines = str(trace).splitlines()
        event["exception"] = "\n".join(line for line in lines if not line.lstrip().startswith(("DETAIL:", "CONTEXT:")))
    return event


def get(name: str) -> structlog.typing.FilteringBoundLogger:
    """Return the logger of a module."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(name)
    return logger
