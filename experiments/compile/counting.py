"""What a function has to do, counted in its trace: the same on every target.

XLA's own count is there for some platforms only, and has fused, copied and padded already.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

_ARITHMETIC = frozenset(
    (
        *(
            "add",
            "sub",
            "mul",
            "div",
            "rem",
            "neg",
            "abs",
            "sign",
            "max",
            "min",
            "clamp",
            "add_any",
        ),
        *("pow", "integer_pow", "square", "sqrt", "rsqrt", "cbrt", "exp", "exp2", "expm1", "log"),
        *("log1p", "logistic", "tanh", "sin", "cos", "tan", "asin", "acos", "atan", "atan2"),
        *("sinh", "cosh", "erf", "erfc", "erf_inv", "lgamma", "digamma", "floor", "ceil", "round"),
        *("add_any", "nextafter", "cumsum", "cumprod", "cumlogsumexp"),
    )
)
_REDUCTIONS = frozenset(
    ("reduce_sum", "reduce_max", "reduce_min", "reduce_prod", "argmax", "argmin")
)


class Work(NamedTuple):
    """What a function has to do.

    Attributes:
        flops: operations on numbers with a fraction, each 1, also exp or log.
        products: those of them that belong to matrix products and convolutions.
        bytes: read and written, if every product reads its operands and writes its result once.
    """

    flops: float
    products: float
    bytes: float

    def __add__(self, other: "Work") -> "Work":  # pyright: ignore[reportIncompatibleMethodOverride]
        return Work(*(a + b for a, b in zip(self, other, strict=True)))

    def times(self, count: float) -> "Work":
        """The same so many times."""
        return Work(*(count * value for value in self))


def work(function: Any, *arguments: Any) -> Work:
    """Of a call with these arguments, or with their shapes."""
    return of_jaxpr(jax.make_jaxpr(function)(*arguments).jaxpr)


def of_jaxpr(jaxpr: Any) -> Work:
    """Of a trace; a loop without a known number of turns counts once, a branch as its dearest."""
    total = Work(0.0, 0.0, 0.0)
    for equation in jaxpr.eqns:
        inner = [of_jaxpr(each) for each in inner_jaxprs(equation)]
        if equation.primitive.name == "cond":
            total += max(inner, key=lambda one: one.flops)
        elif inner:
            turns = equation.params.get("length", 1) if equation.primitive.name == "scan" else 1
            for one in inner:
                total += one.times(turns)
        else:
            total += _own(equation)
    return total


def products(jaxpr: Any) -> Iterator[tuple[float, float]]:
    """Operations and bytes of each matrix product and convolution, inner functions included."""
    for equation in jaxpr.eqns:
        for inner in inner_jaxprs(equation):
            yield from products(inner)
        if equation.primitive.name in ("dot_general", "conv_general_dilated"):
            found = _product(equation)
            yield found.flops, found.bytes


def inner_jaxprs(equation: Any) -> Iterator[Any]:
    """The functions that an equation calls."""
    for value in jax.tree.leaves(tuple(equation.params.values()), is_leaf=_is_jaxpr):
        if _is_jaxpr(value):
            yield getattr(value, "jaxpr", value)


def num_bytes(tree: Any) -> float:
    """Bytes of all arrays of a tree, or of what describes them."""
    return float(sum(_of_leaf(leaf) for leaf in jax.tree.leaves(tree)))


def _of_leaf(leaf: Any) -> int:
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        leaf = jax.eval_shape(jax.random.key_data, leaf)
    return leaf.size * np.dtype(leaf.dtype).itemsize


def _own(equation: Any) -> Work:
    name = equation.primitive.name
    if name in ("dot_general", "conv_general_dilated"):
        return _product(equation)
    counted = 0
    if name in _ARITHMETIC and jnp.issubdtype(equation.outvars[0].aval.dtype, jnp.inexact):
        counted = equation.outvars[0].aval.size
    elif name in _REDUCTIONS and jnp.issubdtype(equation.invars[0].aval.dtype, jnp.inexact):
        counted = equation.invars[0].aval.size
    return Work(float(counted), 0.0, 0.0)


def _product(equation: Any) -> Work:
    left, right, result = (v.aval for v in (*equation.invars, *equation.outvars))
    moved = sum(each.size * each.dtype.itemsize for each in (left, right, result))
    numbers = equation.params["dimension_numbers"]
    if equation.primitive.name == "dot_general":
        (contracted, _), _ = numbers
        summed = float(np.prod([left.shape[axis] for axis in contracted]))
    else:
        summed = right.size / right.shape[numbers.rhs_spec[0]]
    flops = 2.0 * result.size * summed
    return Work(flops, flops, float(moved))


def _is_jaxpr(value: Any) -> bool:
    return hasattr(value, "eqns") or hasattr(value, "jaxpr")
