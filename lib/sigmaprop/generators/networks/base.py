"""Networks as two pure functions: from a key to parameters, from parameters and inputs to outputs.

The layers are flax.nnx modules, and `network` is the one place that knows it: it splits a module
into a structure, which stays here, and its parameters, a nested dict of float32 arrays, which go
through plain jax.jit, jax.vmap and jax.lax.scan.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from flax import nnx
from jax.nn.initializers import Initializer
from jaxtyping import Array, Float, Key

from sigmaprop.names import unknown

Params: TypeAlias = dict[str, Any]
Smoothness: TypeAlias = Literal["smooth", "kink"]
Function: TypeAlias = Callable[[Array], Array]


class GeneratorOutput(NamedTuple):
    """What a generator makes of a batch of latents.

    Attributes:
        mean: mu(z), [B, D], in units of x.
        features: the last hidden layer, [B, F], for a head sigma(z) on top of it.
    """

    mean: Float[Array, "B D"]
    features: Float[Array, "B F"]


class Network(NamedTuple):
    """A network without its parameters; static under jax.jit, compared by identity.

    Attributes:
        name: what to call it.
        init: from a key to parameters, a pytree of float32 arrays; jit- and vmap-able.
        apply: of a generator, ``(params, z [B, Z]) -> GeneratorOutput``; of a discriminator,
            ``(params, x [B, D], key=None) -> logits [B]``, where only dropout reads the key, and
            None switches it off.
        smoothness: "smooth" where the outputs have continuous second derivatives in the inputs,
            "kink" where an activation is piecewise linear.
        in_dim: Z of a generator, D of a discriminator.
        out_dim: D of a generator, 1 of a discriminator.
        feature_dim: F of a generator, 0 of a discriminator.
        uses_key: whether ``apply`` makes use of a key.
        late_dim: how many of a generator's latents, the last of them, enter at its last hidden
            layer; see `late_layer`.
    """

    name: str
    init: Callable[[Key[Array, ""]], Params]
    apply: Callable[..., Any]
    smoothness: Smoothness
    in_dim: int
    out_dim: int
    feature_dim: int = 0
    uses_key: bool = False
    late_dim: int = 0


class Activation(NamedTuple):
    """A function between layers, and how to begin the kernel before it."""

    function: Function
    smoothness: Smoothness
    kernel_init: Initializer


def _leaky_relu(x: Array) -> Array:
    """``x`` where positive, else ``.2 x``."""
    return jax.nn.leaky_relu(x, 0.2)


_HE = jax.nn.initializers.he_normal()
LECUN = jax.nn.initializers.lecun_normal()
LATE = 0.1
"""Std at the start of what late latents add to a hidden unit."""

# Smooth means C^2. ELU is left out: C^1, yet not piecewise linear, it would be neither.
ACTIVATIONS: Mapping[str, Activation] = {
    "relu": Activation(jax.nn.relu, "kink", _HE),
    "leaky_relu": Activation(_leaky_relu, "kink", _HE),
    "tanh": Activation(jnp.tanh, "smooth", LECUN),
    "softplus": Activation(jax.nn.softplus, "smooth", LECUN),
    "silu": Activation(jax.nn.silu, "smooth", _HE),
    "gelu": Activation(jax.nn.gelu, "smooth", _HE),
    "identity": Activation(lambda x: x, "smooth", LECUN),
}

OUTPUTS: Mapping[str, Function] = {
    "linear": lambda x: x,
    "sigmoid": jax.nn.sigmoid,
    "tanh": jnp.tanh,
}

DTYPES: Mapping[str, Any] = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}


def activation_named(name: str) -> Activation:
    """The activation of that name.

    Raises:
        ValueError: there is none.
    """
    return _named("activation", name, ACTIVATIONS)


def output_named(name: str) -> Function:
    """The output function of that name.

    Raises:
        ValueError: there is none.
    """
    return _named("output", name, OUTPUTS)


def dtype_named(name: str) -> Any:
    """The dtype of that name, in which products are computed.

    Raises:
        ValueError: there is none.
    """
    return _named("dtype", name, DTYPES)


def _named(kind: str, name: str, table: Mapping[str, Any]) -> Any:
    if name not in table:
        raise unknown(kind, name, table)
    return table[name]


def check_positive(option: str, *values: int) -> None:
    """Refuses sizes that are not whole numbers >= 1."""
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"{option} needs whole numbers >= 1, not {value!r}")


class Dense(nnx.Module):
    """``x @ kernel + bias`` and nothing else, so that the formula written out has the same bits."""

    def __init__(
        self,
        in_dim: int,
        out_dim: int,
        *,
        rngs: nnx.Rngs,
        kernel_init: Initializer = LECUN,
        use_bias: bool = True,
        dtype: Any = jnp.float32,
    ):
        self.kernel = nnx.Param(kernel_init(rngs.params(), (in_dim, out_dim), jnp.float32))
        self.bias = nnx.Param(jnp.zeros(out_dim, jnp.float32)) if use_bias else None
        self.dtype = dtype

    def __call__(self, x: Array) -> Array:
        """``x`` [B, I] to [B, O] in the compute dtype."""
        y = x.astype(self.dtype) @ self.kernel[...].astype(self.dtype)
        return y if self.bias is None else y + self.bias[...].astype(self.dtype)


def late_layer(late_dim: int, width: int, *, rngs: nnx.Rngs, dtype: Any) -> Dense:
    """W of extra latents [B, K] that are added to a hidden layer before its activation.

    Behind the activation they would be Gaussian noise on a linear output, of a covariance that is
    learned. W begins as normal numbers of std `LATE` / sqrt(K), so that every unit begins with
    noise of std `LATE`: at W = 0 its gradient would be 0 on average. It has no bias, for the layer
    has one. Made last, it leaves the other layers what they begin as.

    Source: Feng et al. 2020, "Understanding noise injection in GANs", section 3, for noise inside
    the network rather than at its end, https://arxiv.org/abs/2006.05891.
    """
    init = jax.nn.initializers.normal(LATE / late_dim**0.5)
    return Dense(late_dim, width, rngs=rngs, kernel_init=init, use_bias=False, dtype=dtype)


def network(
    make: Callable[[nnx.Rngs], Callable[..., Any]],
    *,
    name: str,
    smoothness: Smoothness,
    in_dim: int,
    out_dim: int = 1,
    feature_dim: int = 0,
    uses_key: bool = False,
    late_dim: int = 0,
) -> Network:
    """A network of a flax.nnx module.

    Args:
        make: the module, its parameters drawn from ``rngs.params()``; it keeps no rngs.
        name: what to call it.
        smoothness: see `Network`, as the other arguments.
        in_dim: length of an input.
        out_dim: length of an output.
        feature_dim: length of a generator's features.
        uses_key: whether the module takes a key.
        late_dim: see `Network`.

    Returns:
        A Network whose ``apply`` calls the module.
    """
    structure, _ = nnx.split(nnx.eval_shape(lambda: make(nnx.Rngs(params=jax.random.key(0)))))

    def init(key: Array) -> Params:
        return nnx.to_pure_dict(nnx.split(make(nnx.Rngs(params=key)))[1])

    def apply(params: Params, *args: Any, **kwargs: Any) -> Any:
        return nnx.merge(structure, params)(*args, **kwargs)

    return Network(name, init, apply, smoothness, in_dim, out_dim, feature_dim, uses_key, late_dim)


def num_params(params: Params) -> int:
    """How many numbers ``params`` holds."""
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params))
