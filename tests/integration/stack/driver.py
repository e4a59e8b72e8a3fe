"""A stack of other programs, to be run as a process: `python -m tests.integration.stack.driver PLAN`.

PLAN is JSON: `broker` (whether Valkey is wanted), `prepare`, `services`, `probe` as programs (fields of Program),
`port` (or null) as the gateway's.
"""

import asyncio
import json
import sys
from pathlib import Path

from services.stack import valkey
from services.stack.data_folder import Places
from services.stack.plan import Plan
from services.stack.ports import Endpoint
from services.stack.process import Program
from services.stack.serving import serve
from services.stack.settings import StackSettings


def main() -> int:
    wanted = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    settings = StackSettings()
    plan = Plan(
        broker=valkey.program(Places(settings.data_dir.absolute())) if wanted["broker"] else None,
        prepare=Program(**wanted["prepare"]) if wanted["prepare"] else None,
        services=tuple(Program(**service) for service in wanted["services"]),
        probe=Program(**wanted["probe"]),
        endpoints=(Endpoint("127.0.0.1", wanted["port"], "IMAGEBLUR_GATEWAY_ADDRESS", "127.0.0.1:{port}"),)
        if wanted["port"]
        else (),
    )
    return asyncio.run(serve(settings, plan))


if __name__ == "__main__":
    sys.exit(main())
