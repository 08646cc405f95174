"""The noise that replicas learned for each coordinate, averaged over the last fifth of their steps.

It is looked at after some steps of the last fifth, and each look is a sealed file of the run until
the group ends: a process that goes on from a checkpoint finds the looks before it, and makes those
after it again, to the same bits. No step computes anything for it.
"""

from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from sigmaprop import runs
from sigmaprop.generators.gan import GanSpec
from sigmaprop.generators.results import LAST
from sigmaprop.runs.arrays import read_arrays, save_arrays

from ..training.loop import check_kept, is_sealed
from .config import GanConfig

ARRAYS = ("per_pixel", "low_rank")
"""Components whose scale is one for each coordinate, whatever the latent."""
_MOST = 10


def steps(config: GanConfig) -> tuple[int, ...]:
    """Steps after which it is looked at: as many as are scored in the last fifth, 10 at most."""
    count = min(config.evaluations, _MOST)
    found = np.linspace((1 - LAST) * config.steps, config.steps, count + 1)[1:]
    return tuple(sorted({max(1, round(step)) for step in found}))


def learned(spec: GanSpec, noise: dict[str, Any]) -> dict[str, np.ndarray]:
    """The sizes of what replicas have learned, by `entry`.

    Args:
        spec: of their program.
        noise: raw parameters on the host, arrays of leading axis R.

    Returns:
        Of each of `ARRAYS` that the program holds "scale", the size of each coordinate's scale, and
        "factor", the std that the factor gives each coordinate where there is one: [R, D] each,
        in units of x.
    """
    found = {}
    for name in (name for name in ARRAYS if name in noise):
        own = noise[name] if isinstance(noise[name], dict) else {"raw": noise[name]}
        scale = spec.observation.parameterisation.scale(jnp.asarray(own["raw"]))
        found[entry(name, "scale")] = np.abs(scale)
        if "factor" in own:
            factor = np.asarray(own["factor"], np.float64)
            found[entry(name, "factor")] = np.sqrt(np.sum(factor**2, axis=-1))
    return found


def file_name(group: int) -> str:
    """The file of a group's averages."""
    return f"noise-{group}.npz"


def entry(component: str, of: str) -> str:
    """What an array of that file is called."""
    return f"{component}.{of}"


def keep(directory: runs.Run, group: int, step: int, found: dict[str, np.ndarray]) -> None:
    """Keeps a look at a group, from `learned`, after one of `steps`; nothing where it is empty."""
    if found:
        path = _look(directory, group, step)
        save_arrays(path, found)
        runs.seal(directory, path)


def finish(directory: runs.Run, group: int, config: GanConfig) -> None:
    """Makes the averages of a group that has ended, where no earlier process did.

    There are none of a group that learns no arrays, nor of one that a version began which did not
    look.

    Raises:
        RunError: a look, or the file of averages, was altered or is missing.
    """
    path = directory.directory / file_name(group)
    looks = [_look(directory, group, step) for step in steps(config)]
    if not is_sealed(directory, path):
        if all(look.name in directory.seals for look in looks):
            _average(directory, looks, path)
        elif path.name in directory.seals:
            check_kept(directory, path)
        else:
            return
    for look in looks:
        look.unlink(missing_ok=True)
    runs.include(directory, path)


def _look(directory: runs.Run, group: int, step: int) -> Path:
    """The file of one look."""
    return directory.directory / f"noise-{group}-{step}.npz"


def _average(directory: runs.Run, looks: list[Path], path: Path) -> None:
    """Writes and seals the mean of all looks, which are needed no longer."""
    total: dict[str, np.ndarray] = {}
    for look in looks:
        check_kept(directory, look)
        for name, array in read_arrays(look).items():
            total[name] = total.get(name, 0.0) + array.astype(np.float64)
    save_arrays(path, {name: array / len(looks) for name, array in total.items()})
    for look in looks:
        directory.seals.pop(look.name)
    runs.seal(directory, path)
