"""How many operations a step of a GAN needs, and how many bytes it must move."""

import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sigmaprop.generators import gan, networks
from sigmaprop.generators import step as steps

from .gan_programs import arguments


class Work(NamedTuple):
    """What one step of one replica has to do at the least.

    Attributes:
        flops: of its matrix products and convolutions.
        bytes: read and written, if each product reads its operands and writes its result once, and
            Adam reads gradient, parameter and moments and writes all but the first.
    """

    flops: float
    bytes: float


def work(made: gan.GanSpec, arm: str = "global") -> Work:
    """What a step has to do, counted product by product in its trace."""
    hypers, state, data, keys = arguments(made, arm)
    step = functools.partial(steps.step, made)
    trace = jax.make_jaxpr(step)(hypers, state, data, keys, jnp.asarray(0))
    found = [*products(trace.jaxpr)]
    parameters = networks.num_params({"all": (state.player, state.discriminator)})
    moved = sum(number for _, number in found) + 28.0 * parameters
    return Work(sum(flops for flops, _ in found), moved)


def counted_by_xla(made: gan.GanSpec, arm: str = "global") -> float:
    """All operations of one step, lowered alone, by XLA's own count."""
    hypers, state, data, keys = arguments(made, arm)
    lowered = jax.jit(functools.partial(steps.step, made)).lower(
        hypers, state, data, keys, jnp.asarray(0)
    )
    analysis: Any = lowered.compile().cost_analysis()
    return float(analysis["flops"])


def products(jaxpr: Any) -> Iterator[tuple[float, float]]:
    """Operations and bytes of each matrix product and convolution, inner functions included."""
    for equation in jaxpr.eqns:
        for inner in jax.tree.leaves(tuple(equation.params.values()), is_leaf=_is_jaxpr):
            if _is_jaxpr(inner):
                yield from products(getattr(inner, "jaxpr", inner))
        if equation.primitive.name in ("dot_general", "conv_general_dilated"):
            values = [variable.aval for variable in (*equation.invars, *equation.outvars)]
            moved = sum(value.size * value.dtype.itemsize for value in values)
            yield 2.0 * values[2].size * _summed(equation, *values[:2]), float(moved)


def _is_jaxpr(value: Any) -> bool:
    return hasattr(value, "eqns") or hasattr(value, "jaxpr")


def _summed(equation: Any, left: Any, right: Any) -> float:
    """How many products each number of the result sums."""
    if equation.primitive.name == "dot_general":
        (contracted, _), _ = equation.params["dimension_numbers"]
        return float(np.prod([left.shape[axis] for axis in contracted]))
    out_axis = equation.params["dimension_numbers"].rhs_spec[0]
    return right.size / right.shape[out_axis]
