"""Options of `sigmaprop limit`: a frozen dataclass whose field docstrings are the help."""

import dataclasses
import itertools
import math
from typing import Annotated, Literal

import tyro

from sigmaprop.estimators.records import sweepable_labels
from sigmaprop.names import shown
from sigmaprop.objectives.records import OBJECTIVES

from ..options import LARGEST_SIGMA, SMALLEST_SIGMA, check_list, check_ranges, option

Dtype = Literal["float32", "float64", "bfloat16"]
SigmaSchedule = Literal["geometric", "linear", "cosine"]
_OBJECTIVES = (
    f"Functions to differentiate, of: {', '.join(OBJECTIVES)}. `sigmaprop list` describes them. Or "
    "path/to/file.py:function, a function of your own."
)
_ESTIMATORS = f"Estimators, of: {', '.join(sweepable_labels())}. `sigmaprop list` describes them."


@dataclasses.dataclass(frozen=True)
class LimitConfig:
    """Sweep the Monte Carlo gradient of E f(x + sigma eps) against grad f(x).

    For every objective, sigma and batch size: bias, error, variance and cosine of each estimator,
    to the mean and to sigma, then conclusions with confidence intervals.
    """

    objective: Annotated[tuple[str, ...], tyro.conf.arg(help=_OBJECTIVES)] = (
        "quartic",
        "sine",
        "ridge_network",
        "absolute",
        "step",
        "digit_classifier",
    )
    dim: int | None = option(None, within=(1, 10**7))
    """Dimension of x, for every objective. None: each objective's own."""
    x: tuple[float, ...] | None = None
    """Point at which to measure: one number for all coordinates, or one for each. None: each
    objective's own."""
    estimators: Annotated[tuple[str, ...], tyro.conf.arg(help=_ESTIMATORS)] = (
        "pathwise",
        "score_function",
        "score_function+leave_one_out",
        "forward_difference",
        "antithetic_difference",
        "at_mean",
    )
    noise: tuple[Literal["iid", "antithetic"], ...] = ("iid", "antithetic")
    """Noise schemes. iid: independent draws, for every estimator. antithetic: pairs eps, -eps, for
    pathwise; the finite differences have it built in, others take it if iid is left out."""
    sigmas: tuple[float, ...] | None = None
    """Standard deviations to use, each 0 or from 1e-15 to 1e6; 0 means the exact gradient. None:
    those of the schedule."""
    sigma_schedule: SigmaSchedule = "geometric"
    """How the sigmas run from sigma_first to sigma_last."""
    sigma_first: float = option(1.0, within=(SMALLEST_SIGMA, LARGEST_SIGMA))
    """First sigma of the schedule, 1e-15 to 1e6."""
    sigma_last: float = option(1e-8, within=(SMALLEST_SIGMA, LARGEST_SIGMA))
    """Last sigma of the schedule, 1e-15 to 1e6."""
    num_sigmas: int = option(25, within=(1, 10_000))
    """Number of sigmas in the schedule, >= 1."""
    batch_sizes: tuple[int, ...] | None = None
    """Draws in a batch, each a divisor of the next. None: the powers of batch_base."""
    batch_base: int = option(4, within=(2, 2**31))
    """Base of the powers that are the batch sizes, >= 2."""
    num_samples: int = option(2**18, within=(1, 2**32 - 1))
    """Draws of eps, one stream for all sigmas and batch sizes, 1 to 4294967295."""
    reference_samples: int = option(2**18, within=(96, 2**32 - 1))
    """Pairs of draws behind the reference of an objective without a closed form, >= 96."""
    dtype: Dtype = "float32"
    """Number format in which f is evaluated; sums are at least float32."""
    chunk: int | None = option(None, within=(1, 2**31))
    """Most draws evaluated at a time; bounds memory. None: as many as suit the device."""
    seed: int = option(0, within=(0, 2**32 - 1))
    """Seed of all noise, 0 to 4294967295."""

    def __post_init__(self) -> None:
        """Checks everything that needs no name lookup; errors name option, value and remedy."""
        for name in ("objective", "estimators", "noise", "sigmas", "x", "batch_sizes"):
            check_list(name, getattr(self, name))
        check_ranges(LimitConfig, vars(self))
        for sigma in self.sigmas or ():
            if sigma != 0 and not SMALLEST_SIGMA <= sigma <= LARGEST_SIGMA:
                raise ValueError(
                    f"--sigmas holds {sigma}; a sigma is 0, which means the exact gradient, or "
                    f"lies between {SMALLEST_SIGMA:g} and {LARGEST_SIGMA:g}"
                )
        for value in self.x or ():
            if not math.isfinite(value):
                raise ValueError(f"--x holds {value}; every coordinate must be a finite number")
        if self.sigmas is None and self.num_sigmas > 1 and self.sigma_first == self.sigma_last:
            raise ValueError(
                f"--num-sigmas {self.num_sigmas} would all be {self.sigma_first:g}; let "
                "--sigma-first and --sigma-last differ, or give --num-sigmas 1"
            )
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
