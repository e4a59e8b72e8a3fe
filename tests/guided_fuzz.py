"""`python -m tests.guided_fuzz`: blur files that a coverage-guided fuzzer makes, in this process.

The fuzzer starts with the valid files of `tests.fuzz`, and keeps files that reach new code: in the engine and in
Pillow's Python, not in compiled loops. Each file has to be blurred or refused with a reason; any other error is a
finding, whose file libFuzzer keeps.
"""

import argparse
import contextlib
import sys
import tempfile
from pathlib import Path

import atheris

ENGINE = Path(__file__).resolve().parent.parent / "services" / "blur_worker" / "engine"
# Numba compiles functions from their bytecode, into which the fuzzer must not insert its own.
COMPILED = [
    "services.blur_worker.engine." + ".".join(path.relative_to(ENGINE).with_suffix("").parts)
    for path in ENGINE.rglob("*.py")
    if "@compiled(" in path.read_text(encoding="utf-8")
]
with atheris.instrument_imports(include=["services.blur_worker.engine", "PIL"], exclude=COMPILED):
    from services.blur_worker.engine import Limits, blur
    from services.common.domain.errors import ImageError
    from services.common.domain.spec import OUTPUT_FORMATS, BlurSpec
    from tests.fuzz import EFFECTS, REGIONS, seeds

LIMITS = Limits(max_pixels=500_000)


def one(data: bytes) -> None:
    """Blur one input: its first byte selects the spec, the rest is the file."""
    choice = data[0] if data else 0
    effect, formats = EFFECTS[choice % len(EFFECTS)], (None, *OUTPUT_FORMATS)
    regions = (REGIONS[choice % len(REGIONS)],) if choice & 0x40 else ()
    spec = BlurSpec(
        effect, regions, output_format=formats[(choice >> 3) % len(formats)], keep_metadata=bool(choice & 0x80)
    )
    with contextlib.suppress(ImageError):
        blur(data[1:], spec, LIMITS)


def main() -> None:
    """Fuzz for some seconds; exit with a status other than 0 after a finding."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as corpus:
        for number, data in enumerate(seeds()):
            (Path(corpus) / str(number)).write_bytes(bytes([number * 37 & 0xFF]) + data)
        options = [f"-max_total_time={arguments.seconds}", "-max_len=65536", "-timeout=20", "-rss_limit_mb=4096"]
        atheris.Setup([sys.argv[0], *options, corpus], one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
