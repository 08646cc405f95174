"""Metrics of samples: what a generator draws against held-out data, or against a known mixture.

All are pure functions of arrays, for jit and for vmap over replicas, whose memory is bounded by
working through rows in chunks. Score the mean mu and the noisy x = mu + sigma eps separately: the
metrics answer to noise in different ways. `METRICS` has a record of each, which help, tables,
figures and verdicts read; nothing here imports JAX before a function is looked up.

`real_against_real.null` says what a metric says of two samples of real data.
"""

import importlib
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

from sigmaprop.names import Registry
from sigmaprop.statistics import MARGIN, Scale


class Metric(NamedTuple):
    """What there is to know of a metric.

    Attributes:
        title: what to call it.
        scale: its good end and how two of its values compare.
        meaning: what it measures, in one line.
        score: ``module:function`` of ``(x [N, D], held_out [M, D], reference)``, a value [] or a
            NamedTuple that has one of the metric's name. ``reference`` is an
            `evaluation.Reference`: kernels' bandwidths, a key, the mixture.
        needs: "data" to compare with, for which real data against real data are scored too; or the
            "mixture" that the data were drawn from.
        unit: of its values, as on an axis.
        partial: whether it is undefined for some samples; means are then over the others.
    """

    title: str
    scale: Scale
    meaning: str
    score: str
    needs: Literal["data", "mixture"] = "mixture"
    unit: str = ""
    partial: bool = False

    @property
    def good(self) -> str:
        """Its good end in words."""
        return {
            "smaller": "smaller is better",
            "larger": "larger is better",
            "target": "the nearer to what the truth scores, the better",
        }[self.scale.better]

    @property
    def function(self) -> Callable[..., Any]:
        """The function that ``score`` names."""
        module, _, name = self.score.partition(":")
        return getattr(importlib.import_module(module), name)


_COVERAGE = "sigmaprop.metrics.modes:score"

METRICS = Registry(
    "metric",
    {
        "mmd2": Metric(
            "MMD²",
            Scale("smaller", "ratio", margin=MARGIN),
            "unbiased squared maximum mean discrepancy to held-out data",
            "sigmaprop.metrics.mmd:score",
            needs="data",
            unit="MMD²",
        ),
        "sliced_wasserstein": Metric(
            "sliced Wasserstein",
            Scale("smaller"),
            "to held-out data, 128 directions, in units of x; of finite samples it favours a sigma "
            "that is a little too small",
            "sigmaprop.metrics.sliced_wasserstein:score",
            needs="data",
            unit="units of x",
        ),
        "num_modes": Metric(
            "modes",
            Scale("larger"),
            "modes with at least one example of high quality; blind to the spread within them",
            _COVERAGE,
        ),
        "high_quality": Metric(
            "high quality",
            Scale("larger"),
            "share of examples within 3 std of the nearest mode; collapse onto the modes scores "
            "more than the truth",
            _COVERAGE,
        ),
        "reverse_kl": Metric(
            "reverse KL",
            Scale("smaller"),
            "of the modes' shares to equal ones, in nats",
            _COVERAGE,
            partial=True,
        ),
        "variance_ratio": Metric(
            "variance ratio",
            Scale("target", target=1.0),
            "squared distance to the nearest mode over that of the data",
            _COVERAGE,
            partial=True,
        ),
        "log_likelihood": Metric(
            "log-likelihood",
            Scale("target"),
            "mean log density of examples under the mixture, in nats; collapse onto the modes "
            "scores more than the truth",
            _COVERAGE,
        ),
    },
)
"""Every metric, in the order of tables and of the columns of scores."""


def distances() -> tuple[str, ...]:
    """Names of the metrics that need held-out data alone."""
    return tuple(name for name, metric in METRICS.items() if metric.needs == "data")


def mixture_scores() -> tuple[str, ...]:
    """Names of the metrics that need the mixture which the data were drawn from."""
    return tuple(name for name, metric in METRICS.items() if metric.needs == "mixture")


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
