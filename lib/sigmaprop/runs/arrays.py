"""Arrays of one file, and pytrees of them, such as the models that a training leaves behind."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from sigmaprop.runs.files import RunError, atomic, open_regular

Tree = TypeVar("Tree")


def save_tree(path: Path, tree: Any) -> None:
    """Writes the leaves of a tree of arrays under their paths, atomically.

    Raises:
        RunError: it cannot be written.
    """
    save_arrays(path, _named(tree))


def save_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    """Writes arrays by name into an npz file, atomically; see `read_arrays`.

    Raises:
        RunError: it cannot be written.
    """
    with atomic(path) as file:
        named: dict[str, Any] = {name: np.asarray(array) for name, array in arrays.items()}
        np.savez(file, **named)


def load_tree(path: Path, like: Tree) -> Tree:
    """The tree that `save_tree` wrote.

    Args:
        path: of the file.
        like: a tree of the same structure, whose leaves have shapes; the first axis may differ.

    Returns:
        NumPy arrays in the structure of ``like``.

    Raises:
        RunError: the file is missing, damaged, or holds another tree.
    """
    return tree_of(read_arrays(path), like, path)


def tree_of(found: Mapping[str, np.ndarray], like: Tree, path: Path) -> Tree:
    """The tree of arrays that have the names which `save_tree` gives; else as `load_tree`.

    Args:
        found: the arrays.
        like: see `load_tree`.
        path: of the file that they are of, for messages.

    Raises:
        RunError: they are another tree.
    """
    import jax

    wanted = _named(like)
    odd = [
        name
        for name, leaf in wanted.items()
        if name not in found or found[name].shape[1:] != tuple(leaf.shape[1:])
    ]
    if odd or len(found) != len(wanted):
        name = odd[0] if odd else next(iter(found.keys() - wanted.keys()))
        raise RunError(
            f"{path} holds another model than the run's options make ({name}); restore it or "
            "repeat the run"
        )
    return jax.tree.unflatten(jax.tree.structure(like), [found[name] for name in wanted])


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an npz file.

    Raises:
        RunError: it is missing or damaged.
    """
    try:
        with open_regular(path) as source, np.load(source) as file:
            return {name: file[name] for name in file.files}
    except Exception as error:  # a damaged archive raises almost anything
        raise RunError(
            f"{path} is missing or damaged ({str(error)[:200]}); restore it or repeat the run"
        ) from error


def _named(tree: Any) -> dict[str, Any]:
    """The leaves by their paths."""
    import jax

    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {jax.tree_util.keystr(path): leaf for path, leaf in leaves}
