"""Vectors of numbers for compiled loops, which LLVM maps to the registers that the processor has.

Of a loop over numbers LLVM makes vectors too, but with a loop of its own for what is left behind the last whole one,
and versions for arrays that overlap, which take longer to compile. Here what is left is one more vector, of which some
lanes are unused.

What keeps indices in range: `load_some` and `store_some` touch no more than `count` numbers, the others whole vectors.
"""

import functools
import operator
from typing import TYPE_CHECKING, Any

import llvmlite.ir
import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.compiling import intrinsic

VECTOR, SHORT = 16, 8
"""Numbers in a vector."""
BYTES = 64
"""Bytes in a vector of these."""

_INT = llvmlite.ir.IntType(32)
_BYTE_VECTOR = llvmlite.ir.VectorType(llvmlite.ir.IntType(8), BYTES)
_FLAGS = ("contract", "nnan", "ninf", "nsz")
_WHOLE_FLOATS = 1.5 * 2**23


@functools.cache
def _vector_type(lanes: int, element: str = "float") -> Any:
    """Return numba's type of a vector of "float", "i16" or "i64". The first call registers it, and its operators."""
    return _registered_type()(lanes, element)


@functools.cache
def _registered_type() -> Any:
    from numba import types  # noqa: PLC0415 - only where loops are compiled
    from numba.core.typing.templates import AbstractTemplate, infer_global, signature  # noqa: PLC0415
    from numba.extending import lower_builtin, models, register_model  # noqa: PLC0415

    class VectorType(types.Type):
        def __init__(self, lanes: int, element: str) -> None:
            super().__init__(f"Vector({lanes}, {element})")
            number = llvmlite.ir.FloatType() if element == "float" else llvmlite.ir.IntType(int(element[1:]))
            self.lanes, self.code_type = lanes, llvmlite.ir.VectorType(number, lanes)

    @register_model(VectorType)
    class _Model(models.PrimitiveModel):
        def __init__(self, manager: Any, type_: Any) -> None:
            super().__init__(manager, type_, type_.code_type)  # type: ignore[no-untyped-call]

    def register(operation: Any, instruction: str) -> None:
        @infer_global(operation)  # type: ignore[no-untyped-call]
        class _Template(AbstractTemplate):
            def generic(self, args: Any, _keywords: Any) -> Any:
                alike = len(args) == 2 and args[0] == args[1] and isinstance(args[0], VectorType)
                return signature(args[0], *args) if alike else None  # type: ignore[no-untyped-call]

        @lower_builtin(operation, VectorType, VectorType)  # type: ignore[no-untyped-call, untyped-decorator]
        def _lower(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            return getattr(builder, instruction)(*arguments, flags=_FLAGS)

    register(operator.add, "fadd")
    register(operator.mul, "fmul")
    return VectorType


def _place(context: Any, builder: Any, signature: Any, arguments: Any, array: int, vector: Any) -> Any:
    """Return the pointer to a vector in that argument, an array, which is followed by a flat index."""
    from numba import types  # noqa: PLC0415

    data = context.make_array(signature.args[array])(context, builder, arguments[array]).data
    at = context.cast(builder, arguments[array + 1], signature.args[array + 1], types.int64)
    return builder.bitcast(builder.gep(data, [at]), vector.as_pointer())


def _everywhere(builder: Any, number: Any, lanes: int) -> Any:
    unknown = llvmlite.ir.VectorType(number.type, lanes)(llvmlite.ir.Undefined)
    one = builder.insert_element(unknown, number, _INT(0))
    return builder.shuffle_vector(one, unknown, llvmlite.ir.VectorType(_INT, lanes)([0] * lanes))


def _mask(context: Any, builder: Any, count: Any, kind: Any, lanes: int) -> Any:
    """Return which lanes are among the first `count`."""
    from numba import types  # noqa: PLC0415

    limit = _everywhere(builder, context.cast(builder, count, kind, types.int32), lanes)
    return builder.icmp_signed("<", llvmlite.ir.VectorType(_INT, lanes)(list(range(lanes))), limit)


def _call(builder: Any, name: str, result: Any, arguments: Any) -> Any:
    kind = llvmlite.ir.FunctionType(result, [each.type for each in arguments])
    return builder.call(builder.module.declare_intrinsic(name, fnty=kind), arguments)


def _suffix(vector: Any) -> str:
    return f"v{vector.count}{'f32' if vector.element == llvmlite.ir.FloatType() else 'i16'}"


def _load_of(lanes: int) -> Any:
    def load(_context: Any, array: Any, at: Any) -> Any:
        result = _vector_type(lanes)

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.load(_place(context, builder, signature, arguments, 0, result.code_type), align=4)

        return result(array, at), generate

    return load


def _load_some(_context: Any, array: Any, at: Any, count: Any) -> Any:
    result = _vector_type(VECTOR)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector = result.code_type
        place = _place(context, builder, signature, arguments, 0, vector)
        mask = _mask(context, builder, arguments[2], signature.args[2], VECTOR)
        name = f"llvm.masked.load.{_suffix(vector)}.p0"
        return _call(builder, name, vector, [place, _INT(4), mask, vector([0.0] * VECTOR)])

    return result(array, at, count), generate


def _store(_context: Any, vector: Any, array: Any, at: Any) -> Any:
    from numba import types  # noqa: PLC0415

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = _place(context, builder, signature, arguments, 1, vector.code_type)
        builder.store(arguments[0], place, align=2 if "i16" in vector.name else 4)
        return context.get_dummy_value()

    return types.none(vector, array, at), generate


def _store_some(_context: Any, vector: Any, array: Any, at: Any, count: Any) -> Any:
    from numba import types  # noqa: PLC0415

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = _place(context, builder, signature, arguments, 1, vector.code_type)
        mask = _mask(context, builder, arguments[3], signature.args[3], vector.lanes)
        name = f"llvm.masked.store.{_suffix(vector.code_type)}.p0"
        align = _INT(2 if "i16" in vector.name else 4)
        _call(builder, name, llvmlite.ir.VoidType(), [arguments[0], place, align, mask])
        return context.get_dummy_value()

    return types.none(vector, array, at, count), generate


def _spread_over(lanes: int) -> Any:
    def spread(_context: Any, number: Any) -> Any:
        from numba import types  # noqa: PLC0415

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return _everywhere(builder, context.cast(builder, arguments[0], signature.args[0], types.float32), lanes)

        return _vector_type(lanes)(number), generate

    return spread


def _rounded(_context: Any, vector: Any, factor: Any, largest: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        from numba import types  # noqa: PLC0415

        value, lanes = arguments[0], vector.lanes
        most = context.cast(builder, arguments[2], signature.args[2], types.float32)
        # Floats around that are whole numbers: the last bits of the sum are the product, rounded.
        middle = llvmlite.ir.FloatType()(_WHOLE_FLOATS)
        value = builder.fmul(value, arguments[1], flags=_FLAGS)
        value = builder.fadd(value, _everywhere(builder, middle, lanes), flags=_FLAGS)
        for limit, order in ((builder.fsub(middle, most), "<"), (builder.fadd(middle, most), ">")):
            bound = _everywhere(builder, limit, lanes)
            value = builder.select(builder.fcmp_ordered(order, value, bound, flags=_FLAGS), bound, value)
        bits = builder.bitcast(value, llvmlite.ir.VectorType(_INT, lanes))
        return builder.trunc(bits, llvmlite.ir.VectorType(llvmlite.ir.IntType(16), lanes))

    return _vector_type(vector.lanes, "i16")(vector, factor, largest), generate


def _no_bits(_context: Any) -> Any:
    result = _vector_type(VECTOR, "i64")

    def generate(_target: Any, _builder: Any, _signature: Any, _arguments: Any) -> Any:
        return result.code_type([0] * VECTOR)

    return result(), generate


def _with_bit(_context: Any, bits: Any, array: Any, at: Any, bit: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        numbers = llvmlite.ir.VectorType(llvmlite.ir.IntType(16), VECTOR)
        place = _place(context, builder, signature, arguments, 1, numbers)
        some = builder.icmp_signed("!=", builder.load(place, align=2), numbers([0] * VECTOR))
        one = builder.shl(llvmlite.ir.IntType(64)(1), arguments[3])
        marks = builder.select(some, _everywhere(builder, one, VECTOR), bits.code_type([0] * VECTOR))
        return builder.or_(arguments[0], marks)

    return bits(bits, array, at, bit), generate


def _lowest_bit(_context: Any, bits: Any) -> Any:
    def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], llvmlite.ir.IntType(1)(1))

    return bits(bits), generate


def _copy_bytes(_context: Any, array: Any, at: Any, out: Any, to: Any) -> Any:
    from numba import types  # noqa: PLC0415

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source = _place(context, builder, signature, arguments, 0, _BYTE_VECTOR)
        target = _place(context, builder, signature, arguments, 2, _BYTE_VECTOR)
        builder.store(builder.load(source, align=1), target, align=1)
        return context.get_dummy_value()

    return types.none(array, at, out, to), generate


def _equal_bytes(_context: Any, array: Any, at: Any, value: Any) -> Any:
    from numba import types  # noqa: PLC0415

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        found = builder.load(_place(context, builder, signature, arguments, 0, _BYTE_VECTOR), align=1)
        wanted = context.cast(builder, arguments[2], signature.args[2], types.uint8)
        equal = builder.icmp_unsigned("==", found, _everywhere(builder, wanted, BYTES))
        return builder.bitcast(equal, llvmlite.ir.IntType(64))

    return types.uint64(array, at, value), generate


if TYPE_CHECKING:

    class Vector:
        """So many numbers."""

        def __add__(self, other: "Vector") -> "Vector": ...
        def __mul__(self, other: "Vector") -> "Vector": ...

    def load(array: NDArray[np.float32], at: int) -> Vector:
        """Return the vector that begins there in an array, seen as flat."""

    def load_short(array: NDArray[np.float32], at: int) -> Vector:
        """Return a short one."""

    def load_some(array: NDArray[np.float32], at: int, count: int) -> Vector:
        """Return the first `count` numbers of a vector, at most all of them, and zeros behind them."""

    def store(vector: Vector, array: NDArray[Any], at: int) -> None:
        """Put a vector into an array."""

    def store_some(vector: Vector, array: NDArray[Any], at: int, count: int) -> None:
        """Put its first numbers into an array."""

    def spread(number: np.float32) -> Vector:
        """Return a vector of one number."""

    def spread_short(number: np.float32) -> Vector:
        """Return a short one."""

    def rounded(vector: Vector, factor: Vector, largest: float) -> Vector:
        """Return the products as the nearest whole numbers of 16 bits from -largest to largest; halves become even."""

    def no_bits() -> Vector:
        """Return a vector of 64-bit numbers that are 0."""

    def with_bit(bits: Vector, array: NDArray[np.int16], at: int, bit: np.uint64) -> Vector:
        """Return the vector with this bit set in each lane of which the number in the array is not 0."""

    def lowest_bit(bits: np.uint64) -> np.uint64:
        """Return the place of the lowest bit of a number that is not 0."""

    def copy_bytes(array: NDArray[np.uint8], at: int, out: NDArray[np.uint8], to: int) -> None:
        """Copy BYTES bytes."""

    def equal_bytes(array: NDArray[np.uint8], at: int, value: int) -> np.uint64:
        """Return which of BYTES bytes have this value, as bits, the first one lowest."""
else:
    load, load_short, load_some = intrinsic(_load_of(VECTOR)), intrinsic(_load_of(SHORT)), intrinsic(_load_some)
    store, store_some = intrinsic(_store), intrinsic(_store_some)
    spread, spread_short = intrinsic(_spread_over(VECTOR)), intrinsic(_spread_over(SHORT))
    rounded = intrinsic(_rounded)
    no_bits, with_bit, lowest_bit = intrinsic(_no_bits), intrinsic(_with_bit), intrinsic(_lowest_bit)
    copy_bytes, equal_bytes = intrinsic(_copy_bytes), intrinsic(_equal_bytes)
