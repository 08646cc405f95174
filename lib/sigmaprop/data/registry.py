"""Loading a data set by its name."""

import importlib

from . import images, own_file
from .dataset import Dataset, split
from .options import CATALOGUE, DataOptions, check, is_file

_DEFAULTS = DataOptions()


def load(name: str, options: DataOptions = _DEFAULTS) -> Dataset:
    """All examples of a data set: the same arrays in every process.

    Args:
        name: one of `names`, an image set of tensorflow-datasets that has been prepared, or the
            path of an ``.npz`` file; see `own_file`.
        options: what to make of it.

    Raises:
        ValueError: the name or an option is refused by `check`, or num exceeds the training rows.
        RunError: the set is not prepared, or its file was altered.
    """
    check(name, options)
    maker = CATALOGUE[name].maker if name in CATALOGUE else None
    if is_file(name):
        dataset = own_file.own_file(name, options)
    elif maker is None:
        dataset = images.prepared_images(name, options)
    else:
        module, _, function = maker.rpartition(".")
        make = getattr(importlib.import_module(f"{__package__}.{module}"), function)
        dataset = make(options)
    if options.split_seed is not None:
        dataset = dataset._replace(splits=split(dataset, options.split_seed))
    return dataset if options.num is None else _subset(dataset, options.num)


def _subset(dataset: Dataset, num: int) -> Dataset:
    """The same rows with only the first ``num`` to train on."""
    train = dataset.splits.train
    if num > len(train):
        raise ValueError(
            f"num is {num}, but {dataset.name} has {len(train)} training examples; lower it"
        )
    return dataset._replace(splits=dataset.splits._replace(train=train[:num]))
