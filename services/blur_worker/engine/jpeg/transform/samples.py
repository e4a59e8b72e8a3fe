"""Between coefficients and samples (T.81, A.3.3): the DCT of many blocks at once, each axis a product of matrices."""

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.jpeg.encode.scan import LARGEST
from services.blur_worker.engine.jpeg.format.markers import FROM_ZIGZAG
from services.blur_worker.engine.jpeg.format.tables import QuantizationTable
from services.blur_worker.engine.jpeg.transform.dct_gaussian import BASIS

_DCT = np.ascontiguousarray(BASIS, np.float32)
_INVERSE_DCT = np.ascontiguousarray(BASIS.T, np.float32)
_MIDDLE = 128


def to_samples(blocks: NDArray[np.float32], quantization: QuantizationTable) -> NDArray[np.uint8]:
    """Return the samples (rows × 8, columns × 8) of quantized blocks (rows, 64, columns), as they are shown."""
    rows, _, columns = blocks.shape
    coefficients = blocks * quantization[FROM_ZIGZAG].astype(np.float32)[:, np.newaxis]
    down = _INVERSE_DCT @ coefficients.reshape(rows, 8, 8 * columns)
    samples = _INVERSE_DCT @ down.reshape(rows * 8, 8, columns)
    samples += _MIDDLE + 0.5
    np.clip(samples, 0, 255, out=samples)
    return samples.astype(np.uint8).transpose(0, 2, 1).reshape(rows * 8, columns * 8)


def to_coefficients(samples: NDArray[np.float32], quantization: QuantizationTable) -> NDArray[np.int16]:
    """Return quantized blocks (rows, 64, columns) of samples (rows × 8, columns × 8) from 0 to 255."""
    rows, columns = samples.shape[0] // 8, samples.shape[1] // 8
    by_column = (samples - _MIDDLE).reshape(rows * 8, columns, 8).transpose(0, 2, 1)
    across = _DCT @ np.ascontiguousarray(by_column)
    coefficients = (_DCT @ across.reshape(rows, 8, 8 * columns)).reshape(rows, 64, columns)
    coefficients /= quantization[FROM_ZIGZAG].astype(np.float32)[:, np.newaxis]
    rounded: NDArray[np.int16] = np.rint(coefficients).clip(-LARGEST, LARGEST).astype(np.int16)
    return rounded
