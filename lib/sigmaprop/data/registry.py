"""Loading a data set by its name."""

from collections.abc import Callable

from . import images, linear_gaussian, mixtures
from .dataset import Dataset, split
from .options import DataOptions, check

_MAKERS: dict[str, Callable[[DataOptions], Dataset]] = {
    "ring": mixtures.ring,
    "grid": mixtures.grid,
    "spirals": mixtures.spirals,
    "gaussian": linear_gaussian.gaussian,
    "linear_gaussian": linear_gaussian.linear_gaussian,
    "digits": images.digits_images,
}
_DEFAULTS = DataOptions()


def load(name: str, options: DataOptions = _DEFAULTS) -> Dataset:
    """All examples of a data set: the same arrays in every process.

    Args:
        name: one of `names`, or an image set of tensorflow-datasets that has been prepared.
        options: what to make of it.

    Raises:
        ValueError: the name or an option is refused by `check`, or num exceeds the training rows.
        RunError: the set is not prepared, or its file was altered.
    """
    check(name, options)
    make = _MAKERS.get(name)
    dataset = images.prepared_images(name, options) if make is None else make(options)
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
