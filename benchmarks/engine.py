"""`python -m benchmarks.engine`: the engine against Pillow, libvips and OpenCV, on real photographs, never enlarged.

Processor time of one pinned core, from bytes to bytes, same subsampling, quality 90 (the engine's JPEG: the quality
at which it writes as many bytes as Pillow, since at 90 it writes fewer); libraries alternate, each round with another
photograph. Accuracy is checked on the timed results. `--write` updates docs/performance.md.
"""

import argparse
import platform
from dataclasses import dataclass

from benchmarks.rounds import Measured, interleaved, one_core, ratio, size_ratio

CORE = one_core()

# Imported afterwards: libvips and numpy read their number of threads at import.
import cv2  # noqa: E402
import PIL  # noqa: E402
import pyvips  # noqa: E402

from benchmarks import peers, photographs, plots, report  # noqa: E402
from benchmarks.accuracy import Error, error_of  # noqa: E402
from benchmarks.effects import effects  # noqa: E402
from benchmarks.engine_memory import above_idle  # noqa: E402
from benchmarks.formats import formats  # noqa: E402
from benchmarks.report import Bar, table  # noqa: E402

SIGMAS = (2.0, 5.0, 10.0, 20.0, 50.0)
SIZES = {"2 MP": (1640, 1200), "12 MP": (4200, 2860)}
BARS = {
    "2 MP": {2: (4, 7), 5: (6, 8.5), 10: (8, 11), 20: (10, 16)},
    "12 MP": {2: (4, 7), 5: (6, 8.5), 10: (8, 11), 20: (12, 16)},
}
PNG_ERRORS = 48, 50
Section = tuple[list[str], list[Bar]]
"""Tables, and bars of them."""


@dataclass(frozen=True)
class Row:
    """The measurements at one sigma."""

    sigma: float
    measured: dict[str, Measured]
    errors: dict[str, Error]
    path: str


def measure(inputs: list[bytes], rounds: int, sigmas: tuple[float, ...] = SIGMAS) -> list[Row]:
    """Measure all libraries at each sigma, their accuracy on the first photograph."""
    rows = []
    for sigma in sigmas:
        for data in inputs:
            peers.blur_with_engine(data, sigma)
        found = interleaved(peers.PEERS, inputs, sigma, rounds)
        checked = [name for name in peers.PEERS if name != "Pillow, no blur"]
        errors = {name: error_of(inputs[0], peers.PEERS[name](inputs[0], sigma), sigma) for name in checked}
        rows.append(Row(sigma, found, errors, peers.blur_with_engine(inputs[0], sigma).path))
        print(".", end="", flush=True)
    print()
    return rows


def tables(title: str, rows: list[Row]) -> str:
    """Return the tables of speed and of accuracy."""
    speed = table(
        ["sigma", *peers.PEERS, "Pillow ÷ engine", "libvips ÷ engine", "bytes against Pillow's", "path"],
        [
            [
                f"{row.sigma:g}",
                *(f"{each.milliseconds:.1f}" for each in row.measured.values()),
                str(ratio(row.measured["Pillow"], row.measured["engine"])),
                str(ratio(row.measured["libvips"], row.measured["engine"])),
                f"{size_ratio(row.measured['engine'], row.measured['Pillow']):.3f}",
                row.path,
            ]
            for row in rows
        ],
    )
    accuracy = table(
        ["sigma", *(f"{name}: dB, largest error" for name in rows[0].errors)],
        [[f"{row.sigma:g}", *(f"{each.psnr:.1f}, {each.largest:.0f}" for each in row.errors.values())] for row in rows],
    )
    return (
        f"### {title}\n\nMilliseconds, medians:\n\n{speed}\n"
        f"Against the exact Gaussian, encoding included:\n\n{accuracy}"
    )


def jpeg_bars(size: str, rows: list[Row]) -> list[Bar]:
    """Return the bars for the JPEG tables."""
    bars = []
    for row in rows:
        engine = row.measured["engine"]
        at = f"JPEG {size}, sigma {row.sigma:g}"
        if row.sigma in BARS[size]:
            bars.append(
                Bar(
                    f"{at}: times as fast as Pillow",
                    ratio(row.measured["Pillow"], engine).middle,
                    *BARS[size][int(row.sigma)],
                )
            )
        bars.append(Bar(f"{at}: times as fast as libvips", ratio(row.measured["libvips"], engine).middle, 1.2, 2))
        if row.sigma >= 20:
            bars.append(
                Bar(
                    f"{at}: of Pillow's decoding and encoding",
                    1 / ratio(row.measured["Pillow, no blur"], engine).middle,
                    0.65,
                    0.4,
                    at_most=True,
                )
            )
    return bars


def flatness(what: str, rows: list[Row]) -> list[Bar]:
    """Return the bar for the slowest sigma's time divided by the fastest's; none for a single sigma."""
    times = [row.measured["engine"].milliseconds for row in rows]
    bar = Bar(f"{what}: slowest of sigma 2 to 50 ÷ fastest", max(times) / min(times), 2, 1.5, at_most=True)
    return [bar] if len(rows) > 1 else []


def memory_bars() -> list[Bar]:
    """Return the bars for memory above an idle child process."""
    large = photographs.mosaic(6000, 4000)
    bars = []
    for what, data, most in (
        ("baseline JPEG of 24 MP", photographs.jpeg(large), 120),
        ("baseline JPEG of 100 MP", photographs.jpeg(photographs.mosaic(11_600, 8650)), 450),
        ("PNG of 24 MP", photographs.png(large), 300),
    ):
        bars.append(Bar(f"MiB above the idle child: {what}, sigma 5", above_idle(data, 5), most, most, at_most=True))
    return bars


def jpeg(rounds: int) -> Section:
    """Measure JPEG over sigma, of two sizes."""
    parts, bars = [], []
    for size, (width, height) in SIZES.items():
        names = [*photographs.LARGE, *photographs.LARGEST] if size == "2 MP" else list(photographs.LARGEST)
        crops = [photographs.cropped(name, width, height) for name in names]
        rows = measure([photographs.jpeg(crop) for crop in crops], rounds)
        parts.append(tables(f"JPEG, {size}: {', '.join(names)}", rows))
        bars += jpeg_bars(size, rows)
        lines = {name: [row.measured[name].milliseconds for row in rows] for name in peers.PEERS}
        plot = plots.over_sigma(f"engine-{size.replace(' ', '').lower()}", f"JPEG of {size}, one core", SIGMAS, lines)
        parts.append(f"![Milliseconds over sigma](images/{plot.name})\n")
    return parts, bars


def png(rounds: int) -> Section:
    """Measure PNG over sigma, with and without alpha."""
    parts, bars = [], []
    for mode in ("RGB", "RGBA"):
        files = [photographs.png(photographs.cropped(name, *SIZES["2 MP"]), mode) for name in photographs.LARGE]
        rows = measure(files, rounds, SIGMAS if mode == "RGB" else (5.0,))
        parts.append(tables(f"PNG, 2 MP, {mode}", rows))
        bars += flatness(f"PNG 2 MP {mode}", rows)
        for row in rows:
            engine, at = row.measured["engine"], f"PNG 2 MP {mode}, sigma {row.sigma:g}"
            if row.sigma <= 5:
                faster = ratio(row.measured["libvips"], engine).middle
                bars.append(Bar(f"{at}: times as fast as libvips", faster, 1.8, 2))
            if row.sigma == 5:
                bars.append(Bar(f"{at}: times as fast as Pillow", ratio(row.measured["Pillow"], engine).middle, 4, 8))
                bars.append(Bar(f"{at}: dB against the exact Gaussian", row.errors["engine"].psnr, *PNG_ERRORS))
    return parts, bars


def other(rounds: int) -> Section:
    """Measure the other formats, kinds of JPEG and 16 bits."""
    return [formats(rounds)], []


def other_effects(rounds: int) -> Section:
    """Measure the other effects."""
    return [effects(rounds)], []


def memory(_rounds: int) -> Section:
    """Measure memory."""
    return [], memory_bars()


SECTIONS = {"jpeg": jpeg, "png": png, "formats": other, "effects": other_effects, "memory": memory}


def main() -> None:
    """Measure and print; with `--write`, write the tables to the document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", choices=SECTIONS, action="append", help="a part alone; may be repeated")
    parser.add_argument("--write", action="store_true", help="write the tables to docs/performance.md")
    arguments = parser.parse_args()
    photographs.install()
    cv2.setNumThreads(1)
    for name in arguments.only or SECTIONS:
        parts, bars = SECTIONS[name](arguments.rounds)
        text = "\n".join([_about(arguments.rounds), *parts, *([report.bars(bars)] if bars else [])])
        print(text)
        if arguments.write:
            report.write(f"engine, {name}", text)


def _about(rounds: int) -> str:
    versions = f"Pillow {PIL.__version__}, libvips {pyvips.version(0)}.{pyvips.version(1)}, OpenCV {cv2.__version__}"
    machine = f"Python {platform.python_version()}, {platform.machine()}"
    return f"{rounds} rounds; {versions}; {machine}.\n"


if __name__ == "__main__":
    main()
