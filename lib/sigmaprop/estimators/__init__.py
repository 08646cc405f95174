"""Monte Carlo estimators of the gradient of a Gaussian expectation.

``get(name, noise, control_variate)`` builds one; ``names()`` lists them; `sigmaprop.estimate` runs
one on a function of the user's. `ESTIMATORS` has a record of each, which help, listings, figures
and `advise` read; a new one joins by ``ESTIMATORS.register(label, Record(...))``.

Everything is imported when it is first used: reading the records does not import JAX.
"""

from typing import TYPE_CHECKING

from sigmaprop import lazy

if TYPE_CHECKING:
    from sigmaprop.estimators.base import AtMean, Estimator, Evaluations, Terms
    from sigmaprop.estimators.mixed import Mixture
    from sigmaprop.estimators.options import DEFAULTS, Options
    from sigmaprop.estimators.records import (
        CONTROL_VARIATES,
        ESTIMATORS,
        Record,
        labels,
        names,
        record_of,
        sweepable_labels,
    )
    from sigmaprop.estimators.registry import Choice, get, of_label, parse

_HOMES = {
    "base": "AtMean Estimator Evaluations Terms",
    "mixed": "Mixture",
    "options": "DEFAULTS Options",
    "records": "CONTROL_VARIATES ESTIMATORS Record labels names record_of sweepable_labels",
    "registry": "Choice get of_label parse",
}

__all__ = [
    "CONTROL_VARIATES",
    "DEFAULTS",
    "ESTIMATORS",
    "AtMean",
    "Choice",
    "Estimator",
    "Evaluations",
    "Mixture",
    "Options",
    "Record",
    "Terms",
    "get",
    "labels",
    "names",
    "of_label",
    "parse",
    "record_of",
    "sweepable_labels",
]

__getattr__, __dir__ = lazy.attach(
    __name__, {name: home for home, names in _HOMES.items() for name in names.split()}
)
