"""Building an estimator from its name, a noise scheme, a control variate and options."""

import functools
from typing import NamedTuple

from sigmaprop.estimators.antithetic import antithetic
from sigmaprop.estimators.base import Estimator
from sigmaprop.estimators.options import DEFAULTS, Options
from sigmaprop.estimators.records import CONTROL_VARIATES, ESTIMATORS, Record, labels, names
from sigmaprop.names import resolve, unknown
from sigmaprop.noise import SCHEMES

_NOISE_OPTIONS = {"randomizations": "sobol", "radius": "orthogonal"}


class Choice(NamedTuple):
    """What a label stands for."""

    name: str
    control_variate: str | None
    options: Options


def parse(label: str) -> Choice:
    """Splits a label into name, control variate and options.

    Raises:
        ValueError: no estimator has this label; the nearest is named.
    """
    if label not in labels():
        raise unknown("estimator", label, labels())
    name, *rest = label.split("+")
    options = Options(fitted="fitted" in rest, coupled="uncoupled" not in rest)
    return Choice(name, next((w for w in rest if w in CONTROL_VARIATES), None), options)


def of_label(label: str, noise: str = "iid") -> Estimator:
    """The estimator that a label stands for, with a noise scheme.

    Raises:
        ValueError: as `parse` and `get`.
    """
    name, variate, options = parse(label)
    return get(name, noise, variate, options)


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
    SCHEMES.check(noise)
    if name not in names():
        raise unknown("estimator", name, names())
    if control_variate not in (None, *CONTROL_VARIATES):
        raise unknown("control variate", control_variate, CONTROL_VARIATES)
    record = ESTIMATORS.get("+".join(filter(None, (name, control_variate))))
    if record is None:
        carriers = [
            one.partition("+")[0] for one in ESTIMATORS if one.endswith(f"+{control_variate}")
        ]
        raise ValueError(
            f"control_variate {control_variate!r} has no meaning with estimator {name!r}; "
            f"it is one of {' and '.join(map(repr, carriers))}"
        )
    make = resolve(record.make, __package__)
    _check_noise(make(), name, noise, control_variate, options)
    _check_options(record, name, noise, control_variate, options)
    if options.fitted:
        estimator = make(fitted=True)._replace(tags=("fitted",))
    elif record.option:
        estimator = make(**{record.option: getattr(options, record.option)})
    else:
        estimator = make()
    return antithetic(estimator) if noise == "antithetic" else estimator._replace(noise=noise)


def _check_noise(
    estimator: Estimator, name: str, noise: str, control_variate: str | None, options: Options
) -> None:
    """Refuses noise that has no meaning for an estimator, naming both sides."""
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


def _check_options(
    record: Record, name: str, noise: str, control_variate: str | None, options: Options
) -> None:
    """Refuses options that nothing reads."""
    read = {record.option, *(option for option, owner in _NOISE_OPTIONS.items() if noise == owner)}
    read |= {"fitted"} if record.fits else set()
    read |= {"decay"} if control_variate == "moving_average" else set()
    for option in options.changed():
        if option not in read:
            variate = "" if control_variate is None else f" and control_variate {control_variate!r}"
            raise ValueError(
                f"option {option} = {getattr(options, option)!r} has no meaning with estimator "
                f"{name!r}, noise {noise!r}{variate}; leave it at its default"
            )
