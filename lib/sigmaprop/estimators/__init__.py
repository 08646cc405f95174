"""Monte Carlo estimators of the gradient of a Gaussian expectation.

``get(name, noise, control_variate)`` builds one; ``names()`` lists them; `sigmaprop.estimate` runs
one on a function of the user's.
"""

import functools

from sigmaprop.estimators.antithetic import antithetic
from sigmaprop.estimators.base import AtMean, Estimator, Evaluations, Terms
from sigmaprop.estimators.evolution import antithetic_difference, forward_difference
from sigmaprop.estimators.pathwise import at_mean, pathwise
from sigmaprop.estimators.score_function import leave_one_out, score_function
from sigmaprop.names import unknown
from sigmaprop.noise import check_name as check_noise

__all__ = ["AtMean", "Estimator", "Evaluations", "Terms", "get", "labels", "names", "parse"]

_TABLE = {
    ("pathwise", None): pathwise,
    ("score_function", None): score_function,
    ("score_function", "leave_one_out"): leave_one_out,
    ("forward_difference", None): forward_difference,
    ("antithetic_difference", None): antithetic_difference,
    ("at_mean", None): at_mean,
}
CONTROL_VARIATES = ("leave_one_out",)


def names() -> tuple[str, ...]:
    """The estimators' names, without control variates."""
    return tuple(dict.fromkeys(name for name, _ in _TABLE))


def labels() -> tuple[str, ...]:
    """Every estimator with each control variate it can carry, as ``name`` or ``name+variate``."""
    return tuple(name if variate is None else f"{name}+{variate}" for name, variate in _TABLE)


def parse(label: str) -> tuple[str, str | None]:
    """Splits ``name+variate`` into name and control variate.

    Raises:
        ValueError: no estimator has this label; the nearest is named.
    """
    if label not in labels():
        raise unknown("estimator", label, labels())
    name, _, variate = label.partition("+")
    return name, variate or None


@functools.cache
def get(name: str, noise: str = "iid", control_variate: str | None = None) -> Estimator:
    """The estimator of this name, for a noise scheme and a control variate.

    Raises:
        ValueError: a name is unknown (the nearest is named), or the combination has no meaning
            (both sides are named).
    """
    check_noise(noise)
    if name not in names():
        raise unknown("estimator", name, names())
    if control_variate not in (None, *CONTROL_VARIATES):
        raise unknown("control variate", control_variate, CONTROL_VARIATES)
    if (name, control_variate) not in _TABLE:
        raise ValueError(
            f"control_variate {control_variate!r} has no meaning with estimator {name!r}; "
            "it is a baseline of 'score_function'"
        )
    estimator = _TABLE[name, control_variate]()
    return estimator if noise == "iid" else antithetic(estimator)
