"""Archives that others can read, the same whenever they are made, and whose parts fit together."""

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.common.archive.stored_zip import Checksums, Entry, StoredZip
from services.common.domain.errors import Unavailable

TIME = datetime(2026, 11, 24, 11, 20, 42, tzinfo=UTC)
FILES = {"blur_a.jpg": b"first" * 100, "blur_пёс.png": b"", "blur_b.jpg": bytes(range(256))}


def entry(name: str, data: bytes, read: list[str] | None = None) -> Entry:
    def content(offset: int, length: int) -> Iterator[bytes]:
        if read is not None:
            read.append(name)
        for begin in range(offset, offset + length, 100):
            yield data[begin : min(begin + 100, offset + length)]

    return Entry(name, len(data), content, digest=name)


def archive(read: list[str] | None = None, checksums: Checksums | None = None) -> StoredZip:
    return StoredZip([entry(name, data, read) for name, data in FILES.items()], TIME, checksums)


def test_others_can_read_it() -> None:
    whole = b"".join(archive().read())
    assert len(whole) == archive().size
    with zipfile.ZipFile(io.BytesIO(whole)) as reader:
        assert reader.testzip() is None
        assert {name: reader.read(name) for name in reader.namelist()} == FILES
        assert reader.getinfo("blur_a.jpg").date_time == (2026, 11, 24, 11, 20, 42)
        assert reader.getinfo("blur_a.jpg").external_attr >> 16 == 0o100644


def with_checksums() -> StoredZip:
    def entry_of(name: str, data: bytes) -> Entry:
        return Entry(
            name, len(data), lambda offset, length: iter([data[offset : offset + length]]), crc32=zlib.crc32(data)
        )

    return StoredZip([entry_of(name, data) for name, data in FILES.items()], TIME)


def test_a_known_checksum_lets_others_read_it_as_a_stream() -> None:
    content = with_checksums()
    whole = b"".join(content.read())
    assert len(whole) == content.size
    with zipfile.ZipFile(io.BytesIO(whole)) as reader:
        assert reader.testzip() is None
        assert not any(info.flag_bits & 8 for info in reader.infolist())
    # As a reader of streams sees it (APPNOTE 4.3.7): each local header has what it needs to find the next one.
    at, read = 0, {}
    while whole[at : at + 4] == b"PK\3\4":
        flags, crc, size, _, name_size, extra_size = struct.unpack_from("<4x2xH6xL2L2H", whole, at)
        assert flags == 0x0800
        data_at = at + 30 + name_size + extra_size
        data = whole[data_at : data_at + size]
        assert zlib.crc32(data) == crc
        read[whole[at + 30 : at + 30 + name_size].decode()] = data
        at = data_at + size
    assert read == FILES
    for offset in range(0, len(whole), 7):
        assert b"".join(content.read(offset, 100)) == whole[offset : offset + 100]


def test_every_part_is_that_part_of_the_whole() -> None:
    whole = b"".join(archive().read())
    for offset in range(len(whole)):
        for length in (1, 7, 300, None):
            part = b"".join(archive().read(offset, length))
            assert part == whole[offset : None if length is None else offset + length], (offset, length)


def test_a_part_reads_only_the_files_that_it_is_of() -> None:
    read: list[str] = []
    content = archive(read)
    assert b"".join(content.read(100, 50)) == (b"first" * 100)[100 - 40 : 150 - 40]
    assert read == ["blur_a.jpg"]


def test_what_has_been_read_once_is_not_read_again_for_its_checksum() -> None:
    read: list[str] = []
    checksums = Checksums()
    whole = b"".join(archive(read, checksums).read())
    assert read == ["blur_a.jpg", "blur_b.jpg"]
    assert b"".join(archive(read, checksums).read(len(whole) - 100)) == whole[-100:]
    assert read == ["blur_a.jpg", "blur_b.jpg"]


def test_checksums_are_kept_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Checksums, "MOST", 2)
    checksums = Checksums()
    for number, digest in enumerate("abc"):
        checksums.put(digest, number)
    assert [checksums.get(digest) for digest in "abc"] == [None, 1, 2]


def test_a_file_that_is_shorter_than_announced_breaks_the_archive_off() -> None:
    short = Entry("a", 10, lambda _offset, _length: iter([b"only"]))
    with pytest.raises(Unavailable, match="does not have the size"):
        list(StoredZip([short], TIME).read())


def test_files_and_places_beyond_four_gigabytes(tmp_path: Path) -> None:
    large = (1 << 32) + 5
    checksums = Checksums()
    checksums.put("zeros", 0)  # of a sparse file, which nobody has to read here

    def zeros(_offset: int, length: int) -> Iterator[bytes]:
        yield bytes(length)

    content = StoredZip([Entry("large", large, zeros, digest="zeros"), entry("small", b"behind it")], TIME, checksums)
    header = 30 + len("large") + 20
    path = tmp_path / "large.zip"
    with path.open("wb") as file:
        for part in content.read(0, header + 3):
            file.write(part)
        file.seek(header + large)
        for part in content.read(header + large):
            file.write(part)
    assert path.stat().st_size == content.size
    with zipfile.ZipFile(path) as reader:
        assert reader.getinfo("large").file_size == large
        assert reader.read("small") == b"behind it"
        with reader.open("large") as first:
            assert first.read(3) == bytes(3)


def test_more_than_sixteen_bits_of_files() -> None:
    content = StoredZip([entry(f"{number}", b"") for number in range(65_536)], TIME)
    with zipfile.ZipFile(io.BytesIO(b"".join(content.read()))) as reader:
        assert len(reader.namelist()) == 65_536
