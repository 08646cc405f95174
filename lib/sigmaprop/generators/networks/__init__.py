"""Generators and discriminators, by name.

``get_generator(name, latent_dim, shape)`` and ``get_discriminator(name, shape)`` build one;
``generator_names()`` and ``discriminator_names()`` list them. Images go in and come out as flat
vectors [H W C], row after row, channels last.
"""

import contextlib
import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from sigmaprop.generators.networks.base import (
    ACTIVATIONS,
    OUTPUTS,
    GeneratorOutput,
    Network,
    Params,
    network,
    num_params,
)
from sigmaprop.generators.networks.dcgan import dcgan_discriminator, dcgan_generator
from sigmaprop.generators.networks.decoders import WU_SIZES, wu_decoder
from sigmaprop.generators.networks.encoder import EncoderOutput, mlp_encoder
from sigmaprop.generators.networks.goodfellow import (
    GENERATOR_WIDTHS,
    MAXOUT_WIDTHS,
    goodfellow_discriminator,
    goodfellow_generator,
)
from sigmaprop.generators.networks.linear import (
    bilinear_discriminator,
    constant_generator,
    linear_generator,
)
from sigmaprop.generators.networks.mlp import mlp_discriminator, mlp_generator
from sigmaprop.generators.networks.own import (
    Pair,
    discriminator_from_file,
    generator_from_file,
    own_discriminator,
    own_generator,
)
from sigmaprop.generators.networks.residual import residual_discriminator, residual_generator
from sigmaprop.generators.networks.resnet import resnet_discriminator, resnet_generator
from sigmaprop.names import Registry
from sigmaprop.runs.own_sources import is_own

__all__ = [
    "ACTIVATIONS",
    "OUTPUTS",
    "EncoderOutput",
    "GeneratorOutput",
    "Network",
    "Params",
    "bilinear_discriminator",
    "constant_generator",
    "dcgan_discriminator",
    "dcgan_generator",
    "discriminator_names",
    "generator_names",
    "get_discriminator",
    "get_generator",
    "goodfellow_discriminator",
    "goodfellow_generator",
    "is_pair",
    "linear_generator",
    "mlp_discriminator",
    "mlp_encoder",
    "mlp_generator",
    "named_network",
    "network",
    "num_params",
    "own_discriminator",
    "own_generator",
    "residual_discriminator",
    "residual_generator",
    "resnet_discriminator",
    "resnet_generator",
    "wu_decoder",
]


_NOT_LATE = {"late_dim": 0}


class _Entry(NamedTuple):
    """How to build a network of (latent_dim,) shape and options; which options stand fixed."""

    build: Callable[..., Network]
    fixed: Mapping[str, Any]


def _wu(name: str) -> _Entry:
    latent_dim, *widths = WU_SIZES[name]

    def build(_: int, shape: tuple[int, ...], **options: Any) -> Network:
        return wu_decoder(name, math.prod(shape), **options)

    fixed = {"latent_dim": latent_dim, "widths": tuple(widths), "activation": "tanh", "waves": ()}
    return _Entry(build, fixed | _NOT_LATE)


def _flat(build: Callable[..., Network]) -> Callable[..., Network]:
    """A builder of shape from one of dim."""
    return lambda *sizes, **options: build(*sizes[:-1], math.prod(sizes[-1]), **options)


def _narrow(name: str, build: Callable[..., Network]) -> Callable[..., Network]:
    """A builder that takes ``widths`` of one entry from one that takes ``width``."""

    def narrowed(*sizes: Any, widths: tuple[int, ...] = (64,), **options: Any) -> Network:
        if len(widths) != 1:
            raise ValueError(
                f"{name} takes one width, that of the layer next to the image, as in (64,), "
                f"not widths {tuple(widths)}"
            )
        return build(*sizes, width=widths[0], **options)

    return narrowed


_PAIR = "own"
_GENERATORS = Registry(
    "generator",
    {
        "mlp": _Entry(_flat(mlp_generator), {"waves": ()}),
        "residual": _Entry(_flat(residual_generator), {}),
        "linear": _Entry(
            _flat(linear_generator),
            {"widths": (), "activation": "identity", "output": "linear", "waves": (), **_NOT_LATE},
        ),
        "goodfellow2014": _Entry(
            _flat(goodfellow_generator),
            {"widths": GENERATOR_WIDTHS, "activation": "relu", "waves": (), **_NOT_LATE},
        ),
        "dcgan": _Entry(_narrow("dcgan", dcgan_generator), {"waves": ()} | _NOT_LATE),
        "resnet": _Entry(_narrow("resnet", resnet_generator), {"waves": ()} | _NOT_LATE),
        "wu10": _wu("wu10"),
        "wu50": _wu("wu50"),
    },
)

_DISCRIMINATORS = Registry(
    "discriminator",
    {
        "mlp": _Entry(_flat(mlp_discriminator), {"dropout": False, "waves": ()}),
        "residual": _Entry(_flat(residual_discriminator), {"dropout": False}),
        "goodfellow2014": _Entry(
            _flat(goodfellow_discriminator),
            {"widths": MAXOUT_WIDTHS, "activation": "maxout", "waves": ()},
        ),
        "dcgan": _Entry(_narrow("dcgan", dcgan_discriminator), {"dropout": False, "waves": ()}),
        "resnet": _Entry(_narrow("resnet", resnet_discriminator), {"dropout": False, "waves": ()}),
    },
)


def generator_names() -> tuple[str, ...]:
    """What `get_generator` takes."""
    return tuple(_GENERATORS)


def discriminator_names() -> tuple[str, ...]:
    """What `get_discriminator` takes."""
    return tuple(_DISCRIMINATORS)


def get_generator(
    name: str,
    latent_dim: int,
    shape: tuple[int, ...],
    *,
    widths: tuple[int, ...] | None = None,
    activation: str | None = None,
    output: str | None = None,
    waves: tuple[float, ...] | None = None,
    late_dim: int | None = None,
    dtype: str = "float32",
) -> Network:
    """The generator of that name.

    Args:
        name: one of ``generator_names()``, or ``path/to/file.py:function``, which takes none of
            the options; see `networks.own`.
        latent_dim: Z; "wu10" and "wu50" take 10 and 50 alone.
        shape: of one x, (D,) or (H, W, C).
        widths: of the hidden layers of "mlp"; one for each block of "residual", all the same;
            (width,) of "dcgan". None, here and below, is the network's own.
        activation: a name in ``ACTIVATIONS``.
        output: "linear", "sigmoid" or "tanh".
        waves: frequencies of sines and cosines beside the input of "residual".
        late_dim: K latents more, which enter at the last hidden layer of "mlp" or "residual"; see
            `base.late_layer`.
        dtype: in which products are computed, "float32" or "bfloat16".

    Returns:
        A Network with ``apply(params, z [B, Z + K]) -> GeneratorOutput``.

    Raises:
        ValueError: a name is unknown, a size is none, or the network has no such option.
    """
    if is_own(name):
        return generator_from_file(name, latent_dim, shape)
    entry = _GENERATORS[name]
    _check_fixed(f"generator {name!r}", entry, {"latent_dim": latent_dim})
    given = {"widths": widths, "activation": activation, "output": output, "waves": waves}
    given |= {"late_dim": late_dim}
    free = _check_fixed(f"generator {name!r}", entry, given)
    return entry.build(latent_dim, shape, dtype=dtype, **free)


def get_discriminator(
    name: str,
    shape: tuple[int, ...],
    *,
    widths: tuple[int, ...] | None = None,
    activation: str | None = None,
    dropout: bool | None = None,
    waves: tuple[float, ...] | None = None,
    dtype: str = "float32",
) -> Network:
    """The discriminator of that name.

    Args:
        name: one of ``discriminator_names()``, or ``path/to/file.py:function``, which takes none
            of the options; see `networks.own`.
        shape: of one x, (D,) or (H, W, C).
        widths: of the hidden layers of "mlp"; one for each block of "residual", all the same;
            (width,) of "dcgan". None, here and below, is the network's own.
        activation: a name in ``ACTIVATIONS``.
        dropout: whether a key means dropout, of "goodfellow2014".
        waves: frequencies of sines and cosines beside the input of "residual".
        dtype: in which products are computed, "float32" or "bfloat16".

    Returns:
        A Network with ``apply(params, x [B, D], key=None) -> logits [B]``.

    Raises:
        ValueError: a name is unknown, a size is none, or the network has no such option.
    """
    if is_own(name):
        return discriminator_from_file(name, shape)
    entry = _DISCRIMINATORS[name]
    given = {"widths": widths, "activation": activation, "dropout": dropout, "waves": waves}
    free = _check_fixed(f"discriminator {name!r}", entry, given)
    return entry.build(shape, dtype=dtype, **free)


def is_pair(name: str) -> bool:
    """Whether `named_network` gives such a name to a pair of functions."""
    return name.startswith(_PAIR) and not is_own(name)


@contextlib.contextmanager
def named_network(kind: str, given: str | Pair) -> Iterator[str]:
    """A name of a network within a block: of a pair of functions, or the name that was given.

    Args:
        kind: "generator" or "discriminator".
        given: a name, or ``(init, apply)``; see `networks.own`.
    """
    if isinstance(given, str):
        yield given
        return
    registry = _GENERATORS if kind == "generator" else _DISCRIMINATORS
    names = itertools.chain((_PAIR,), (f"{_PAIR}{i}" for i in itertools.count(2)))
    name = next(name for name in names if name not in registry)

    make = own_generator if kind == "generator" else own_discriminator

    def build(*sizes: Any, **_: Any) -> Network:
        return make(given, *sizes, name=name)

    registry.register(name, _Entry(build, {}))
    try:
        yield name
    finally:
        del registry[name]


def _check_fixed(what: str, entry: _Entry, given: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were given and are free; refuses others than the fixed ones."""
    free = {}
    for option, value in given.items():
        value = tuple(value) if isinstance(value, list) else value
        if value is not None and option not in entry.fixed:
            free[option] = value
        elif value is not None and value != entry.fixed[option]:
            raise ValueError(
                f"{what} has {option} {entry.fixed[option]!r}, not {value!r}; "
                f"leave {option} as it is, or take the network "
                + ("'residual'" if option == "waves" else "'mlp'")
            )
    return free
