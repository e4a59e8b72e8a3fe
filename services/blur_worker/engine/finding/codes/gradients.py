"""Brightness, and the directions of its gradients, cell by cell (compiled)."""

import numpy as np

from services.blur_worker.engine.compiling import compiled

CELL = 16
"""Side of a cell in pixels."""


@compiled("void(Array(uint8, 3, 'C', readonly=True), uint8[:, ::1])")
def to_brightness(pixels: np.ndarray, brightness: np.ndarray) -> None:
    """Set the brightness of pixels (red, green, blue) as ITU-R BT.601 weighs them."""
    height, width, _ = pixels.shape
    for y in range(height):
        for x in range(width):
            red, green, blue = np.int32(pixels[y, x, 0]), np.int32(pixels[y, x, 1]), np.int32(pixels[y, x, 2])
            brightness[y, x] = (77 * red + 150 * green + 29 * blue + 128) >> 8


@compiled("void(uint8[:, ::1], float32[:, :, ::1])")
def gradient_cells(brightness: np.ndarray, cells: np.ndarray) -> None:
    """Set the mean of g², g²·cos 4φ and g²·sin 4φ of each cell: g is the gradient in steps per pixel, φ its direction.

    Directions that differ by a right angle are the same here: edges of bars and of cells in rows add up.

    Args:
        brightness: The image.
        cells: Shape (rows, columns, 3) of whole cells; what is left at the right and at the bottom is not looked at.
    """
    height, width = brightness.shape
    rows, columns, _ = cells.shape
    for row in range(rows):
        for column in range(columns):
            energy, cosine, sine, n = 0.0, 0.0, 0.0, 0
            for y in range(max(row * CELL, 1), min((row + 1) * CELL, height - 1)):
                for x in range(max(column * CELL, 1), min((column + 1) * CELL, width - 1)):
                    gx = float(brightness[y, x + 1]) - float(brightness[y, x - 1])
                    gy = float(brightness[y + 1, x]) - float(brightness[y - 1, x])
                    squares, real, imaginary = gx * gx + gy * gy, gx * gx - gy * gy, 2 * gx * gy
                    energy += squares
                    cosine += (real * real - imaginary * imaginary) / max(squares, 1.0)
                    sine += 2 * real * imaginary / max(squares, 1.0)
                    n += 4
            cells[row, column, 0] = energy / max(n, 1)
            cells[row, column, 1] = cosine / max(n, 1)
            cells[row, column, 2] = sine / max(n, 1)
