"""sigmaprop: how the derivative of a Gaussian expectation reaches its mean and its scale.

>>> import sigmaprop
>>> sigmaprop.estimate       # the Monte Carlo gradient of E f, with its variance
>>> sigmaprop.objectives     # functions with a known truth
>>> sigmaprop.limit          # the sweep over sigma and batch size

Everything is imported when it is first used: ``import sigmaprop`` alone does not import JAX.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sigmaprop import estimators, limit, noise, objectives, runs, schedules, statistics
    from sigmaprop.advice import Advice, advise
    from sigmaprop.control_variates import MovingAverage
    from sigmaprop.estimation import GradientEstimate, estimate
    from sigmaprop.estimators import Options
    from sigmaprop.gaussian import Diagonal, Full, Isotropic, LowRank, kl_divergence
    from sigmaprop.natural import natural_gradient
    from sigmaprop.smoothing import smooth

__version__ = "0.1.0"

_MODULES = ("estimators", "limit", "noise", "objectives", "runs", "schedules", "statistics")
_HOMES = {
    "Diagonal": "gaussian",
    "Full": "gaussian",
    "GradientEstimate": "estimation",
    "Isotropic": "gaussian",
    "LowRank": "gaussian",
    "Advice": "advice",
    "MovingAverage": "control_variates",
    "Options": "estimators",
    "advise": "advice",
    "estimate": "estimation",
    "kl_divergence": "gaussian",
    "natural_gradient": "natural",
    "smooth": "smoothing",
}

__all__ = [
    "Advice",
    "Diagonal",
    "Full",
    "GradientEstimate",
    "Isotropic",
    "LowRank",
    "MovingAverage",
    "Options",
    "advise",
    "estimate",
    "estimators",
    "kl_divergence",
    "limit",
    "natural_gradient",
    "noise",
    "objectives",
    "runs",
    "schedules",
    "smooth",
    "statistics",
]


def __getattr__(name: str):
    if name in _MODULES:
        return importlib.import_module(f"sigmaprop.{name}")
    if name in _HOMES:
        value = getattr(importlib.import_module(f"sigmaprop.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'sigmaprop' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
