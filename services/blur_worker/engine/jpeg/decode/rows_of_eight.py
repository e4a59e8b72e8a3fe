"""Sums of rows of eight numbers as vectors.

Written as a loop, LLVM makes no vectors of it: it takes four times as long.
"""

from typing import TYPE_CHECKING, Any

import llvmlite.ir
import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.compiling import intrinsic

_FLOAT, _INDEX = llvmlite.ir.FloatType(), llvmlite.ir.IntType(64)
_ROW = llvmlite.ir.VectorType(_FLOAT, 8)
_FLAGS = ("contract", "nnan", "ninf", "nsz")


def _combine(_context: Any, rows: Any, row: Any, weights: Any, weight: Any, out: Any, to: Any) -> Any:
    """Add up eight rows from `row` on, each times its weight, the first of which is at `weight`, into the row at `to`.

    Return whether any number is what no sample around 0 is shown as, rounded.
    """
    from numba import types  # noqa: PLC0415 - only where loops are compiled

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        def place(array: int, offset: int) -> Any:
            data = context.make_array(signature.args[array])(context, builder, arguments[array]).data
            at = context.cast(builder, arguments[array + 1], signature.args[array + 1], types.int64)
            return builder.gep(data, [builder.add(at, _INDEX(offset))])

        def row_at(array: int, offset: int) -> Any:
            return builder.bitcast(place(array, offset), _ROW.as_pointer())

        def everywhere(number: Any) -> Any:
            one = builder.insert_element(_ROW(llvmlite.ir.Undefined), number, _INDEX(0))
            lanes = llvmlite.ir.VectorType(llvmlite.ir.IntType(32), 8)
            return builder.shuffle_vector(one, _ROW(llvmlite.ir.Undefined), lanes([0] * 8))

        total = None
        for index in range(8):
            factor = everywhere(builder.load(place(2, index)))
            part = builder.fmul(builder.load(row_at(0, 8 * index), align=4), factor, flags=_FLAGS)
            total = part if total is None else builder.fadd(total, part, flags=_FLAGS)
        builder.store(total, row_at(4, 0), align=4)
        below = builder.fcmp_ordered("<", total, _ROW([-128.5] * 8))
        above = builder.fcmp_ordered(">", total, _ROW([127.5] * 8))
        mask = builder.bitcast(builder.or_(below, above), llvmlite.ir.IntType(8))
        return builder.icmp_unsigned("!=", mask, llvmlite.ir.IntType(8)(0))

    return types.boolean(rows, row, weights, weight, out, to), generate


if TYPE_CHECKING:

    def combine(
        rows: NDArray[np.float32],
        row: int,
        weights: NDArray[np.float32],
        weight: int,
        out: NDArray[np.float32],
        to: int,
    ) -> bool:
        """See `_combine`."""
else:
    combine = intrinsic(_combine)
