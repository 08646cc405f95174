"""Which data sets there are, what may be asked of each, and the check of both.

Nothing here imports JAX, so a command line can refuse an option before JAX starts.
"""

import dataclasses
import math
from typing import Literal, NamedTuple

from sigmaprop.names import Registry, shown

Kind = Literal["mixture", "gaussian", "linear_gaussian", "image", "file"]

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
    """All that is known of a data set without loading it; one record makes one known everywhere.

    Attributes:
        kind: decides which options mean something.
        shape: of one example; linear_gaussian's follows its option dim.
        rows: to train on, to validate and to test.
        meaning: one line.
        maker: "module.function" in this package; it is called with the options. None: an image set
            that is read from the file which `sigmaprop data prepare` writes.
    """

    kind: Kind
    shape: tuple[int, ...]
    rows: tuple[int, int, int]
    meaning: str
    maker: str | None = None

    @property
    def origin(self) -> str:
        """Where the examples come from."""
        if self.maker is None:
            return "tensorflow-datasets, once prepared"
        return "scikit-learn" if self.kind == "image" else "made from a fixed seed"


_GREY, _COLOUR = (28, 28, 1), (32, 32, 3)
_MNIST, _CIFAR = (50_000, 10_000, 10_000), (40_000, 10_000, 10_000)

CATALOGUE = Registry(
    "data set",
    {
        "ring": Entry("mixture", (2,), SYNTHETIC_ROWS, "8 Gaussians on a circle", "mixtures.ring"),
        "grid": Entry("mixture", (2,), SYNTHETIC_ROWS, "25 Gaussians in a square", "mixtures.grid"),
        "spirals": Entry("mixture", (2,), SYNTHETIC_ROWS, "two thick spirals", "mixtures.spirals"),
        "gaussian": Entry("gaussian", (1,), SYNTHETIC_ROWS, "N(0, 1)", "linear_gaussian.gaussian"),
        "linear_gaussian": Entry(
            kind="linear_gaussian",
            shape=(8,),
            rows=SYNTHETIC_ROWS,
            meaning="a Gaussian plane and white noise",
            maker="linear_gaussian.linear_gaussian",
        ),
        "digits": Entry(
            "image", (8, 8), (1_197, 300, 300), "small handwritten digits", "images.digits_images"
        ),
        "mnist": Entry("image", _GREY, _MNIST, "handwritten digits"),
        "fashion_mnist": Entry("image", _GREY, _MNIST, "pieces of clothing"),
        "kmnist": Entry("image", _GREY, _MNIST, "cursive Japanese characters"),
        "cifar10": Entry("image", _COLOUR, _CIFAR, "photographs of 10 classes"),
        "cifar100": Entry("image", _COLOUR, _CIFAR, "photographs of 100 classes"),
        "svhn_cropped": Entry("image", _COLOUR, (63_257, 10_000, 26_032), "house numbers"),
    },
)
"""Every listed data set; what else is prepared loads too."""

EMBEDDED = tuple(name for name, entry in CATALOGUE.items() if entry.maker is not None)
"""The sets that need no preparation."""

_EVERYWHERE = frozenset({"num", "noise_std", "split_seed"})
_MEANINGFUL: dict[Kind, frozenset[str]] = {
    "mixture": _EVERYWHERE | {"std"},
    "gaussian": _EVERYWHERE | {"std"},
    "linear_gaussian": _EVERYWHERE | {"dim", "latent_dim"},
    "image": _EVERYWHERE | {"resize", "dequantise", "symmetric", "logit", "noise_length"},
    "file": _EVERYWHERE,
}


def names() -> tuple[str, ...]:
    """Every listed data set. Other image sets of tensorflow-datasets load once prepared."""
    return tuple(CATALOGUE)


def is_file(name: str) -> bool:
    """Whether the name of a data set is the path of a file of the user's; see `own_file`."""
    return name.endswith(".npz")


def kind(name: str) -> Kind:
    """The kind of a data set.

    Raises:
        ValueError: it is neither listed nor prepared.
    """
    if is_file(name):
        return "file"
    if name not in CATALOGUE:
        from . import store  # it imports numpy, which --help can do without

        if store.is_name(name) and store.path(name).exists():
            return "image"
    return CATALOGUE[name].kind


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
    inf = math.inf
    for option, inside, wanted in (
        ("num", lambda value: value >= 1, "at least 1"),
        ("dim", lambda value: value >= 1, "at least 1"),
        ("resize", lambda value: value >= 1, "at least 1"),
        ("split_seed", lambda value: value >= 0, "at least 0"),
        ("latent_dim", lambda value: 0 <= value <= options.dim, f"0 to dim = {options.dim}"),
        ("std", lambda value: 0 < value < inf, "positive and finite"),
        ("noise_length", lambda value: 0 < value < inf, "positive and finite"),
        ("noise_std", lambda value: 0 <= value < inf, "0 or more, and finite"),
        ("logit", lambda value: 0 < value < 0.5, "above 0 and below .5"),
    ):
        value = getattr(options, option)
        if value is not None and not inside(value):
            raise ValueError(f"{option} is {shown(value)}; it must be {wanted}")


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
