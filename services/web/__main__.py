"""`python -m services.web`: serve the pages until SIGTERM or SIGINT."""

import asyncio

from services.common.infra import log
from services.common.infra.process.startup import run
from services.web import server
from services.web.settings import WebSettings


def main() -> None:
    """Load the settings and serve."""
    settings = WebSettings.load()
    log.configure(settings.log_level, settings.log_format)
    asyncio.run(server.run(settings))


if __name__ == "__main__":
    run(main)
