"""What is left out while a JPEG is read changes nothing of what is kept."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from services.blur_worker.engine.jpeg.decode.huffman import (
    END_OF_BLOCK,
    MAX_SKIP_SUM,
    SKIP,
    SKIP_SUM_UNIT,
    decoding_table,
)
from services.blur_worker.engine.jpeg.decode.image import decode_sequential
from services.blur_worker.engine.jpeg.format.header_reader import HeaderReader
from services.blur_worker.engine.jpeg.format.tables import HuffmanTable
from services.blur_worker.engine.jpeg.transform.planes import PlaneSet, plan, plan_as_stored
from tests.support.images import encode, whole_photo
from tests.unit.engine.jpeg.jpeg_planes import header, soft


def noise() -> Image.Image:
    """At quality 100 nearly every block has a last coefficient, so that no end of block is written."""
    return Image.fromarray(np.random.default_rng(5).integers(0, 256, (64, 64, 3), np.uint8))


def decode_into(planes: PlaneSet, data: bytes) -> PlaneSet:
    reader = HeaderReader(data)
    decode_sequential(reader, *reader.first_scan(), planes)
    return planes


@pytest.mark.parametrize("sigma", [1.2, 2, 3, 6, 30])
@pytest.mark.parametrize("optimize", [False, True])
@pytest.mark.parametrize("quality", [20, 90, 100])
def test_kept_coefficients_are_those_that_are_stored(quality: int, sigma: float, *, optimize: bool) -> None:
    for image in (soft(whole_photo().crop((0, 0, 256, 128))), soft(noise(), 100)):
        data = encode(image, "JPEG", quality=quality, optimize=optimize, subsampling="4:4:4")
        kept, stored = (
            decode_into(plan(header(data), sigma, 1), data),
            decode_into(plan_as_stored(header(data), 1), data),
        )
        for few, everything in zip(kept.planes, stored.planes, strict=True):
            across, down = few.x.kept, few.y.kept
            of_all = everything.values.reshape(few.rows, 8, 8, few.columns)[:, :down, :across]
            of_few = few.values.reshape(few.rows, down, across, few.columns)
            table = dequantizers(data, few.component.tq)[:down, :across, np.newaxis]
            np.testing.assert_array_equal(of_few, of_all * table)


def dequantizers(data: bytes, index: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """(8, 8), rows of frequencies."""
    with JpegImageFile(BytesIO(data)) as image:
        return np.array(image.quantization[index], np.float32).reshape(8, 8)


def test_skipping_takes_whole_symbols_only() -> None:
    _, scan = HeaderReader(encode(whole_photo(), "JPEG", optimize=True)).first_scan()
    for table in scan.ac_tables:
        assert table is not None
        codes = codes_of(table)
        for pattern, entry in enumerate(decoding_table(table, whole=True)["skips"][0].tolist()):
            assert entry == walked(f"{pattern:0{SKIP}b}", codes), f"{pattern:0{SKIP}b}"


def codes_of(table: HuffmanTable) -> dict[str, int]:
    """Each code, in bits, and its symbol."""
    codes, code, index = {}, 0, 0
    for length, count in enumerate(table.bits, 1):
        for symbol in table.huffval[index : index + count]:
            codes[f"{code:0{length}b}"] = symbol
            code += 1
        index += count
        code <<= 1
    return codes


def walked(bits: str, codes: dict[str, int]) -> int:
    """What an entry should be, symbol by symbol."""
    at = advance = ended = total = 0
    while not ended:
        length = next((length for length in range(1, SKIP + 1) if bits[at : at + length] in codes), None)
        if length is None or at + length > SKIP:
            break
        symbol = codes[bits[at : at + length]]
        if at + length + (symbol & 15) > SKIP:
            break
        if symbol and advance + (symbol >> 4) + 1 > 63:
            break
        size = symbol & 15
        if size:
            value = int(bits[at + length : at + length + size], 2)
            total += value if value >> (size - 1) else (1 << size) - 1 - value
        at += length + size
        advance, ended = (advance + (symbol >> 4) + 1, 0) if symbol else (advance, END_OF_BLOCK)
    return min((total + SKIP_SUM_UNIT // 2) // SKIP_SUM_UNIT, MAX_SKIP_SUM) << 12 | (advance + ended) << 4 | at
