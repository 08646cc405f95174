"""Data sets; each ends as one array of all examples.

>>> from sigmaprop import data
>>> data.names()                                          # every listed set
>>> digits = data.load("digits", data.DataOptions(noise_std=0.1))
>>> digits.x[digits.splits.train]                         # float32 [1197, 64]

Everything is imported when it is first used: naming options and folders does not import JAX.
"""

from typing import TYPE_CHECKING

from sigmaprop import lazy

if TYPE_CHECKING:
    from sigmaprop.data.dataset import Dataset, Splits, redraw, split
    from sigmaprop.data.linear_gaussian import LinearGaussian
    from sigmaprop.data.mixtures import Mixture
    from sigmaprop.data.options import DataOptions, check, names
    from sigmaprop.data.registry import load
    from sigmaprop.data.transforms import from_logit, logit_log_det, noise_covariance

_HOMES = {
    "dataset": "Dataset Splits redraw split",
    "linear_gaussian": "LinearGaussian",
    "mixtures": "Mixture",
    "options": "DataOptions check names",
    "registry": "load",
    "transforms": "from_logit logit_log_det noise_covariance",
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

__getattr__, __dir__ = lazy.attach(
    __name__, {name: home for home, names in _HOMES.items() for name in names.split()}
)
