"""Options that only some estimators, noise schemes or control variates have."""

import dataclasses
import math
import numbers
from typing import Any, Literal

import numpy as np

from sigmaprop.counts import index, shown
from sigmaprop.names import unknown
from sigmaprop.noise import RADII


@dataclasses.dataclass(frozen=True)
class Options:
    """What can be set of an estimator, a noise scheme or a control variate.

    Attributes:
        fitted: multiply the control variate by a coefficient for each coordinate, fitted on the
            half of the draws that it is not used on (so it adds no bias).
        coupled: measure_valued: share random numbers between the two sides of its differences.
        probes: bonnet_price: random probes of the Hessian for each draw; None: the exact Hessian
            where the noise has at most 32 coordinates, else one probe.
        gamma: mixed: the bias it may accept, in units of the gradient's norm [f / x]; None: twice
            the confidence radius of its score function part.
        randomizations: noise sobol: independent scrambled nets, from which error bars come, >= 2.
        radius: noise orthogonal: "chi" for exactly normal rows, "fixed" for rows of length sqrt(K).
        decay: control variate moving_average: the weight of what came before, in [0, 1).

    Raises:
        ValueError: a value is out of its range.
    """

    fitted: bool = False
    coupled: bool = True
    probes: int | None = None
    gamma: float | None = None
    randomizations: int = 16
    radius: Literal["chi", "fixed"] = "chi"
    decay: float = 0.9

    def __post_init__(self) -> None:
        """Checks every value."""
        for option in ("fitted", "coupled"):
            if not isinstance(getattr(self, option), bool | np.bool_):
                raise _refused(option, getattr(self, option), "it must be True or False")
        if self.probes is not None and not (index(self.probes) or 0) >= 1:
            raise _refused(
                "probes", self.probes, "it must be a whole number of at least 1, or None"
            )
        if self.gamma is not None and not (_is_real(self.gamma) and 0 <= self.gamma < math.inf):
            raise _refused("gamma", self.gamma, "it must be >= 0 and finite, or None")
        if not (index(self.randomizations) or 0) >= 2:
            raise _refused("randomizations", self.randomizations, "it must be a whole number >= 2")
        if not isinstance(self.radius, str):
            raise _refused("radius", self.radius, f"it must be one of {', '.join(RADII)}")
        if self.radius not in RADII:
            raise unknown("radius", self.radius, RADII)
        if not (_is_real(self.decay) and 0 <= self.decay < 1):
            raise _refused("decay", self.decay, "it must lie in [0, 1)")

    def changed(self) -> tuple[str, ...]:
        """Names of the options that are not at their default."""
        fields = dataclasses.fields(self)
        return tuple(f.name for f in fields if getattr(self, f.name) != f.default)


def _is_real(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool | np.bool_)


def _refused(option: str, value: Any, allowed: str) -> ValueError:
    return ValueError(f"option {option} is {shown(value)}; {allowed}")


DEFAULTS = Options()
