"""Options of the experiments: frozen dataclasses whose field docstrings are the ``--help`` texts.

This module imports nothing heavy, so that ``--help`` answers at once; names of objectives and
estimators are checked when the experiment is prepared.
"""

import dataclasses
import itertools
import math
from typing import Literal

from sigmaprop.names import shortened, shown

Dtype = Literal["float32", "float64", "bfloat16"]
SigmaSchedule = Literal["geometric", "linear", "cosine"]

# Where (f / sigma)^2 and f^2 still lie well inside float32.
_SMALLEST_SIGMA, _LARGEST_SIGMA = 1e-15, 1e6


@dataclasses.dataclass(frozen=True)
class LimitConfig:
    """Sweep the Monte Carlo gradient of E f(x + sigma eps) against grad f(x).

    For every objective, sigma and batch size: bias, error, variance and cosine of each estimator,
    to the mean and to sigma, then conclusions with confidence intervals.
    """

    objective: tuple[str, ...] = (
        "quartic",
        "sine",
        "ridge_network",
        "absolute",
        "step",
        "digit_classifier",
    )
    """Functions to differentiate, of: linear, quadratic, cubic, quartic, sine, cosine,
    exponential, gaussian_bump, rosenbrock, styblinski_tang, rastrigin, absolute, relu, step,
    ridge_network, leaky_relu_network, softplus_network, digit_classifier. `sigmaprop list`
    describes them. Or path/to/file.py:function, a function of your own."""
    dim: int | None = None
    """Dimension of x, for every objective. None: each objective's own."""
    x: tuple[float, ...] | None = None
    """Point at which to measure: one number for all coordinates, or one for each. None: each
    objective's own."""
    estimators: tuple[str, ...] = (
        "pathwise",
        "score_function",
        "score_function+leave_one_out",
        "forward_difference",
        "antithetic_difference",
        "at_mean",
    )
    """Estimators, of: pathwise, pathwise+at_mean, score_function, score_function+mean,
    score_function+leave_one_out, score_function+at_mean, forward_difference,
    antithetic_difference, at_mean. `sigmaprop list` describes them."""
    noise: tuple[Literal["iid", "antithetic"], ...] = ("iid", "antithetic")
    """Noise schemes. iid: independent draws, for every estimator. antithetic: pairs eps, -eps, for
    pathwise; the finite differences have it built in, others take it if iid is left out."""
    sigmas: tuple[float, ...] | None = None
    """Standard deviations to use, each 0 or from 1e-15 to 1e6; 0 means the exact gradient. None:
    those of the schedule."""
    sigma_schedule: SigmaSchedule = "geometric"
    """How the sigmas run from sigma_first to sigma_last."""
    sigma_first: float = 1.0
    """First sigma of the schedule, 1e-15 to 1e6."""
    sigma_last: float = 1e-8
    """Last sigma of the schedule, 1e-15 to 1e6."""
    num_sigmas: int = 25
    """Number of sigmas in the schedule, >= 1."""
    batch_sizes: tuple[int, ...] | None = None
    """Draws in a batch, each a divisor of the next. None: the powers of batch_base."""
    batch_base: int = 4
    """Base of the powers that are the batch sizes, >= 2."""
    num_samples: int = 2**18
    """Draws of eps, one stream for all sigmas and batch sizes, 1 to 4294967295."""
    reference_samples: int = 2**18
    """Pairs of draws behind the reference of an objective without a closed form, >= 96."""
    dtype: Dtype = "float32"
    """Number format in which f is evaluated; sums are at least float32."""
    chunk: int | None = None
    """Most draws evaluated at a time; bounds memory. None: as many as suit the device."""
    seed: int = 0
    """Seed of all noise, 0 to 4294967295."""

    def __post_init__(self) -> None:
        """Checks everything that needs no name lookup; errors name option, value and remedy."""
        for option in ("objective", "estimators", "noise", "sigmas", "x", "batch_sizes"):
            _check_list(option, getattr(self, option))
        for sigma in self.sigmas or ():
            if sigma != 0 and not _SMALLEST_SIGMA <= sigma <= _LARGEST_SIGMA:
                raise ValueError(
                    f"--sigmas holds {sigma}; a sigma is 0, which means the exact gradient, or "
                    f"lies between {_SMALLEST_SIGMA:g} and {_LARGEST_SIGMA:g}"
                )
        for option in ("sigma_first", "sigma_last"):
            _check_range(option, getattr(self, option), _SMALLEST_SIGMA, _LARGEST_SIGMA)
        for value in self.x or ():
            if not math.isfinite(value):
                raise ValueError(f"--x holds {value}; every coordinate must be a finite number")
        _check_range("dim", self.dim, 1, 10**7)
        _check_range("num_sigmas", self.num_sigmas, 1, 10_000)
        if self.sigmas is None and self.num_sigmas > 1 and self.sigma_first == self.sigma_last:
            raise ValueError(
                f"--num-sigmas {self.num_sigmas} would all be {self.sigma_first:g}; let "
                "--sigma-first and --sigma-last differ, or give --num-sigmas 1"
            )
        _check_range("batch_base", self.batch_base, 2, 2**31)
        _check_range("num_samples", self.num_samples, 1, 2**32 - 1)
        _check_range("reference_samples", self.reference_samples, 96, 2**32 - 1)
        _check_range("chunk", self.chunk, 1, 2**31)
        _check_range("seed", self.seed, 0, 2**32 - 1)
        self._check_batches()

    def _check_batches(self) -> None:
        sizes = self.batch_sizes or ()
        for size in sizes:
            if not 1 <= size <= self.num_samples:
                raise ValueError(
                    f"--batch-sizes holds {shown(size)}; it must lie between 1 and --num-samples "
                    f"{self.num_samples}"
                )
        for size, following in itertools.pairwise(sizes):
            if following <= size or following % size:
                raise ValueError(
                    f"--batch-sizes holds {shown(size)} before {shown(following)}; each must "
                    "divide the next, as in 1 8 64"
                )


Family = Literal["isotropic", "diagonal", "full", "low_rank"]
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

    studies: tuple[Study, ...] = (
        "grid",
        "variance_curves",
        "dimension",
        "coupling",
        "learning_sigma",
        "piecewise_linear",
        "logistic",
    )
    """What to study. grid: objectives x Gaussians x estimators x noise x sigmas; variance_curves:
    variance against k as in Mohamed et al. (2020); dimension; coupling of measure_valued;
    learning_sigma: samples needed as sigma falls; piecewise_linear: where Price's rule fails;
    logistic: a Bayesian logistic regression trained with each."""
    objective: tuple[str, ...] = ("sine", "absolute", "step")
    """grid: functions, names as `sigmaprop list` gives them, or path/to/file.py:function."""
    dim: int | None = 8
    """grid: dimension of x. None: each objective's own."""
    gaussian: tuple[Family, ...] = ("diagonal",)
    """grid: families of Gaussians, of: isotropic, diagonal, full, low_rank."""
    rank: int = 2
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
    sigmas: tuple[float, ...] = (0.5, 0.05)
    """grid: root mean square standard deviations, each from 1e-15 to 1e6."""
    num_samples: tuple[int, ...] = (1024,)
    """grid: points x of one estimate, each 32 to 2^24; rounded down to whole pairs and nets."""
    replicates: int = 256
    """Independent estimates behind every bias and variance, 8 to 65536."""
    dims: tuple[int, ...] = (2, 8, 32, 128)
    """dimension: the dimensions, each 1 to 100000."""
    logistic_estimators: tuple[str, ...] = (
        "pathwise",
        "pathwise+at_mean",
        "score_function+leave_one_out",
        "score_function+moving_average",
        "measure_valued",
    )
    """logistic: estimators to train with."""
    steps: int = 500
    """logistic: training steps, 10 to 10^6."""
    seeds: int = 2
    """logistic: training runs of each estimator, 2 to 1000."""
    reference_samples: int = 2**18
    """grid: samples behind the reference of an objective without a closed form, 96 to 2^31."""
    dtype: Literal["float32", "float64"] = "float32"
    """grid: number format in which f is evaluated."""
    seed: int = 0
    """Seed of all noise, 0 to 4294967295."""

    def __post_init__(self) -> None:
        """Checks everything that needs no name lookup; errors name option, value and remedy."""
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, tuple):
                _check_list(field.name, value)
        for sigma in self.sigmas:
            _check_range("sigmas", sigma, _SMALLEST_SIGMA, _LARGEST_SIGMA)
        for count in self.num_samples:
            _check_range("num_samples", count, 32, 2**24)
        for dim in self.dims:
            _check_range("dims", dim, 1, 10**5)
        _check_range("dim", self.dim, 1, 10**5)
        _check_range("rank", self.rank, 1, 10**4)
        _check_range("replicates", self.replicates, 8, 2**16)
        _check_range("steps", self.steps, 10, 10**6)
        _check_range("seeds", self.seeds, 2, 1000)
        _check_range("reference_samples", self.reference_samples, 96, 2**31)
        _check_range("seed", self.seed, 0, 2**32 - 1)


@dataclasses.dataclass(frozen=True)
class AdviseConfig:
    """Recommend an estimator for one function at one Gaussian."""

    objective: str = "sine"
    """Function, a name as `sigmaprop list` gives it, or path/to/file.py:function."""
    dim: int | None = None
    """Dimension of x. None: the objective's own."""
    scale: float = 0.1
    """Root mean square standard deviation of the coordinates, 1e-15 to 1e6."""
    gaussian: Family = "isotropic"
    """Family of the Gaussian."""
    rank: int = 2
    """Rank of the low_rank family's factor, >= 1."""
    x: tuple[float, ...] | None = None
    """Mean of the Gaussian: one number for all coordinates, or one for each. None: the
    objective's own point."""
    budget: int = 2**20
    """Evaluations of f, its gradient or its curvature that the pilot may spend, >= 10000."""
    seed: int = 0
    """Seed of all noise, 0 to 4294967295."""

    def __post_init__(self) -> None:
        """Checks everything that needs no name lookup; errors name option, value and remedy."""
        _check_range("dim", self.dim, 1, 10**6)
        _check_range("scale", self.scale, _SMALLEST_SIGMA, _LARGEST_SIGMA)
        _check_range("rank", self.rank, 1, 10**4)
        _check_range("budget", self.budget, 10_000, 2**40)
        _check_range("seed", self.seed, 0, 2**32 - 1)
        _check_list("x", self.x)
        for value in self.x or ():
            if not math.isfinite(value):
                raise ValueError(f"--x holds {value}; every coordinate must be a finite number")


def _check_list(option: str, values: tuple | None) -> None:
    if values is None:
        return
    if not values:
        raise ValueError(f"{_flag(option)} is empty; give at least one value")
    if option != "x" and len(set(values)) < len(values):
        twice = next(value for value in values if values.count(value) > 1)
        raise ValueError(f"{_flag(option)} names {shortened(str(twice))} twice; name it once")


def _check_range(option: str, value: float | None, lowest: float, highest: float) -> None:
    if value is not None and not lowest <= value <= highest:
        raise ValueError(
            f"{_flag(option)} is {shown(value)}; it must lie between {lowest} and {highest}"
        )


def _flag(option: str) -> str:
    return "--" + option.replace("_", "-")


LIMIT_PRESETS = {
    "quick": LimitConfig(),
    "demo": LimitConfig(objective=("sine", "absolute")),
    "full": LimitConfig(
        objective=(
            "linear",
            "quadratic",
            "cubic",
            "quartic",
            "sine",
            "cosine",
            "exponential",
            "gaussian_bump",
            "rosenbrock",
            "styblinski_tang",
            "rastrigin",
            "absolute",
            "relu",
            "step",
            "ridge_network",
            "digit_classifier",
        ),
        num_samples=2**20,
        num_sigmas=33,
        batch_base=2,
        reference_samples=2**20,
    ),
}

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
