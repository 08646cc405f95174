"""Image sets of tensorflow-datasets, written as the files that training reads.

TensorFlow is needed here, to extract what was downloaded, and nowhere else.
"""

import contextlib
import errno
import importlib.util
import io
import itertools
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sigmaprop.extras import install
from sigmaprop.names import unknown
from sigmaprop.runs.files import RunError

from . import originals, store
from .options import CATALOGUE, EMBEDDED

_PARTS = ("train", "test")


def prepare(name: str, source: Path | None = None, directory: Path | None = None) -> Path:
    """Writes the file from which `load` reads an image set.

    tensorflow-datasets prepares the set in a temporary folder, about twice the size of the original
    files, from the network or from original files.

    Args:
        name: of an image set in tensorflow-datasets, listed here or not.
        source: folder with the original files. None: download them.
        directory: cache directory to write to. None: the one in use.

    Returns:
        Path of the file.

    Raises:
        ValueError: no such image set, or one that needs no preparation.
        RunError: TensorFlow or an original file is missing, a file is not the original, the
            network cannot be reached, or the file cannot be written.
    """
    if name in EMBEDDED:
        raise ValueError(f"{name} needs no preparation; load it as it is")
    if not store.is_name(name):
        raise _unknown(name)
    for module in ("tensorflow", "importlib_resources"):
        if importlib.util.find_spec(module) is None:
            raise RunError(
                f"preparing {name} needs {module}; run `{install('prepare')}`, or "
                f"prepare it on another machine and copy {store.path(name, directory)}"
            )
    with tempfile.TemporaryDirectory(prefix="sigmaprop-prepare-") as folder:
        return store.write(name, _through_tfds(name, source, Path(folder)), directory)


def _unknown(name: str) -> ValueError:
    return unknown("image set", name, (listed for listed in CATALOGUE if listed not in EMBEDDED))


def _through_tfds(name: str, source: Path | None, folder: Path) -> store.Prepared:
    """The images, prepared below ``folder``."""
    builder = _builder(name, folder / "prepared")
    downloads = folder / "downloads"
    downloads.mkdir()
    if source is not None:
        import tensorflow_datasets as tfds

        tfds.disable_progress_bar()
        originals.hand_over(name, source, downloads, builder.url_infos or {})
    _run(name, builder, downloads)
    if missing := [part for part in _PARTS if part not in builder.info.splits]:
        raise ValueError(f"{name} has no split {missing[0]!r}; choose another image set")
    return collect(name, {part: builder.as_data_source(part) for part in _PARTS})


def _builder(name: str, folder: Path) -> Any:
    """tensorflow-datasets's own builder of an image set."""
    import tensorflow_datasets as tfds

    try:
        builder: Any = tfds.builder(name, data_dir=folder, file_format="array_record")
    except ValueError as error:
        raise _unknown(name) from error
    if not _has_labelled_images(builder.info.features):
        raise ValueError(f"{name} has no labelled images of one size; choose another image set")
    return builder


def _has_labelled_images(features: Any) -> bool:
    """Whether examples are made of images of one size and labels, perhaps among other things."""
    from tensorflow_datasets import features as kinds

    if not isinstance(features, kinds.FeaturesDict) or {"image", "label"} - set(features):
        return False
    image = features["image"]
    shape: Any = image.shape
    return isinstance(image, kinds.Image) and None not in shape


def _run(name: str, builder: Any, downloads: Path) -> None:
    """Lets tensorflow-datasets download what is missing, verify, extract and write it."""
    import requests
    from tensorflow_datasets.core.download import download_manager, util

    try:
        # tensorflow-datasets would try for minutes where there is no network.
        if builder.url_infos and not any(downloads.iterdir()):
            requests.head(next(iter(builder.url_infos)), timeout=20)
        # What it prints is about the temporary folder; its progress bars go elsewhere.
        with contextlib.redirect_stdout(io.StringIO()):
            builder.download_and_prepare(download_dir=downloads)
    except (requests.RequestException, util.DownloadError) as error:
        raise RunError(
            f"cannot download {name} ({type(error).__name__}); look at the network, or give the "
            "folder of its original files with --from"
        ) from error
    except download_manager.NonMatchingChecksumError as error:
        raise RunError(
            f"what was downloaded for {name} is not the original; give the folder of its original "
            "files with --from"
        ) from error
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise RunError(
            f"no room for {name} in {downloads.parent.parent}; set TMPDIR to a larger disk"
        ) from error


def collect(name: str, parts: dict[str, Sequence[dict[str, Any]]]) -> store.Prepared:
    """The arrays of examples that are read one by one.

    Args:
        name: of the set.
        parts: examples with an uint8 ``image`` [H, W, C] and a ``label``, train first.

    Raises:
        ValueError: the images are not uint8, or not of one size, or a part has none.
    """
    sources, another = list(parts.values()), "choose another image set"
    if empty := [part for part, source in parts.items() if not len(source)]:
        raise ValueError(f"{name} has no example in its split {empty[0]!r}; {another}")
    first = sources[0][0]["image"]
    if first.dtype != np.uint8:
        raise ValueError(f"{name} has images of {first.dtype}, not uint8; {another}")
    count = sum(len(source) for source in sources)
    images, labels = np.empty((count, *first.shape), np.uint8), np.empty(count, np.int32)
    for row, example in enumerate(itertools.chain(*sources)):
        shape = example["image"].shape
        if shape != first.shape:
            raise ValueError(f"{name} has images of {shape} beside {first.shape}; {another}")
        images[row], labels[row] = example["image"], example["label"]
    return store.Prepared(images, labels, len(sources[0]))
