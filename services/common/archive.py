"""The archive of an order's results: a ZIP made on the fly, stored rather than deflated, never whole in memory."""

from collections.abc import Iterable, Iterator

from zipstream import ZIP_STORED, ZipStream

NAME = "blur_images.zip"
MEDIA_TYPE = "application/zip"


def stream_archive(files: Iterable[tuple[str, Iterable[bytes]]]) -> Iterator[bytes]:
    """The archive's bytes; each file is a name and its content, which is read when its turn comes.

    Images are compressed already: deflating them again would cost time and save nothing.
    """
    archive = ZipStream(compress_type=ZIP_STORED)
    for name, content in files:
        archive.add(content, arcname=name)
        # Handed out file by file, so that no more than one source is open at a time.
        yield from archive.all_files()
    yield from archive.finalize()
