"""`python -m benchmarks.startup [--before CHECKOUT]`: how long a stack takes from its start to its first result.

Seconds on the clock and of processor (all processes of the stack), of second starts: the engine is compiled, and the
database is there. With `--before`, another checkout is measured in turn with this one, and ratios are printed.
"""

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from importlib.resources import files
from pathlib import Path
from statistics import median

import psutil
from imageblur_client import Client

from benchmarks.processor import processor_seconds
from services.stack.background import background_stack
from services.stack.ports import free_port

HERE = Path(__file__).parents[1]


def start(checkout: Path, folder: Path, photograph: bytes) -> dict[str, float]:
    """Start the stack of a checkout in a data folder, order a photograph, and stop; return the seconds that it took."""
    path = os.pathsep.join(str(checkout / folder) for folder in (".", "client", "protos"))
    environment = {
        "PYTHONPATH": path,
        "IMAGEBLUR_GATEWAY_ADDRESS": f"127.0.0.1:{free_port()}",
        "IMAGEBLUR_WEB_ADDRESS": f"127.0.0.1:{free_port()}",
        "IMAGEBLUR_MAILBOX_PORT": str(free_port()),
    }
    begin = time.monotonic()
    with (
        # Python looks into the working folder first.
        contextlib.chdir(folder),
        background_stack(folder, environment, ready_within=600) as stack,
        Client(stack.gateway_address) as client,
    ):
        ready = time.monotonic() - begin
        order = client.order("first@example.org", [("a.jpg", photograph)])
        for _ in client.watch(order.order_id):
            pass
        done = time.monotonic() - begin
        return {"ready": ready, "first result": done, "processor": processor_seconds(psutil.Process(stack.process.pid))}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", type=Path, help="another checkout of this project")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # as `make run`: second starts have bytecode
    photograph = (files("skimage") / "data" / "rocket.jpg").read_bytes()
    checkouts = {"now": HERE} | ({"before": options.before.resolve()} if options.before else {})
    measured: dict[str, list[dict[str, float]]] = {name: [] for name in checkouts}
    with tempfile.TemporaryDirectory(prefix="imageblur-") as root:
        for name, checkout in checkouts.items():
            code = "import services.blur_worker.warm_engine"
            subprocess.run([sys.executable, "-c", code], cwd=checkout, env=os.environ | {"PYTHONPATH": "."}, check=True)
            (Path(root) / name).mkdir()
            start(checkout, Path(root) / name, photograph)
        for _ in range(options.rounds):
            for name, checkout in checkouts.items():
                measured[name].append(start(checkout, Path(root) / name, photograph))
    for what in ("ready", "first result", "processor"):
        values = {name: [each[what] for each in rounds] for name, rounds in measured.items()}
        shown = [
            f"{name} {median(rounds):.1f} s ({min(rounds):.1f} to {max(rounds):.1f})" for name, rounds in values.items()
        ]
        if "before" in values:
            ratios = [now / before for now, before in zip(values["now"], values["before"], strict=True)]
            shown.append(f"ratio {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
        print(f"{what}: {'; '.join(shown)}")


if __name__ == "__main__":
    main()
