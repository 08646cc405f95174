"""Options of `sigmaprop advise`."""

import dataclasses
import math

from ..options import LARGEST_SIGMA, SMALLEST_SIGMA, Family, check_list, check_ranges, option


@dataclasses.dataclass(frozen=True)
class AdviseConfig:
    """Recommend an estimator for one function at one Gaussian."""

    objective: str = "sine"
    """Function, a name as `sigmaprop list` gives it, or path/to/file.py:function."""
    dim: int | None = option(None, within=(1, 10**6))
    """Dimension of x. None: the objective's own."""
    scale: float = option(0.1, within=(SMALLEST_SIGMA, LARGEST_SIGMA))
    """Root mean square standard deviation of the coordinates, 1e-15 to 1e6."""
    gaussian: Family = "isotropic"
    """Family of the Gaussian."""
    rank: int = option(2, within=(1, 10**4))
    """Rank of the low_rank family's factor, >= 1."""
    x: tuple[float, ...] | None = None
    """Mean of the Gaussian: one number for all coordinates, or one for each. None: the
    objective's own point."""
    budget: int = option(2**20, within=(10_000, 2**40))
    """Evaluations of f, its gradient or its curvature that the pilot may spend, >= 10000."""
    seed: int = option(0, within=(0, 2**32 - 1))
    """Seed of all noise, 0 to 4294967295."""

    def __post_init__(self) -> None:
        """Checks everything that needs no name lookup; errors name option, value and remedy."""
        check_ranges(AdviseConfig, vars(self))
        check_list("x", self.x)
        for value in self.x or ():
            if not math.isfinite(value):
                raise ValueError(f"--x holds {value}; every coordinate must be a finite number")
