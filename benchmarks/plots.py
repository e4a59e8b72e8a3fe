"""Plot the engine's figures, readable on light and dark pages."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot as plt

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
_COLORS = {
    "engine": "#c2410c",
    "Pillow": "#2563eb",
    "libvips": "#059669",
    "OpenCV": "#7c3aed",
    "Pillow, no blur": "#6b7280",
}


def over_sigma(name: str, title: str, sigmas: Sequence[float], lines: Mapping[str, Sequence[float]]) -> Path:
    """Plot milliseconds over sigma, both logarithmic, one line for each library; return the file."""
    figure, axes = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
    for label, values in lines.items():
        axes.plot(sigmas, values, marker="o", markersize=4, label=label, color=_COLORS.get(label))
    axes.set(xscale="log", yscale="log", xlabel="sigma, pixels", ylabel="ms of processor time", title=title)
    axes.set_xticks(sigmas, [f"{sigma:g}" for sigma in sigmas], minor=False)
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    IMAGES.mkdir(parents=True, exist_ok=True)
    path = IMAGES / f"{name}.svg"
    # Texts stay texts; as outlines they would be most of the file.
    mpl.rcParams |= {"svg.hashsalt": name, "svg.fonttype": "none"}
    figure.savefig(path, metadata={"Date": None}, facecolor="white")
    plt.close(figure)
    return path
