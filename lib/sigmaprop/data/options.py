"""Which data sets there are, what may be asked of each, and the check of both.

Nothing here imports JAX, so a command line can refuse an option before JAX starts.
"""

import dataclasses
import math
from typing import Literal, NamedTuple

from sigmaprop.names import shown, unknown

Kind = Literal["mixture", "gaussian", "linear_gaussian", "image"]

SYNTHETIC_ROWS = (50_000, 5_000, 10_000)
"""Rows of a synthetic set to train on, to validate and to test."""


@dataclasses.dataclass(frozen=True)
class DataOptions:
    """What to make of a data set; the defaults leave it as it is.

    Transforms run in the order resize, dequantise, symmetric or logit, noise. What is random in
    them is drawn once a row from a seed made of the set's name: the same in every process.
    """

    num: int | None = None
    """Training examples to keep, at least 1. None: all. Validation and test rows stay the same."""
    dim: int = 8
    """Length of an example of linear_gaussian."""
    latent_dim: int = 2
    """Columns of linear_gaussian's factor, 0 to dim."""
    std: float | None = None
    """Std of a mixture's component (of the spirals' thickness, of gaussian itself), in units of x,
    > 0. None: ring .01, grid .05, spirals .02, gaussian 1."""
    resize: int | None = None
    """Side of the images in pixels, by antialiased linear interpolation. None: as they are."""
    dequantise: bool = False
    """Whether to spread each of the L grey levels over its bin: x = (level + uniform[0, 1)) / L."""
    symmetric: bool = False
    """Whether to map images from [0, 1] to [-1, 1]; this doubles every std."""
    logit: float | None = None
    """alpha of x -> logit(alpha + (1 - 2 alpha) x), 0 < alpha < .5, which maps images from [0, 1]
    to a space without hard bounds. None: no such map."""
    noise_std: float | None = None
    """Std of the Gaussian noise that is added last, in units of the transformed x, >= 0.
    None: .1 for linear_gaussian, whose own noise it is, else 0."""
    noise_length: float | None = None
    """Correlation length of an image's noise in pixels, > 0. None: white noise."""
    split_seed: int | None = None
    """Seed that redraws which rows train, validate and test, >= 0. None: the split of that name."""


class Entry(NamedTuple):
    """A line of the catalogue.

    Attributes:
        kind: decides which options mean something.
        shape: of one example; linear_gaussian's follows its option dim.
        rows: to train on, to validate and to test.
    """

    kind: Kind
    shape: tuple[int, ...]
    rows: tuple[int, int, int]


CATALOGUE: dict[str, Entry] = {
    "ring": Entry("mixture", (2,), SYNTHETIC_ROWS),
    "grid": Entry("mixture", (2,), SYNTHETIC_ROWS),
    "spirals": Entry("mixture", (2,), SYNTHETIC_ROWS),
    "gaussian": Entry("gaussian", (1,), SYNTHETIC_ROWS),
    "linear_gaussian": Entry("linear_gaussian", (8,), SYNTHETIC_ROWS),
    "digits": Entry("image", (8, 8), (1_197, 300, 300)),
    "mnist": Entry("image", (28, 28, 1), (50_000, 10_000, 10_000)),
    "fashion_mnist": Entry("image", (28, 28, 1), (50_000, 10_000, 10_000)),
    "kmnist": Entry("image", (28, 28, 1), (50_000, 10_000, 10_000)),
    "cifar10": Entry("image", (32, 32, 3), (40_000, 10_000, 10_000)),
    "cifar100": Entry("image", (32, 32, 3), (40_000, 10_000, 10_000)),
    "svhn_cropped": Entry("image", (32, 32, 3), (63_257, 10_000, 26_032)),
}

EMBEDDED = ("ring", "grid", "spirals", "gaussian", "linear_gaussian", "digits")
"""The sets that need no preparation."""

_EVERYWHERE = frozenset({"num", "noise_std", "split_seed"})
_MEANINGFUL: dict[Kind, frozenset[str]] = {
    "mixture": _EVERYWHERE | {"std"},
    "gaussian": _EVERYWHERE | {"std"},
    "linear_gaussian": _EVERYWHERE | {"dim", "latent_dim"},
    "image": _EVERYWHERE | {"resize", "dequantise", "symmetric", "logit", "noise_length"},
}


def names() -> tuple[str, ...]:
    """Every listed data set. Other image sets of tensorflow-datasets load once prepared."""
    return tuple(CATALOGUE)


def kind(name: str) -> Kind:
    """The kind of a data set.

    Raises:
        ValueError: it is neither listed nor prepared.
    """
    if name in CATALOGUE:
        return CATALOGUE[name].kind
    from . import store  # it imports numpy, which --help can do without

    if store.is_name(name) and store.path(name).exists():
        return "image"
    raise unknown("data set", name, CATALOGUE)


def check(name: str, options: DataOptions) -> None:
    """Refuses what cannot be loaded, except rows and files that only `load` can see.

    Raises:
        ValueError: the name is unknown, an option means nothing for this set or contradicts
            another, or a value is out of its range.
    """
    allowed = _MEANINGFUL[kind(name)]
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        if value != field.default and field.name not in allowed:
            raise ValueError(f"{field.name}={shown(value)} means nothing for {name}; leave it out")
    _check_values(options)
    _check_together(name, options)


def _check_values(options: DataOptions) -> None:
    """Refuses a value that no data set takes."""
    _require(options.num is None or options.num >= 1, "num", options.num, "at least 1")
    _require(options.dim >= 1, "dim", options.dim, "at least 1")
    _require(options.resize is None or options.resize >= 1, "resize", options.resize, "at least 1")
    seed = options.split_seed
    _require(seed is None or seed >= 0, "split_seed", seed, "at least 0")
    inside = 0 <= options.latent_dim <= options.dim
    _require(inside, "latent_dim", options.latent_dim, f"0 to dim = {options.dim}")
    for name in ("std", "noise_length"):
        value = getattr(options, name)
        _require(value is None or 0 < value < math.inf, name, value, "positive and finite")
    noise = options.noise_std
    _require(noise is None or 0 <= noise < math.inf, "noise_std", noise, "0 or more, and finite")
    alpha = options.logit
    _require(alpha is None or 0 < alpha < 0.5, "logit", alpha, "above 0 and below .5")


def _check_together(name: str, options: DataOptions) -> None:
    """Refuses options that contradict each other."""
    if options.logit is not None and options.symmetric:
        raise ValueError(
            f"logit={options.logit} and symmetric=True are two spaces for one image; choose one"
        )
    if options.noise_length is not None and not options.noise_std:
        raise ValueError(
            f"noise_length={options.noise_length} needs noise; set noise_std above 0 as well"
        )
    if kind(name) == "linear_gaussian" and options.noise_std == 0:
        raise ValueError(f"noise_std=0 gives {name} no density; set it above 0 (its default is .1)")


def _require(holds: bool, option: str, value: object, wanted: str) -> None:
    if not holds:
        raise ValueError(f"{option} is {shown(value)}; it must be {wanted}")
