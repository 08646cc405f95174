"""``sigmaprop data``: which data sets there are, and the preparation of image sets.

``sigmaprop data prepare fashion_mnist --from /usr/share/datasets/fashion-mnist`` reads the files
of Debian's package dataset-fashion-mnist, without a network, and takes a minute on 2 cores.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from rich.text import Text

from sigmaprop.data import store
from sigmaprop.data.options import CATALOGUE, EMBEDDED
from sigmaprop.reporting.terminal import titled
from sigmaprop.runs.files import RunError

from .. import progress
from ..terminal import Terminal, counted


def prepare(name: str, source: Path | None, out: Path | None) -> int:
    """Prepares an image set and says where its file lies.

    Args:
        name: of an image set of tensorflow-datasets.
        source: folder with its original files. None: download them.
        out: cache directory to write to. None: the one in use.

    Raises:
        RunError: it cannot be prepared; one sentence.
    """
    terminal = Terminal()
    # TensorFlow reads them when it is imported: errors only, and no remark on rounding.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    from absl import logging

    from sigmaprop.data.prepare import prepare as write

    logging.set_verbosity(logging.ERROR)

    origin = "the network" if source is None else source
    terminal.say(f"preparing {name} from {origin} ...")
    try:
        with progress.waiting(terminal, f"preparing {name}"):
            file = write(name, source, out)
    except RunError:
        raise
    except ValueError as error:
        raise RunError(str(error)) from error
    prepared = store.read(name, out)
    size = file.stat().st_size / 2**20
    terminal.say(f"{name}: {counted(len(prepared.images), 'image')}, {size:.1f} MiB in {file}")
    if out is not None:
        terminal.say(f"to train on it from there, set SIGMAPROP_CACHE={out}")
    return 0


def show() -> int:
    """Prints every data set: shape, rows, and where it is."""
    terminal = Terminal()
    table = titled("Data sets")
    for heading in ("name", "shape", "train", "validation", "test", "where"):
        table.add_column(heading, justify="left" if heading in ("name", "where") else "right")
    table.columns[0].no_wrap = True
    for name, entry in CATALOGUE.items():
        rows = (f"{number:,}" for number in entry.rows)
        cells = (name, " x ".join(map(str, entry.shape)), *rows, _where(name))
        table.add_row(*(Text(cell) for cell in cells))
    terminal.print(table)
    for sentence in _remarks():
        terminal.say(sentence)
    return 0


def _where(name: str) -> str:
    if name in EMBEDDED:
        return "embedded"
    return "prepared" if store.path(name).exists() else "not prepared"


def _remarks() -> Iterator[str]:
    """Where the files lie, those of sets that are not listed included, and what to do."""
    folder = store.path("any").parent
    listed = {store.path(name) for name in CATALOGUE}
    for file in sorted(folder.glob("*.npz")):
        note = "" if file in listed else " (not listed above)"
        yield f"{file}: {file.stat().st_size / 2**20:.1f} MiB{note}"
    yield (
        f"Prepared sets lie in {folder}; `sigmaprop data prepare NAME` adds one. NAME may be any "
        "set of labelled images of one size in tensorflow-datasets."
    )
    yield (
        "Data of your own: `sigmaprop gan --dataset path/to/file.npz`, with an array x [N, D] or "
        "[N, H, W, C], and row numbers train, validation and test if the split is yours too."
    )
