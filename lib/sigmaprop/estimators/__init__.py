"""Monte Carlo estimators of the gradient of a Gaussian expectation.

``get(name, noise, control_variate)`` builds one; ``names()`` lists them; `sigmaprop.estimate` runs
one on a function of the user's. A label is what the command line writes: the name, then what
follows by plus signs, as in ``score_function+leave_one_out`` or ``pathwise+delta+fitted``.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

from sigmaprop.estimators.antithetic import antithetic
from sigmaprop.estimators.base import AtMean, Estimator, Evaluations, Terms
from sigmaprop.estimators.bonnet_price import bonnet_price
from sigmaprop.estimators.evolution import antithetic_difference, forward_difference
from sigmaprop.estimators.expansion import second_order
from sigmaprop.estimators.measure_valued import measure_valued
from sigmaprop.estimators.mixed import Mixture, inverse_variance, mixed
from sigmaprop.estimators.options import DEFAULTS, Options
from sigmaprop.estimators.pathwise import at_mean, pathwise, pathwise_at_mean, pathwise_delta
from sigmaprop.estimators.quadrature import quadrature
from sigmaprop.estimators.score_function import (
    leave_one_out,
    mean_baseline,
    moving_average,
    score_at_mean,
    score_delta,
    score_function,
)
from sigmaprop.names import unknown
from sigmaprop.noise import check_name as check_noise

__all__ = [
    "CONTROL_VARIATES",
    "DEFAULTS",
    "AtMean",
    "Choice",
    "Estimator",
    "Evaluations",
    "Mixture",
    "Options",
    "Terms",
    "get",
    "labels",
    "names",
    "of_label",
    "parse",
    "sweepable_labels",
]

_TABLE: dict[tuple[str, str | None], Callable[..., Estimator]] = {
    ("pathwise", None): pathwise,
    ("pathwise", "at_mean"): pathwise_at_mean,
    ("pathwise", "delta"): pathwise_delta,
    ("score_function", None): score_function,
    ("score_function", "mean"): mean_baseline,
    ("score_function", "leave_one_out"): leave_one_out,
    ("score_function", "at_mean"): score_at_mean,
    ("score_function", "delta"): score_delta,
    ("score_function", "moving_average"): moving_average,
    ("measure_valued", None): measure_valued,
    ("bonnet_price", None): bonnet_price,
    ("forward_difference", None): forward_difference,
    ("antithetic_difference", None): antithetic_difference,
    ("at_mean", None): at_mean,
    ("second_order", None): second_order,
    ("inverse_variance", None): inverse_variance,
    ("mixed", None): mixed,
    ("quadrature", None): quadrature,
}
CONTROL_VARIATES = ("mean", "leave_one_out", "at_mean", "delta", "moving_average")
"""Control variates; which estimator carries which, `labels` says."""

_FITTED = tuple(pair for pair in _TABLE if pair[1] not in (None, "moving_average"))
_FACTORY_OPTIONS = {"measure_valued": "coupled", "bonnet_price": "probes", "mixed": "gamma"}
_NOISE_OPTIONS = {"randomizations": "sobol", "radius": "orthogonal"}


class Choice(NamedTuple):
    """What a label stands for."""

    name: str
    control_variate: str | None
    options: Options


def names() -> tuple[str, ...]:
    """The estimators' names, without control variates."""
    return tuple(dict.fromkeys(name for name, _ in _TABLE))


def labels() -> tuple[str, ...]:
    """Every estimator with each control variate it can carry, fitted or not, and its variants."""
    found = []
    for pair in _TABLE:
        plain = "+".join(filter(None, pair))
        found.append(plain)
        if pair in _FITTED:
            found.append(f"{plain}+fitted")
        if pair == ("measure_valued", None):
            found.append(f"{plain}+uncoupled")
    return tuple(found)


def sweepable_labels() -> tuple[str, ...]:
    """Those that `sigmaprop.limit.sweep` can measure: functions of f and grad f at the draws."""
    return tuple(label for label in labels() if of_label(label).sweepable)


def parse(label: str) -> Choice:
    """Splits a label into name, control variate and options.

    Raises:
        ValueError: no estimator has this label; the nearest is named.
    """
    if label not in labels():
        raise unknown("estimator", label, labels())
    name, *rest = label.split("+")
    options = Options(fitted="fitted" in rest, coupled="uncoupled" not in rest)
    variates = [word for word in rest if word in CONTROL_VARIATES]
    return Choice(name, variates[0] if variates else None, options)


@functools.cache
def get(
    name: str,
    noise: str = "iid",
    control_variate: str | None = None,
    options: Options = DEFAULTS,
) -> Estimator:
    """The estimator of this name, for a noise scheme, a control variate and options.

    Raises:
        ValueError: a name is unknown (the nearest is named), or the combination has no meaning
            (both sides are named).
    """
    check_noise(noise)
    if name not in names():
        raise unknown("estimator", name, names())
    if control_variate not in (None, *CONTROL_VARIATES):
        raise unknown("control variate", control_variate, CONTROL_VARIATES)
    _check_combination(name, noise, control_variate, options)
    estimator = _build(name, control_variate, options)
    if noise == "antithetic":
        return antithetic(estimator)
    return estimator._replace(noise=noise)


def of_label(label: str, noise: str = "iid") -> Estimator:
    """The estimator that a label stands for, with a noise scheme.

    Raises:
        ValueError: as `parse` and `get`.
    """
    name, variate, options = parse(label)
    return get(name, noise, variate, options)


def _build(name: str, control_variate: str | None, options: Options) -> Estimator:
    factory = _TABLE[name, control_variate]
    if options.fitted:
        return factory(fitted=True)._replace(tags=("fitted",))
    if name in _FACTORY_OPTIONS:
        option = _FACTORY_OPTIONS[name]
        return factory(**{option: getattr(options, option)})
    return factory()


def _check_combination(
    name: str, noise: str, control_variate: str | None, options: Options
) -> None:
    """Refuses what has no meaning, naming both sides."""
    if (name, control_variate) not in _TABLE:
        carriers = [other for other, variate in _TABLE if variate == control_variate]
        raise ValueError(
            f"control_variate {control_variate!r} has no meaning with estimator {name!r}; "
            f"it is one of {' and '.join(map(repr, carriers))}"
        )
    estimator = _TABLE[name, control_variate]()
    if noise != "iid" and estimator.exact is not None:
        raise ValueError(f"noise {noise!r} has no meaning with estimator {name!r}; it draws none")
    if noise == "orthogonal" and name == "measure_valued":
        raise ValueError(
            "noise 'orthogonal' has no meaning with estimator 'measure_valued'; its draws are not "
            "normal, so nothing is orthogonal about them"
        )
    if noise != "iid" and control_variate == "mean" and not options.fitted:
        raise ValueError(
            f"control_variate 'mean' has no meaning with noise {noise!r}; its factor N/(N-1) is "
            "that of independent draws, use 'leave_one_out'"
        )
    _check_options(name, noise, control_variate, options)


def _check_options(name: str, noise: str, control_variate: str | None, options: Options) -> None:
    """Refuses options that nothing reads."""
    read = {
        "fitted": (name, control_variate) in _FITTED,
        "decay": control_variate == "moving_average",
        **{option: name == owner for owner, option in _FACTORY_OPTIONS.items()},
        **{option: noise == owner for option, owner in _NOISE_OPTIONS.items()},
    }
    for option in options.changed():
        if not read[option]:
            variate = "" if control_variate is None else f" and control_variate {control_variate!r}"
            raise ValueError(
                f"option {option} = {getattr(options, option)!r} has no meaning with estimator "
                f"{name!r}, noise {noise!r}{variate}; leave it at its default"
            )
