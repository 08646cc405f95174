"""sigmaprop: how the derivative of a Gaussian expectation reaches its mean and its scale.

>>> import sigmaprop
>>> sigmaprop.estimate       # the Monte Carlo gradient of E f, with its variance
>>> sigmaprop.objectives     # functions with a known truth
>>> sigmaprop.likelihood     # log p(x) of a decoder, by annealing and in closed form
>>> sigmaprop.limit          # the sweep over sigma and batch size

Everything is imported when it is first used: ``import sigmaprop`` alone does not import JAX.
"""

from typing import TYPE_CHECKING

from sigmaprop import lazy

if TYPE_CHECKING:
    from sigmaprop import (
        data,
        estimators,
        gaussians,
        likelihood,
        limit,
        metrics,
        noise,
        objectives,
        runs,
        statistics,
        study,
    )
    from sigmaprop.comparison.advice import Advice, advise
    from sigmaprop.estimators.control_variates import MovingAverage
    from sigmaprop.estimators.estimation import GradientEstimate, estimate
    from sigmaprop.estimators.options import Options
    from sigmaprop.estimators.smoothing import smooth
    from sigmaprop.experiments.gan.api import Training, train  # pyright: ignore
    from sigmaprop.gaussians.families import Diagonal, Full, Isotropic, LowRank, kl_divergence
    from sigmaprop.gaussians.natural import natural_gradient
    from sigmaprop.noise import schedules
    from sigmaprop.reporting.frame import load

__version__ = "0.1.0"

_HOMES = {
    "Advice": "comparison.advice",
    "Diagonal": "gaussians.families",
    "Full": "gaussians.families",
    "GradientEstimate": "estimators.estimation",
    "Isotropic": "gaussians.families",
    "LowRank": "gaussians.families",
    "MovingAverage": "estimators.control_variates",
    "Options": "estimators.options",
    # The one public name that lies with the experiments: what it runs is the command's own code.
    "Training": "experiments.gan.api",
    "advise": "comparison.advice",
    "data": "data",
    "estimate": "estimators.estimation",
    "estimators": "estimators",
    "gaussians": "gaussians",
    "kl_divergence": "gaussians.families",
    "likelihood": "likelihood",
    "limit": "limit",
    "load": "reporting.frame",
    "metrics": "metrics",
    "natural_gradient": "gaussians.natural",
    "noise": "noise",
    "objectives": "objectives",
    "runs": "runs",
    "schedules": "noise.schedules",
    "smooth": "estimators.smoothing",
    "statistics": "statistics",
    "study": "study",
    "train": "experiments.gan.api",
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
    "Training",
    "advise",
    "data",
    "estimate",
    "estimators",
    "gaussians",
    "kl_divergence",
    "likelihood",
    "limit",
    "load",
    "metrics",
    "natural_gradient",
    "noise",
    "objectives",
    "runs",
    "schedules",
    "smooth",
    "statistics",
    "study",
    "train",
]

__getattr__, __dir__ = lazy.attach(__name__, _HOMES)
