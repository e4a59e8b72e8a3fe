"""`python -m benchmarks.small_machine [--mib 1024]`: the stack on one core, in a cgroup with so little memory.

From the first start, which compiles the engine, to a photograph of 12 megapixels that is blurred, and one in which
faces, text and codes are found. Linux, as root.
"""

import argparse
import contextlib
import io
import os
import shutil
import sys
import time
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import psutil
from imageblur_client import BlurSpec, Client, Gaussian, find_codes, find_faces, find_text
from PIL import Image

from services.stack.background import private_stack

V2 = Path("/sys/fs/cgroup/cgroup.controllers")
COLUMNS, ROWS = 8, 6
COMPILED = Path(__file__).parents[1] / "services/blur_worker/engine/__pycache__"


@contextlib.contextmanager
def small_machine(mib: int) -> Iterator[Path]:
    """Put this process into a cgroup with so much memory, without swap, and on one core; yield the cgroup's folder."""
    above = Path("/sys/fs/cgroup") if V2.exists() else Path("/sys/fs/cgroup/memory")
    folder = above / f"imageblur-{os.getpid()}"
    folder.mkdir()
    if V2.exists():
        (folder / "memory.swap.max").write_text("0", "ascii")
    (folder / ("memory.max" if V2.exists() else "memory.limit_in_bytes")).write_text(str(mib << 20), "ascii")
    (folder / "cgroup.procs").write_text(str(os.getpid()), "ascii")
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    try:
        yield folder
    finally:
        (above / "cgroup.procs").write_text(str(os.getpid()), "ascii")
        folder.rmdir()


def photograph() -> bytes:
    """Return a JPEG of 4,096 × 3,072 pixels with a face and writing in each of its 48 parts."""
    with Image.open(io.BytesIO((files("skimage") / "data" / "astronaut.png").read_bytes())) as part:
        image = Image.new("RGB", (COLUMNS * part.width, ROWS * part.height))
        for place in range(COLUMNS * ROWS):
            row, column = divmod(place, COLUMNS)
            image.paste(part.convert("RGB"), (column * part.width, row * part.height))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=90)
    return file.getvalue()


def kills(folder: Path) -> int:
    """Return how many processes the kernel has killed for lack of memory."""
    text = (folder / ("memory.events" if V2.exists() else "memory.oom_control")).read_text("ascii")
    return int(dict(line.split() for line in text.splitlines())["oom_kill"])


def main() -> None:
    """Measure and print; exit with 1 if anything failed, or the kernel had to kill."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--compiled", action="store_true", help="keep the compiled engine: a second start")
    options = parser.parse_args()
    if not options.compiled:
        for folder in COMPILED.glob("compiled-*"):
            shutil.rmtree(folder)
    picture = photograph()
    ok = True
    with small_machine(options.mib) as cgroup, private_stack() as stack, Client(stack.gateway_address) as client:
        services = psutil.Process(stack.process.pid)
        print(f"ready after {stack.startup_seconds:.0f} s, {_resident(services):.0f} MiB")
        for what, spec in (
            ("blurred", BlurSpec(gaussian=Gaussian(sigma_px=8))),
            ("faces, text and codes found and hidden", BlurSpec(find=[find_faces(), find_text(), find_codes()])),
        ):
            begin = time.monotonic()
            order = client.order([("a.jpg", picture)], spec=spec)
            for change in client.watch(order.order_id):
                order = change.order
            found = [len(image.findings) for image in client.images(order.order_id)]
            ok &= order.counts.succeeded == 1 and (not spec.find or found[0] > COLUMNS * ROWS)
            print(f"{what}: {order.counts.succeeded} of 1 in {time.monotonic() - begin:.1f} s, {found[0]} findings")
        ok &= kills(cgroup) == 0
        print(f"afterwards {_resident(services):.0f} MiB; killed for lack of memory: {kills(cgroup)}")
    sys.exit(0 if ok else 1)


def _resident(root: psutil.Process) -> float:
    return sum(process.memory_full_info().pss for process in (root, *root.children(recursive=True))) / (1 << 20)


if __name__ == "__main__":
    main()
