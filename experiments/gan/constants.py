"""What a run takes of another one, seed by seed, as arrays and as a file of its own.

Either numbers, as `--frozen-values` has them, or the generators whose sigma(z) is copied. A config
holds a few numbers itself; of anything larger it holds the digest, and the run directory the file.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sigmaprop import runs
from sigmaprop.generators import parameterisation
from sigmaprop.generators.networks import Network
from sigmaprop.generators.observation import Copier, Copy
from sigmaprop.generators.parameterisation import Bounds
from sigmaprop.runs import configs
from sigmaprop.runs.arrays import read_arrays, save_arrays, tree_of

from .config import GanOptions

FILE = "frozen.npz"
MOST = 2**20
"""Numbers that a config takes."""
MAKERS = (
    *("generator", "widths", "waves", "channels", "activation", "output", "dtype"),
    *("latent_dim", "latent", "parameterisation", "sigma_floor", "sigma_ceiling"),
)
"""Options that a copied sigma(z) is made of."""
_VALUES, _MAKER = "values", "maker"


class Constants(NamedTuple):
    """The constants of all seeds.

    Attributes:
        arrays: by name: the numbers [S, N] under "values"; or a description under "maker", and the
            generators' parameters, [S, ...] each.
    """

    arrays: Mapping[str, np.ndarray]

    @property
    def values(self) -> np.ndarray | None:
        """The numbers of each seed, [S, N]; None where generators are copied."""
        return self.arrays.get(_VALUES)

    @property
    def digest(self) -> str:
        """The SHA-256 of names and arrays, which no version of a file format goes into."""
        found = hashlib.sha256()
        for name, array in sorted(self.arrays.items()):
            found.update(f"{name}{array.dtype.str}{array.shape}".encode())
            found.update(np.ascontiguousarray(array).data)
        return found.hexdigest()


class Copied(NamedTuple):
    """The generator that one seed's sigma(z) is computed by.

    Attributes:
        options: those that made it.
        copier: what is static about it.
        copy: its parameters.
    """

    options: GanOptions
    copier: Copier
    copy: Copy

    def arrays(self) -> Copy:
        """The constants of a replica."""
        return jax.tree.map(np.asarray, self.copy)


def of_values(values: np.ndarray) -> Constants:
    """Numbers, [S, N]."""
    return Constants({_VALUES: np.asarray(values, np.float64)})


def of_generators(
    options: GanOptions, shape: tuple[int, ...], parameters: Mapping[str, np.ndarray]
) -> Constants:
    """The generators of a cell that learned sigma(z).

    Args:
        options: of the cell.
        shape: of an example.
        parameters: of all seeds, named "['network']..." and "['head']...", [S, ...] each.
    """
    maker = {name: getattr(options, name) for name in MAKERS} | {"shape": shape}
    return Constants({_MAKER: np.asarray(json.dumps(maker, sort_keys=True)), **parameters})


def save(directory: runs.Run, constants: Constants) -> None:
    """Keeps them as a sealed file of the run."""
    path = directory.directory / FILE
    save_arrays(path, constants.arrays)
    runs.seal(directory, path)
    runs.include(directory, path)


def load(directory: Path) -> Constants:
    """Those of a run directory; a RunError where the file is missing or damaged."""
    return Constants(read_arrays(directory / FILE))


def copied(
    constants: Constants,
    shape: tuple[int, ...],
    make: Callable[[GanOptions, tuple[int, ...]], Network],
) -> list[Copied]:
    """The generators of all seeds.

    Args:
        constants: without values.
        shape: of an example.
        make: the generator of some options and the shape of an example.

    Raises:
        ValueError: they were made for examples of another shape.
        RunError: the arrays are not those of such generators.
    """
    options, own = _maker(constants)
    if own != shape:
        raise ValueError(
            f"--frozen-from learned sigma(z) of examples of shape {own}, and these have {shape}; "
            "choose the --dataset that it learned from"
        )
    network = make(options, shape)
    kernel = jax.ShapeDtypeStruct((1, network.feature_dim, network.out_dim), np.float32)
    bias = jax.ShapeDtypeStruct((1, network.out_dim), np.float32)
    like = {
        "network": jax.eval_shape(jax.vmap(network.init), jax.random.split(jax.random.key(0), 1)),
        "head": {"kernel": kernel, "bias": bias},
    }
    named = {name: leaf for name, leaf in constants.arrays.items() if name != _MAKER}
    trees: dict[str, Any] = tree_of(named, like, Path(FILE))
    copier = Copier(network, parameterisation.get(options.parameterisation))
    ends = options.sigma_floor, options.sigma_ceiling
    bounds = Bounds(*(jnp.asarray(end, jnp.float32) for end in ends))
    seeds = len(trees["head"]["bias"])
    rows = [jax.tree.map(lambda leaf, row=row: leaf[row], trees) for row in range(seeds)]
    return [Copied(options, copier, Copy(row["network"], row["head"], bounds)) for row in rows]


def _maker(constants: Constants) -> tuple[GanOptions, tuple[int, ...]]:
    """The options that generators were made by, and the shape of an example."""
    try:
        maker = dict(json.loads(str(constants.arrays[_MAKER])))
        shape = tuple(maker.pop("shape"))
        return configs.from_values(GanOptions, maker), shape
    except (KeyError, TypeError, ValueError) as error:
        raise runs.RunError(
            f"{FILE} does not describe generators; restore it or repeat the run"
        ) from error
