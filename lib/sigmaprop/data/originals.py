"""Original files of a data set, told by their content and handed to tensorflow-datasets.

tensorflow-datasets knows a file by the sha256 of its bytes. A gzip file that was compressed anew,
as Linux distributions do, has other bytes around the same content; where that content is known
here, the file counts as the original.
"""

import gzip
import hashlib
import shutil
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlparse

from sigmaprop.runs.files import RunError, open_regular, sha256

_FASHION_MNIST = """
c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888  train-images-idx3-ubyte.gz
bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9  train-labels-idx1-ubyte.gz
5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b  t10k-images-idx3-ubyte.gz
0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34  t10k-labels-idx1-ubyte.gz
"""
CONTENT: dict[str, dict[str, str]] = {
    "fashion_mnist": {
        file: digest for digest, file in map(str.split, _FASHION_MNIST.strip().splitlines())
    }
}
"""sha256 of what is inside the gzip files, by data set and file."""


def hand_over(name: str, source: Path, downloads: Path, records: Mapping[str, Any]) -> None:
    """Copies the files of a set to where tensorflow-datasets looks before it downloads.

    Args:
        name: of the data set.
        source: folder with the files under their original names.
        downloads: tensorflow-datasets's download folder, which exists.
        records: what it knows of each URL: an object with the attribute ``checksum``.

    Raises:
        RunError: a file is missing or is not the original.
    """
    from etils import epath
    from tensorflow_datasets.core.download import resource

    files = {url: source / PurePosixPath(urlparse(url).path).name for url in records}
    for url, file in files.items():
        verify(name, file, records[url].checksum)
    for url, file in files.items():
        target = downloads / resource.get_dl_fname(url, records[url].checksum)
        shutil.copyfile(file, target)
        resource.write_info_file(
            url=url,
            path=epath.Path(target),
            dataset_name=name,
            original_fname=file.name,
            url_info=records[url],
        )


def verify(name: str, file: Path, checksum: str) -> None:
    """Refuses a file that is not the original.

    Args:
        name: of the data set.
        file: the file.
        checksum: sha256 that the original has on record.

    Raises:
        RunError: it is missing, or neither its bytes nor its content are the original's.
    """
    try:
        digest, expected = sha256(file), checksum
        known = CONTENT.get(name, {})
        if digest != expected and file.name in known and (inner := _content_digest(file)):
            digest, expected = inner, known[file.name]
    except OSError as error:
        raise RunError(
            f"cannot read {file} ({error.strerror}); give --from the folder with {name}'s files"
        ) from error
    if digest != expected:
        raise RunError(
            f"{file} is not the original of {name}: its sha256 begins {digest[:16]}, expected "
            f"{expected[:16]}; get the file anew"
        )


def _content_digest(file: Path) -> str | None:
    """The digest of what a gzip file contains; None where it cannot be decompressed."""
    try:
        with open_regular(file) as packed, gzip.open(packed) as stream:
            # typeshed wants a raw file here; a GzipFile has the readinto() that is used.
            return hashlib.file_digest(stream, "sha256").hexdigest()  # pyright: ignore
    except (gzip.BadGzipFile, EOFError, zlib.error):
        return None
