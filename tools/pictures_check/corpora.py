"""Test pictures of other projects, fetched as Debian source packages into a folder that is never committed."""

import hashlib
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

PACKAGES = (
    "pillow", "libpng1.6", "tiff", "giflib", "libavif", "libwebp", "libjpeg-turbo", "exiv2", "gdk-pixbuf", "gifsicle",
    "golang-1.19", "golang-golang-x-image", "graphicsmagick", "kimageformats", "leptonlib", "libexif", "libgd2",
    "libheif", "netsurf", "optipng", "qt6-base", "qt6-imageformats", "vips",
)  # fmt: skip
_MIRROR = "http://deb.debian.org/debian"
_RELEASE = "bookworm"
_ENDINGS = {
    ".png": "png", ".apng": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".gif": "gif", ".webp": "webp", ".avif": "avif",
    ".bmp": "bmp", ".tif": "tiff", ".tiff": "tiff", ".heic": "heif", ".heif": "heif", ".hif": "heif",
}  # fmt: skip
_MAX_BYTES = 4 << 20


def fetch(folder: Path) -> None:
    """Fetch all packages that are not there yet, with apt's own client and lists of its own."""
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    sources = folder / "sources.list"
    sources.write_text(f"deb-src {_MIRROR} {_RELEASE} main\n")
    lists = folder / "lists"
    (lists / "partial").mkdir(parents=True, exist_ok=True)
    options = [
        "-o", f"Dir::Etc::sourcelist={sources}", "-o", "Dir::Etc::sourceparts=/dev/null",
        "-o", f"Dir::State::lists={lists}",
    ]  # fmt: skip
    missing = [package for package in PACKAGES if not list(folder.glob(f"{package}_*.orig*.tar.*"))]
    if not missing:
        return
    subprocess.run(["apt-get", "-qq", *options, "update"], check=True)  # noqa: S607
    for package in missing:
        command = ["apt-get", "-qq", *options, "source", "--download-only", package]
        subprocess.run(command, cwd=folder, check=False)


def pictures(folder: Path) -> Iterator[tuple[str, str, bytes]]:
    """Yield name, kind and content of each picture in the fetched packages, of equal ones only the first."""
    seen: set[bytes] = set()
    for package in PACKAGES:
        found = sorted(folder.glob(f"{package}_*.orig*.tar.*"))
        if not found:
            print(f"{package}: not fetched")
        for archive in found:
            if archive.suffix == ".asc":
                continue
            with tarfile.open(archive) as tar:
                for member in tar:
                    kind = _ENDINGS.get(PurePosixPath(member.name).suffix.lower())
                    content = tar.extractfile(member) if kind and member.isfile() else None
                    if not kind or not content or not 0 < member.size <= _MAX_BYTES:
                        continue
                    data = content.read()
                    digest = hashlib.sha256(data).digest()
                    if digest not in seen:
                        seen.add(digest)
                        yield f"{package}: {'/'.join(PurePosixPath(member.name).parts[-2:])}", kind, data
