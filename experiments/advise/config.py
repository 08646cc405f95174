"""Options of `sigmaprop advise`."""

import dataclasses
import math

from ..options import LARGEST_SIGMA, SMALLEST_SIGMA, Family, check_list, check_range


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
        check_range("dim", self.dim, 1, 10**6)
        check_range("scale", self.scale, SMALLEST_SIGMA, LARGEST_SIGMA)
        check_range("rank", self.rank, 1, 10**4)
        check_range("budget", self.budget, 10_000, 2**40)
        check_range("seed", self.seed, 0, 2**32 - 1)
        check_list("x", self.x)
        for value in self.x or ():
            if not math.isfinite(value):
                raise ValueError(f"--x holds {value}; every coordinate must be a finite number")
