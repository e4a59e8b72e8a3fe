"""Connected components of a map of probabilities, and the smallest rectangle around each (compiled)."""

import numpy as np

from services.blur_worker.engine.compiling import compiled

COLUMNS = 7
"""Number of columns: centre x, y; unit vector x, y along the longer side; length; thickness; mean probability."""


@compiled()
def _flood(
    map_: np.ndarray,
    threshold: int,
    y: int,
    x: int,
    seen: np.ndarray,
    pixels: np.ndarray,
    lefts: np.ndarray,
    rights: np.ndarray,
) -> tuple[int, int, int, int]:
    """Mark a component as seen; return its size, first and last row, and sum; set the ends of each of its rows."""
    height, width = map_.shape
    seen[y, x] = True
    pixels[0] = y * width + x
    n_pixels, done = 1, 0
    top, bottom, total = y, y - 1, 0
    while done < n_pixels:
        y, x = pixels[done] // width, pixels[done] % width
        done += 1
        total += map_[y, x]
        # Rows are reached one after another: the start is in the first.
        while bottom < y:
            bottom += 1
            lefts[bottom], rights[bottom] = x, x
        while top > y:
            top -= 1
            lefts[top], rights[top] = x, x
        lefts[y] = min(lefts[y], x)
        rights[y] = max(rights[y], x)
        for near_y in range(max(y - 1, 0), min(y + 2, height)):
            for near_x in range(max(x - 1, 0), min(x + 2, width)):
                if not seen[near_y, near_x] and map_[near_y, near_x] >= threshold:
                    seen[near_y, near_x] = True
                    pixels[n_pixels] = near_y * width + near_x
                    n_pixels += 1
    return n_pixels, top, bottom, total


@compiled()
def _convex_hull(lefts: np.ndarray, rights: np.ndarray, top: int, bottom: int, hull: np.ndarray) -> int:
    """Write the corners of the convex hull of pixels, squares of 1 × 1; return their number (A. M. Andrew)."""
    n = 0
    # Down the left side, then up the right one: each row gives the corners of its first or last pixel.
    for side in range(2):
        first = n
        for step in range(2 * (bottom - top + 1)):
            if side == 0:
                y = top + (step + 1) // 2
                x = float(lefts[top + step // 2])
            else:
                y = bottom + 1 - (step + 1) // 2
                x = float(rights[bottom - step // 2] + 1)
            while n - first >= 2:
                ax, ay = hull[n - 1, 0] - hull[n - 2, 0], hull[n - 1, 1] - hull[n - 2, 1]
                bx, by = x - hull[n - 1, 0], float(y) - hull[n - 1, 1]
                if ax * by - ay * bx < 0.0:
                    break
                n -= 1
            hull[n, 0], hull[n, 1] = x, float(y)
            n += 1
    return n


@compiled()
def _smallest_rectangle(hull: np.ndarray, n: int, found: np.ndarray) -> None:
    """Set six values to the rectangle of the smallest area around a hull: one of its sides lies on an edge."""
    best = np.inf
    for i in range(n):
        j = (i + 1) % n
        ux, uy = hull[j, 0] - hull[i, 0], hull[j, 1] - hull[i, 1]
        norm = np.sqrt(ux * ux + uy * uy)
        if norm < 1e-9:
            continue
        ux, uy = ux / norm, uy / norm
        low_u, high_u, low_v, high_v = np.inf, -np.inf, np.inf, -np.inf
        for k in range(n):
            u = hull[k, 0] * ux + hull[k, 1] * uy
            v = hull[k, 1] * ux - hull[k, 0] * uy
            low_u, high_u, low_v, high_v = min(low_u, u), max(high_u, u), min(low_v, v), max(high_v, v)
        length, thickness = high_u - low_u, high_v - low_v
        if length * thickness < best:
            best = length * thickness
            u, v = (low_u + high_u) / 2, (low_v + high_v) / 2
            found[0], found[1] = u * ux - v * uy, u * uy + v * ux
            if length >= thickness:
                found[2], found[3], found[4], found[5] = ux, uy, length, thickness
            else:
                found[2], found[3], found[4], found[5] = -uy, ux, thickness, length


@compiled("int64(uint8[:, ::1], int64, int64, float64[:, ::1])")
def smallest_rectangles(map_: np.ndarray, threshold: int, min_pixels: int, found: np.ndarray) -> int:
    """Find the components of pixels at or above a threshold (8-connected), and the smallest rectangle around each.

    Args:
        map_: Probabilities times 255.
        threshold: At least 1.
        min_pixels: Components of fewer pixels are left out.
        found: Takes the rectangles; what does not fit is left out.

    Returns:
        How many were found.
    """
    height, width = map_.shape
    seen = np.zeros((height, width), np.bool_)
    pixels = np.empty(height * width, np.int32)  # of the component, in the order of their discovery
    lefts = np.empty(height, np.int64)
    rights = np.empty(height, np.int64)
    hull = np.empty((4 * height + 4, 2), np.float64)
    n_found = 0
    for start in range(height * width):
        y, x = start // width, start % width
        if seen[y, x] or map_[y, x] < threshold:
            continue
        n_pixels, top, bottom, total = _flood(map_, threshold, y, x, seen, pixels, lefts, rights)
        if n_pixels < min_pixels or n_found == len(found):
            continue
        n_corners = _convex_hull(lefts, rights, top, bottom, hull)
        _smallest_rectangle(hull, n_corners, found[n_found])
        found[n_found, 6] = total / (255.0 * n_pixels)
        n_found += 1
    return n_found
