"""Checkpoints of a training state: whole and verified, or passed over.

A checkpoint is a directory ``checkpoints/<step>`` of what orbax wrote, of the names, dtypes and
shapes of its arrays, and of a manifest with the sha256 of all that. It is written under another
name and renamed once it is on disk. The manifest is verified before orbax reads a byte: orbax
itself loads a flipped bit as another number. Where processes share a run, each writes and reads the
arrays of its devices, and the first does the rest.
"""

import math
import os
import re
import shutil
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sigmaprop import processes
from sigmaprop.runs import files, orbax_io
from sigmaprop.runs.files import RunError
from sigmaprop.runs.orbax_io import reason

if TYPE_CHECKING:
    import jax

Tree = TypeVar("Tree")

_FOLDER, _SAVING, _STATE, _LEAVES = "checkpoints", ".saving", "state", "leaves.json"


def save(directory: Path, step: int, tree: Any, *, keep: int = 2) -> Path:
    """Saves a state, then removes older checkpoints, and those of later steps.

    Later ones are of a future that the run left when it went on from an earlier checkpoint.

    Args:
        directory: the run directory.
        step: how many steps the state has behind it; a checkpoint of the same step is replaced.
        tree: a pytree of JAX arrays of any dtype (typed keys too) on local devices, NumPy arrays,
            ints, floats and bools.
        keep: how many checkpoints are left, >= 1.

    Returns:
        The checkpoint's directory.

    Raises:
        RunError: if it cannot be written; the checkpoints before it stay as they were.
        TypeError: if a leaf is of another type.
        ValueError: if ``keep`` is less than 1.
    """
    import jax
    import numpy as np

    if keep < 1:
        raise ValueError(f"keep is {keep}; give 1 or more")
    leaves = _by_name(tree)
    for name, leaf in leaves.items():
        if not isinstance(leaf, jax.Array | np.ndarray | bool | int | float):
            raise TypeError(f"{name} is of type {type(leaf).__name__}; save arrays and numbers")
    target = _path(directory, step)
    temporary = target.parent / _SAVING
    try:
        with files.writing(target):
            if processes.leads():
                shutil.rmtree(temporary, ignore_errors=True)
                temporary.mkdir(parents=True)
                orbax_io.look_for_room(temporary, leaves)
            _write(temporary, target, leaves)
            if processes.leads():
                shutil.rmtree(target, ignore_errors=True)
                os.replace(temporary, target)
                files.sync(target.parent)
    finally:
        if processes.leads():
            shutil.rmtree(temporary, ignore_errors=True)
    kept = [other for other in steps(directory) if other <= step][-keep:]
    _remove(directory, set(steps(directory)) - set(kept))
    return target


def latest(
    directory: Path,
    abstract: Tree,
    say: Callable[[str], object] = warnings.warn,
    *,
    after: int = -1,
    before: float = math.inf,
    rows: int | None = None,
) -> tuple[int, Tree] | None:
    """Loads the newest checkpoint that is whole; damaged ones are passed over.

    Args:
        directory: the run directory.
        abstract: a pytree as it was saved, or of `jax.ShapeDtypeStruct`. An array comes back with
            the sharding of its leaf; where that has none, or is not committed to one, uncommitted
            on the default device.
        say: called with one sentence for each checkpoint that is passed over.
        after: checkpoints of this step and earlier ones are not considered.
        before: neither are those of this step and later ones.
        rows: of arrays that are padded along their leading axis, how many count. A checkpoint may
            then have another padding; its arrays come back as so many rows, on the host.

    Returns:
        Step and state, None where no checkpoint is usable.

    Raises:
        RunError: if a whole checkpoint holds other arrays than ``abstract``, or one cannot be read
            for a reason that lies outside it, as memory or permissions do.
    """
    import jax

    usable = [step for step in reversed(steps(directory)) if after < step < before]
    wanted = _described(_by_name(abstract))
    for index, step in enumerate(usable):
        path = _path(directory, step)
        try:
            files.verify_manifest(path)
            kept = files.read_json(path / _LEAVES)
            if kept == wanted:
                return step, _load(path, abstract)
            if rows is not None and (padded := _padded_as(kept, abstract, rows)) is not None:
                found = _load(path, padded)
                return step, jax.tree.map(lambda leaf: leaf[:rows], found)
        except Exception as error:  # orbax raises almost anything
            if orbax_io.is_passing(error):
                raise RunError(
                    f"cannot read checkpoint {path} ({reason(error)}); it may be whole, so none "
                    "before it is taken: mend the cause and resume again"
                ) from error
            rest = "none before it is left" if index + 1 == len(usable) else "the one before counts"
            say(f"checkpoint {path} is damaged ({reason(error)}); {rest}")
        else:
            name = next(n for n in [*wanted, *kept] if wanted.get(n) != kept.get(n))
            raise RunError(
                f"{path} is of another program: {name} is {kept.get(name, 'absent')} there and "
                f"{wanted.get(name, 'absent')} here; use the version that wrote it or start a new "
                "run"
            )
    return None


def steps(directory: Path) -> list[int]:
    """The steps of the checkpoints that have a manifest, ascending; it is not verified."""
    manifests = (Path(directory) / _FOLDER).glob("*/manifest.json")
    return sorted(int(path.parent.name) for path in manifests if _is_step(path.parent.name))


def drop_after(directory: Path, step: int) -> None:
    """Removes the checkpoints of later steps, of a future that the run leaves."""
    _remove(directory, [other for other in steps(directory) if other > step])


def remove_unfinished(directory: Path) -> None:
    """Removes what a killed process left: checkpoints half written or half removed."""
    folder = Path(directory) / _FOLDER
    shutil.rmtree(folder / _SAVING, ignore_errors=True)
    for path in folder.glob("*"):
        if _is_step(path.name) and not files.exists(path / "manifest.json"):
            shutil.rmtree(path, ignore_errors=True)


def _path(directory: Path, step: int) -> Path:
    return Path(directory) / _FOLDER / f"{step:09d}"


def _is_step(name: str) -> bool:
    """Whether it is the name of a checkpoint."""
    return name.isascii() and name.isdecimal() and name == f"{int(name):09d}"


def _by_name(tree: Any) -> dict[str, Any]:
    """The leaves by their place in the tree."""
    import jax

    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {f"state{jax.tree_util.keystr(path)}": leaf for path, leaf in leaves}


def _described(leaves: dict[str, Any]) -> dict[str, str]:
    """Dtype and shape of each leaf, or its type, by name."""
    return {
        name: f"{leaf.dtype}{list(leaf.shape)}" if hasattr(leaf, "shape") else type(leaf).__name__
        for name, leaf in leaves.items()
    }


def _padded_as(kept: dict[str, str], abstract: Any, rows: int) -> Any:
    """The arrays of a checkpoint that holds the same with another padding; None of any other."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    found = re.search(r"\[(\d+)", next(iter(kept.values()), ""))
    if found is None or (num := int(found[1])) < rows:
        return None

    def padded(leaf: Any) -> Any:
        shape = (num, *leaf.shape[1:])
        is_key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        return (jax.ShapeDtypeStruct if is_key else np.empty)(shape, leaf.dtype)

    tree = jax.tree.map(padded, abstract)
    return tree if _described(_by_name(tree)) == kept else None


def _write(folder: Path, target: Path, leaves: dict[str, Any]) -> None:
    """State, by all processes, description and manifest, on disk when this returns."""
    processes.wait()
    try:
        orbax_io.save(folder / _STATE, leaves)
    except Exception as error:
        code = orbax_io.system_code(error)
        rest = "the checkpoints before it are whole" if code is None else files.remedy(code)
        raise RunError(f"cannot write {target} ({reason(error)}); {rest}") from error
    processes.wait()
    if not processes.leads():
        return
    files.write_json(folder / _LEAVES, _described(leaves))
    paths = sorted(folder.rglob("*"))
    files.write_manifest(folder, [p.relative_to(folder).as_posix() for p in paths if p.is_file()])
    for path in (*paths, folder):
        files.sync(path)


def _load(path: Path, abstract: Any) -> Any:
    """The state that a verified checkpoint holds."""
    import jax

    leaves = _by_name(abstract)
    arrays = orbax_io.load(path / _STATE, {n: _target(leaf) for n, leaf in leaves.items()})
    placed = [_placed(arrays.get(name), leaf) for name, leaf in leaves.items()]
    return jax.tree.unflatten(jax.tree.structure(abstract), placed)


def _target(leaf: Any) -> Any:
    """What orbax is to make of a leaf."""
    import jax
    import numpy as np

    if isinstance(leaf, np.ndarray) or not hasattr(leaf, "shape"):
        return leaf
    local = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=_sharding(leaf) or local)


def _sharding(leaf: Any) -> "jax.sharding.Sharding | None":
    """Where an array is to lie, None where it may lie anywhere."""
    return getattr(leaf, "sharding", None) if getattr(leaf, "committed", True) else None


def _placed(array: Any, leaf: Any) -> Any:
    """A leaf as orbax made it, or anew where it has no elements or may lie anywhere."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    if array is None:
        empty = np.zeros if isinstance(leaf, np.ndarray) else jnp.zeros
        return empty(leaf.shape, leaf.dtype)
    if not isinstance(array, jax.Array) or _sharding(leaf) is not None:
        return array
    if jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
        data = jnp.asarray(np.asarray(jax.random.key_data(array)))
        return jax.random.wrap_key_data(data, impl=jax.random.key_impl(array))
    return jnp.asarray(np.asarray(array))


def _remove(directory: Path, there: Iterable[int]) -> None:
    """Removes checkpoints, each of which counts or does not count at every moment."""
    if not processes.leads():
        return
    with files.writing(directory):
        for other in there:
            path = _path(directory, other)
            (path / "manifest.json").unlink()
            shutil.rmtree(path)
