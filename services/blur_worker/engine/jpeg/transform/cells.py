"""Cells along one axis of a plane: their means, from its DCT coefficients, and the coefficients of what they show.

A cell's mean is a weighted sum of samples, which are weighted sums of coefficients. A sample that is drawn is a
weighted sum of cells, and so is a coefficient. Each block has to do with a few neighbouring cells: the cost does not
grow with the number of cells.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.jpeg.transform.dct_gaussian import BASIS


@dataclass(frozen=True)
class BlockCells:
    """What the blocks of an axis have to do with cells."""

    first: NDArray[np.int64]
    """(blocks,): the first of the cells of each block."""
    weights: NDArray[np.float32]
    """(blocks, 8, n): of each coefficient of a block, for each of the n cells of the block."""

    def means(self, values: NDArray[np.float32], cells: int) -> NDArray[np.float32]:
        """Return (cells, m): the means of so many cells, given the coefficients (blocks, 8, m)."""
        parts = self.weights.transpose(0, 2, 1) @ values
        # One more, for blocks that have to do with fewer cells than others.
        means = np.zeros((cells + self.weights.shape[2], values.shape[2]), np.float32)
        for index in range(self.weights.shape[2]):
            begins = np.flatnonzero(np.diff(self.first, prepend=-1))
            means[self.first[begins] + index] += np.add.reduceat(parts[:, index], begins, axis=0)
        return means[:cells]

    def coefficients(self, cells: NDArray[np.float32], begin: int, end: int) -> NDArray[np.float32]:
        """Return the coefficients (end - begin, 8, m) of the blocks from `begin` on, given cells (cells, m)."""
        indices = self.first[begin:end, np.newaxis] + np.arange(self.weights.shape[2])
        blocks: NDArray[np.float32] = self.weights[begin:end] @ cells[np.minimum(indices, len(cells) - 1)]
        return blocks


def weights_of_means(length: int, side: int, pixels: int, *, flipped: bool) -> BlockCells:
    """Return the weights by which coefficients become means of the cells of a displayed image.

    Args:
        length: Of the axis, in pixels.
        side: Of a cell, in pixels.
        pixels: That a sample covers, 1 or 2; two are interpolated as by libjpeg.
        flipped: Whether the image is stored the other way round, so that its last block may be cut by the border.
    """
    stored, last = np.arange(length), (length - 1) // pixels
    cell = stored // side
    by_size = 1 / np.bincount(cell)[cell]
    stored = stored[::-1] if flipped else stored
    samples, shares = [stored // pixels], [1.0]
    if pixels > 1:
        near = (stored // 2 + np.where(stored % 2, 1, -1)).clip(0, last)
        samples, shares = [stored // 2, near], [0.75, 0.25]
    joined = np.concatenate(samples)
    return _by_block(
        # Flipped, the first block begins before the image does.
        last - joined + -(last + 1) % 8 if flipped else joined,
        np.concatenate([cell] * len(samples)),
        np.concatenate([share * by_size for share in shares]),
    )


def weights_of_samples(length: int, side: int, pixels: int) -> BlockCells:
    """Return the weights by which cells become coefficients; beyond the border is the last pixel."""
    pixel = np.arange(-(-length // (8 * pixels)) * 8 * pixels)
    return _by_block(pixel // pixels, np.minimum(pixel, length - 1) // side, np.full(len(pixel), 1 / pixels))


def smooth_weights(weights: NDArray[np.float64], pixels: int) -> BlockCells:
    """Return the weights by which cells become coefficients, given those (cells, length) of each for every pixel."""
    cells, length = weights.shape
    beyond = -length % (8 * pixels)
    of_samples = np.pad(weights, ((0, 0), (0, beyond)), mode="edge").reshape(cells, -1, 8, pixels).mean(axis=3)
    return _from_samples(np.zeros(of_samples.shape[1], np.int64), of_samples.transpose(1, 2, 0))


def _by_block(samples: NDArray[np.int64], cells: NDArray[np.int64], weights: NDArray[np.float64]) -> BlockCells:
    """Collect the weights between samples and cells, each given for a pair of them."""
    block = samples // 8
    first = np.full(int(block.max()) + 1, int(cells.max()))
    np.minimum.at(first, block, cells)
    offsets = cells - first[block]
    collected = np.zeros((len(first), 8, int(offsets.max()) + 1))
    np.add.at(collected, (block, samples % 8, offsets), weights)
    return _from_samples(first, collected)


def _from_samples(first: NDArray[np.int64], weights: NDArray[np.float64]) -> BlockCells:
    return BlockCells(first, np.ascontiguousarray(BASIS @ weights, np.float32))
