"""Metrics of samples: what a generator draws against held-out data, or against a known mixture.

All are pure functions of arrays, for jit and for vmap over replicas, whose memory is bounded by
working through rows in chunks. Score the mean mu and the noisy x = mu + sigma eps separately: the
metrics answer to noise in different ways. `METRICS` has a record of each; `preferred_scale` says
which sigma a metric likes best, `sensitivity` how small a change of the data it sees, and `gate`
whether it may judge a comparison of sigmas. Nothing here imports JAX before a function is looked
up.

`real_against_real.null` says what a metric says of two samples of real data.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sigmaprop import lazy
from sigmaprop.metrics.records import METRICS, Metric
from sigmaprop.statistics.scales import Scale

if TYPE_CHECKING:
    from sigmaprop.metrics.gates import Gate, check_primary, gate
    from sigmaprop.metrics.preferred import Preferred, preferred_scale
    from sigmaprop.metrics.sensitivities import Sensitivity, sensitivity

__all__ = [
    "METRICS",
    "Gate",
    "Metric",
    "Preferred",
    "Sensitivity",
    "check_primary",
    "distances",
    "gate",
    "get",
    "mixture_scores",
    "preferred_scale",
    "scale_of",
    "sensitivity",
    "tracked",
]

_HOMES = {
    "Gate": "gates",
    "Preferred": "preferred",
    "Sensitivity": "sensitivities",
    "check_primary": "gates",
    "gate": "gates",
    "preferred_scale": "preferred",
    "sensitivity": "sensitivities",
}


def distances() -> tuple[str, ...]:
    """Names of the metrics that a run tracks and that need held-out data alone."""
    return tuple(name for name in tracked() if METRICS[name].needs == "data")


def mixture_scores() -> tuple[str, ...]:
    """Names of the metrics that need the mixture which the data were drawn from."""
    return tuple(name for name in tracked() if METRICS[name].needs == "mixture")


def tracked() -> tuple[str, ...]:
    """Names of the metrics that are scored during a run."""
    return tuple(name for name, metric in METRICS.items() if metric.tracked)


def get(name: str) -> Metric:
    """The metric of this name.

    Raises:
        ValueError: unknown metric; the nearest is named.
    """
    return METRICS[name]


def scale_of(metric: str, ideal: Mapping[str, float]) -> Scale:
    """How values of a metric compare in a run whose truth scores ``ideal``."""
    scale = get(metric).scale
    if scale.better != "target":
        return scale
    return scale._replace(target=float(ideal.get(metric, scale.target)))


__getattr__, __dir__ = lazy.attach(__name__, _HOMES)
