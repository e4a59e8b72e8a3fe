"""How long the command line takes to start, in processor time, against another checkout.

    git worktree add /tmp/before 7c949af && make -C /tmp/before .venv/.installed-dev
    python -m benchmarks.command_start --against /tmp/before

Each checkout runs with its own packages, if it has a .venv, else with those of this one. Runs of both alternate, so
that whatever else the machine does slows both. Prints milliseconds and their ratio.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
from concurrent import futures
from pathlib import Path

import grpc
from imageblur.v1 import blur_service_pb2, order_pb2

ROOT = Path(__file__).resolve().parent.parent
START = "import sys; sys.argv[0] = 'imageblur'; from imageblur_client.cli import main; main()"
ORDER_ID = "3f5b1c1e-8a53-4c4f-9d0a-6f2b7f0e4d11"


def main() -> None:
    """Measure, and print a line for each command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", type=Path, metavar="DIR", help="another checkout of this repository")
    parser.add_argument("--runs", type=int, default=20, help="of each command and checkout")
    arguments = parser.parse_args()
    checkouts = [ROOT, *([arguments.against] if arguments.against else [])]
    server = _server()
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    for command in (["--version"], ["--help"], ["status", ORDER_ID], ["order", "--help"]):
        seconds: list[list[float]] = [[] for _ in checkouts]
        for number in range(arguments.runs + 1):
            for checkout, taken in zip(checkouts, seconds, strict=True):
                used = _run(checkout, address, command)
                if number:  # the first run writes the caches of modules
                    taken.append(used)
        medians = [1000 * statistics.median(taken) for taken in seconds]
        line = f"imageblur {command[0]:10} " + "  ".join(f"{median:6.0f} ms" for median in medians)
        print(line + (f"  ratio {medians[0] / medians[1]:.2f}" if len(medians) > 1 else ""))
    server.stop(grace=None)


def _run(checkout: Path, address: str, command: list[str]) -> float:
    path = os.pathsep.join(str(checkout / part) for part in ("client", "protos"))
    # With the caches of modules, as they are after an installation.
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "", "IMAGEBLUR_SERVER": address}
    own = checkout / ".venv/bin/python"
    python = str(own) if own.exists() else sys.executable
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([python, "-c", START, *command], env=environment, cwd="/", check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _server() -> grpc.Server:
    """Return a server that answers Status."""
    response = blur_service_pb2.StatusResponse(order=order_pb2.Order(order_id=ORDER_ID))
    handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(
        lambda _request, _context: response.SerializeToString()
    )
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=2))
    handlers = {"Status": handler}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("imageblur.v1.BlurService", handlers),))
    return server


if __name__ == "__main__":
    main()
