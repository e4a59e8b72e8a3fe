"""What the compiled decoder gets to know of a scan: records, whose fields have their names in T.81 where it has one."""

import numpy as np

from services.blur_worker.engine.compiling import compiled

ENDS_EARLY, WRONG_CODE, TOO_MUCH = -1, -2, -3
"""What is wrong with entropy-coded data, in the place of the next position in them."""

KEPT, BORDER, PADDING = range(3)
"""Kinds of blocks: one of which the wanted coefficients are kept; one that the border of the image cuts through, kept
whole until all scans are decoded; one that completes an MCU beyond the border (A.2.4), not kept at all."""

SCAN = np.dtype(
    [
        *((name, "i8") for name in ("ss", "se", "ah", "al")),
        ("band", "u8"),  # coefficients ss to se, as bits
        ("restart_interval", "i8"),  # in MCUs; of a scan without restart markers all of them
        *((name, "i8") for name in ("mcus", "mcu_columns")),
    ]
)

COMPONENT = np.dtype(
    [
        *((name, "i8") for name in ("h", "v")),  # sampling factors; 1 where the component is the only one of its scan
        *((name, "i8") for name in ("td", "ta")),  # which of the scan's Huffman tables
        ("pred", "i8"),  # the DC predictor (F.2.1.3.1)
        *((name, "i8") for name in ("columns", "rows")),  # of blocks
        *((name, "i8") for name in ("whole_columns", "whole_rows")),  # without those that the border cuts through
        *((name, "i8") for name in ("origin", "column_step", "row_step")),  # where blocks lie in the output
        ("border", "i8"),  # where border blocks lie, 64 numbers each: the last column by row, the last row by column
        ("nowhere", "i8"),  # where in the output goes what is not wanted
        # By kind of block and by k, the place in zig-zag order: where a coefficient lies in its block; -1: nowhere.
        ("targets", "i8", (3, 64)),
        ("wanted", "u8", 3),  # by kind: coefficients that lie somewhere, as bits
        ("last", "i8", 3),  # by kind: the last of them
        ("factors", "f4", 64),  # by k: what a coefficient is multiplied by
        # What a block of the last column, and one of the last row, is multiplied by: 1, or a fit if the border cuts it.
        ("fit_across", "f4", (2, 8, 8)),  # transposed
        ("fit_down", "f4", (2, 8, 8)),
        # For samples that leave what can be shown, see `clamped_blocks`.
        ("highest", "f4"),  # how far samples may be from -0.5
        ("beyond", "f4"),  # what SKIP_SUM_UNIT of those that are skipped stand for, roughly
        ("whole", "i8"),  # where in the output there is room for such a block, three times 64 numbers
        ("share", "f4"),  # how much of what its coefficients are at most is looked at
        ("often", "i8"),  # whether there are many of them
        ("follows", "i8"),  # whether the block is likely one, as that before was
        ("wanted_count", "i8"),  # how many coefficients are wanted of it
        ("wanted_rows", "i8"),  # in how many of its rows
        ("wanted_of", "i8", 64),  # where they lie in it
        ("wanted_at", "i8", 64),  # where they belong
    ],
    align=True,
)


@compiled(nrt=False)
def block_place(component: np.record, y: int, x: int) -> np.int64:
    """Return where a block belongs in the output."""
    return component.origin + y * component.row_step + x * component.column_step


@compiled(inline=True, nrt=False)
def decoded_place(component: np.record, y: int, x: int) -> tuple[np.int64, np.int64]:
    """Return a block's kind, and where it lies until all scans are decoded."""
    if x < component.whole_columns and y < component.whole_rows:
        return np.int64(KEPT), block_place(component, y, x)
    if x >= component.columns or y >= component.rows:
        return np.int64(PADDING), component.nowhere
    index = y if x >= component.whole_columns else component.rows + x
    return np.int64(BORDER), component.border + 64 * index
