"""Data sets; each ends as one array of all examples.

>>> from sigmaprop import data
>>> data.names()                                          # every listed set
>>> digits = data.load("digits", data.DataOptions(noise_std=0.1))
>>> digits.x[digits.splits.train]                         # float32 [1197, 64]

Everything is imported when it is first used: naming options and folders does not import JAX.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sigmaprop.data.dataset import Dataset, Splits, redraw, split
    from sigmaprop.data.linear_gaussian import LinearGaussian
    from sigmaprop.data.mixtures import Mixture
    from sigmaprop.data.options import DataOptions, check, names
    from sigmaprop.data.registry import load
    from sigmaprop.data.transforms import from_logit, logit_log_det, noise_covariance

_HOMES = {
    "DataOptions": "options",
    "Dataset": "dataset",
    "LinearGaussian": "linear_gaussian",
    "Mixture": "mixtures",
    "Splits": "dataset",
    "check": "options",
    "from_logit": "transforms",
    "load": "registry",
    "logit_log_det": "transforms",
    "names": "options",
    "noise_covariance": "transforms",
    "redraw": "dataset",
    "split": "dataset",
}

__all__ = [
    "DataOptions",
    "Dataset",
    "LinearGaussian",
    "Mixture",
    "Splits",
    "check",
    "from_logit",
    "load",
    "logit_log_det",
    "names",
    "noise_covariance",
    "redraw",
    "split",
]


def __getattr__(name: str):
    if name in _HOMES:
        value = getattr(importlib.import_module(f"sigmaprop.data.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'sigmaprop.data' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
