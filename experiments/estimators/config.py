"""Options of `sigmaprop estimators`: a frozen dataclass whose field docstrings are the help."""

import dataclasses
from typing import Literal, get_args

from ..options import LARGEST_SIGMA, SMALLEST_SIGMA, Family, check_list, check_ranges, option

Noise = Literal["iid", "antithetic", "orthogonal", "sobol"]
Study = Literal[
    "grid",
    "variance_curves",
    "dimension",
    "coupling",
    "learning_sigma",
    "piecewise_linear",
    "logistic",
]


@dataclasses.dataclass(frozen=True)
class EstimatorsConfig:
    """Compare estimators of the gradient of a Gaussian expectation: bias, variance, cost.

    Efficiency is 1 / (variance x time), the number to choose an estimator by.
    """

    studies: tuple[Study, ...] = get_args(Study)
    """What to study. grid: objectives x Gaussians x estimators x noise x sigmas; variance_curves:
    variance against k as in Mohamed et al. (2020); dimension; coupling of measure_valued;
    learning_sigma: samples needed as sigma falls; piecewise_linear: where Price's rule fails;
    logistic: a Bayesian logistic regression trained with each."""
    objective: tuple[str, ...] = ("sine", "absolute", "step")
    """grid: functions, names as `sigmaprop list` gives them, or path/to/file.py:function."""
    dim: int | None = option(8, within=(1, 10**5))
    """grid: dimension of x. None: each objective's own."""
    gaussian: tuple[Family, ...] = ("diagonal",)
    """grid: families of Gaussians, of: isotropic, diagonal, full, low_rank."""
    rank: int = option(2, within=(1, 10**4))
    """grid: rank of the low_rank family's factor, >= 1."""
    estimators: tuple[str, ...] = (
        "pathwise",
        "pathwise+at_mean",
        "score_function",
        "score_function+leave_one_out",
        "score_function+delta",
        "measure_valued",
        "bonnet_price",
        "mixed",
    )
    """grid: estimators with their control variates, as `sigmaprop list` gives them."""
    noise: tuple[Noise, ...] = ("iid", "antithetic")
    """grid: noise schemes, each for the estimators that it suits."""
    sigmas: tuple[float, ...] = option((0.5, 0.05), within=(SMALLEST_SIGMA, LARGEST_SIGMA))
    """grid: root mean square standard deviations, each from 1e-15 to 1e6."""
    num_samples: tuple[int, ...] = option((1024,), within=(32, 2**24))
    """grid: points x of one estimate, each 32 to 2^24; rounded down to whole pairs and nets."""
    replicates: int = option(256, within=(8, 2**16))
    """Independent estimates behind every bias and variance, 8 to 65536."""
    dims: tuple[int, ...] = option((2, 8, 32, 128), within=(1, 10**5))
    """dimension: the dimensions, each 1 to 100000."""
    logistic_estimators: tuple[str, ...] = (
        "pathwise",
        "pathwise+at_mean",
        "score_function+leave_one_out",
        "score_function+moving_average",
        "measure_valued",
    )
    """logistic: estimators to train with."""
    steps: int = option(500, within=(10, 10**6))
    """logistic: training steps, 10 to 10^6."""
    seeds: int = option(2, within=(2, 1000))
    """logistic: training runs of each estimator, 2 to 1000."""
    reference_samples: int = option(2**18, within=(96, 2**31))
    """grid: samples behind the reference of an objective without a closed form, 96 to 2^31."""
    dtype: Literal["float32", "float64"] = "float32"
    """grid: number format in which f is evaluated."""
    seed: int = option(0, within=(0, 2**32 - 1))
    """Seed of all noise, 0 to 4294967295."""

    def __post_init__(self) -> None:
        """Checks everything that needs no name lookup; errors name option, value and remedy."""
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, tuple):
                check_list(field.name, value)
        check_ranges(EstimatorsConfig, vars(self))


ESTIMATORS_PRESETS = {
    "quick": EstimatorsConfig(),
    "full": EstimatorsConfig(
        objective=("quadratic", "sine", "gaussian_bump", "ridge_network", "absolute", "step"),
        gaussian=("isotropic", "diagonal", "full", "low_rank"),
        estimators=(
            "pathwise",
            "pathwise+at_mean",
            "pathwise+delta",
            "score_function",
            "score_function+mean",
            "score_function+leave_one_out",
            "score_function+at_mean+fitted",
            "score_function+delta",
            "measure_valued",
            "measure_valued+uncoupled",
            "bonnet_price",
            "forward_difference",
            "antithetic_difference",
            "second_order",
            "at_mean",
            "inverse_variance",
            "mixed",
        ),
        noise=("iid", "antithetic", "orthogonal", "sobol"),
        sigmas=(1.0, 0.3, 0.1, 0.01),
        dims=(1, 2, 4, 8, 16, 32, 64, 128, 256),
        logistic_estimators=(
            "pathwise",
            "pathwise+at_mean",
            "pathwise+delta",
            "score_function",
            "score_function+leave_one_out",
            "score_function+moving_average",
            "score_function+delta",
            "measure_valued",
            "bonnet_price",
        ),
        steps=5000,
        seeds=5,
    ),
}
