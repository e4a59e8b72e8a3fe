"""Serve a stack of other programs: `python -m tests.integration.stack.driver FILE`.

FILE is JSON: `broker` (whether to run Valkey), `prepare`, `services`, `probe`, `later` (fields of Program), `port` of
the gateway or null.
"""

import asyncio
import json
import sys
from pathlib import Path

from services.stack.data_folder import DataFolder
from services.stack.embedded import valkey
from services.stack.ports import Endpoint
from services.stack.programs import StackPrograms
from services.stack.settings import StackSettings
from services.stack.supervision.process import Program
from services.stack.terminal.serve import serve


def main() -> int:
    wanted = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    settings = StackSettings()
    programs = StackPrograms(
        broker=valkey.program(DataFolder(settings.data_dir.absolute())) if wanted["broker"] else None,
        prepare=Program(**wanted["prepare"]) if wanted["prepare"] else None,
        services=tuple(Program(**service) for service in wanted["services"]),
        probe=Program(**wanted["probe"]),
        later=tuple(Program(**service) for service in wanted.get("later", ())),
        endpoints=(Endpoint("127.0.0.1", wanted["port"], "IMAGEBLUR_GATEWAY_ADDRESS", "127.0.0.1:{port}"),)
        if wanted["port"]
        else (),
    )
    return asyncio.run(serve(settings, programs))


if __name__ == "__main__":
    sys.exit(main())
