"""`python -m tests.guided_fuzz`: files that a coverage-guided fuzzer makes up, through the engine in this process.

It begins with the sound files of `tests.fuzz` and keeps what reaches code that none has reached before, in the engine
and in Pillow's Python; what is compiled, it does not see. Each file must be blurred or refused with a reason: whatever
else happens is a finding, and libFuzzer keeps its file.
"""

import argparse
import contextlib
import sys
import tempfile
from pathlib import Path

import atheris

# Numba compiles these from their bytecode, which must be as Python made it.
COMPILED = [
    f"services.blur_worker.engine.{name}"
    for name in (
        "gaussian.compiled",
        "jpeg.ac_scans",
        "jpeg.aside",
        "jpeg.codes",
        "jpeg.dc_scans",
        "jpeg.entropy",
        "jpeg.refinement",
        "jpeg.scans",
        "jpeg.synthesis",
        "png.filters",
    )
]
with atheris.instrument_imports(include=["services.blur_worker.engine", "PIL"], exclude=COMPILED):
    from services.blur_worker.engine import Limits, blur
    from services.common.domain.errors import ImageError
    from services.common.domain.spec import BlurSpec, Format
    from tests.fuzz import EFFECTS, REGION, seeds

LIMITS = Limits(max_pixels=500_000)


def one(data: bytes) -> None:
    """The first byte says what is asked for, the rest is the file."""
    choice = data[0] if data else 0
    effect, formats = EFFECTS[choice % len(EFFECTS)], (None, *Format)
    regions = (REGION,) if choice & 0x40 else ()
    spec = BlurSpec(
        effect, regions, output_format=formats[(choice >> 3) % len(formats)], keep_metadata=bool(choice & 0x80)
    )
    with contextlib.suppress(ImageError):
        blur(data[1:], spec, LIMITS)


def main() -> None:
    """Fuzz for some seconds; ends with another status than 0 if there was a finding."""
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
