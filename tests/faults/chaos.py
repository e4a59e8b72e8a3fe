"""Random clients and random faults at once, then quiet, then the audit: `python -m tests.faults.chaos --seconds 60`.

The seed decides who does what and what breaks when, though not how the two meet. Exits with 1 after any violation.
"""

import argparse
import contextlib
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.faults import audit
from tests.faults.fleet import Fleet
from tests.faults.launching import running_fleet
from tests.faults.promise_audit import Verdict
from tests.faults.random_clients import Crowd
from tests.faults.random_faults import Mishaps
from tests.faults.recording_client import Customer
from tests.support.postgres import PostgresServer, start_postgres
from tests.support.waiting import eventually

CLIENTS = 4


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.chaos")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    wanted = parser.parse_args()
    print(f"chaos: --seconds {wanted.seconds:g} --seed {wanted.seed} --database {wanted.database}", flush=True)
    with contextlib.ExitStack() as ends:
        folder = Path(ends.enter_context(tempfile.TemporaryDirectory(prefix="imageblur-chaos-")))
        server: PostgresServer | None = None
        if wanted.database == "postgresql":
            server = start_postgres(folder / "server")
            ends.callback(server.close)
        (folder / "fleet").mkdir()
        fleet = ends.enter_context(running_fleet(wanted.database, folder / "fleet", server))
        customer = ends.enter_context(Customer(fleet.gateways))
        return _run(fleet, customer, wanted.seconds, wanted.seed)


def _run(fleet: Fleet, customer: Customer, seconds: float, seed: int) -> int:
    _, images = audit.ended(customer, customer.order())
    customer.reference.update({image.filename: image.output_sha256.hex() for image in images})
    crowd, mishaps = Crowd(fleet, customer, seed, CLIENTS), Mishaps(fleet, seed)
    end = time.monotonic() + seconds
    crowd.start()
    mishaps.start()
    eventually(lambda: time.monotonic() >= end, within=seconds + 10, every=0.2)
    mishaps.stop()
    crowd.stop()
    quiet = time.monotonic()
    verdict = Verdict(fleet, customer, [*crowd.violations, *mishaps.violations], mishaps.log)
    verdict.judge(crowd.wishes)
    for what, count in sorted(mishaps.done.items()):
        print(f"{count:5} × {what}")
    print(f"{len(customer.refusals):5} calls were asked to try again")
    print(verdict.summary())
    print(f"all was right {time.monotonic() - quiet:.1f} s after the last fault" if not verdict.violations else "")
    for violation in verdict.violations:
        print(f"VIOLATION: {violation}", file=sys.stderr)
    if verdict.violations:
        print(*_tracebacks(fleet.stack.log), sep="\n", file=sys.stderr)
    return 1 if verdict.violations else 0


def _tracebacks(log: Path) -> list[str]:
    """What the gateways' log says of calls that failed."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.startswith("gateway")]
    begins = [index for index, line in enumerate(lines) if "rpc failed" in line]
    return [line for begin in begins for line in lines[begin : begin + 60]]


if __name__ == "__main__":
    sys.exit(main())
