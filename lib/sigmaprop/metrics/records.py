"""Every metric as one record, which help, tables, figures, gates and verdicts read.

Nothing here imports JAX before a function is looked up.
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from sigmaprop.names import Registry, resolve
from sigmaprop.statistics.scales import MARGIN, Scale


class Metric(NamedTuple):
    """What there is to know of a metric.

    Attributes:
        title: what to call it.
        scale: its good end and how two of its values compare.
        meaning: what it measures, in one line.
        score: ``module:function`` of ``(x [N, D], held_out [M, D], reference)``, a value [] or a
            NamedTuple that has one of the metric's name. ``reference`` is an
            `evaluation.Reference`: kernels' bandwidths, a key, the training rows, the mixture.
        needs: "data" to compare with, for which real data against real data are scored too; the
            "train"ing rows beside them; or the "mixture" that the data were drawn from.
        unit: of its values, as on an axis.
        partial: whether it is undefined for some samples; means are then over the others.
        tracked: whether `sigmaprop gan` scores it during the run; `sigmaprop evaluate` scores any.
    """

    title: str
    scale: Scale
    meaning: str
    score: str
    needs: Literal["data", "train", "mixture"] = "mixture"
    unit: str = ""
    partial: bool = False
    tracked: bool = True

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
        return resolve(self.score)


def _shown(
    title: str, scale: Scale, meaning: str, score: str, unit: str = "", needs: str = "data"
) -> Metric:
    """A metric of data that is measured where it is asked for."""
    score = f"sigmaprop.metrics.{score}"
    return Metric(title, scale, meaning, score, needs, unit, tracked=False)  # pyright: ignore


_COVERAGE = "sigmaprop.metrics.modes:score"
_PRDC, _SINKHORN, _FLD, _BINS = "prdc:score", "sinkhorn:score", "fld:score", "bins:score"

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
        "mmd2_biased": _shown(
            "biased MMD²",
            Scale("smaller"),
            "squared maximum mean discrepancy with pairs of equal index; its bias depends on sigma",
            "mmd:biased_score",
            "MMD²",
        ),
        "kid": _shown(
            "KID",
            Scale("smaller"),
            "unbiased MMD² under the cubic kernel (x'y / D + 1)³: moments up to the third",
            "kid:score",
            "MMD²",
        ),
        "energy": _shown(
            "energy distance",
            Scale("smaller"),
            "unbiased: twice the mean distance between samples less those within them",
            "energy:score",
            "units of x",
        ),
        "frechet": _shown(
            "Fréchet distance",
            Scale("smaller"),
            "between Gaussians of the same means and covariances; biased by about D² / N",
            "frechet:score",
            "squared units of x",
        ),
        "precision": _shown(
            "precision",
            Scale("larger"),
            "share of examples within reach of a held-out one, by its third neighbour; samples "
            "without noise score more than the truth",
            _PRDC,
        ),
        "recall": _shown(
            "recall",
            Scale("larger"),
            "share of held-out examples within reach of a generated one; samples with too much "
            "noise score more than the truth",
            _PRDC,
        ),
        "density": _shown(
            "density",
            Scale("larger"),
            "mean number of held-out neighbourhoods around an example, over k; grows as samples "
            "move together",
            _PRDC,
        ),
        "coverage": _shown(
            "coverage",
            Scale("larger"),
            "share of held-out neighbourhoods that hold an example; above 8 dimensions it prefers "
            "samples that are too close together",
            _PRDC,
        ),
        "entropic_transport": _shown(
            "entropic transport",
            Scale("smaller"),
            "Wasserstein distance W2 by an entropic plan; of finite samples it prefers far too "
            "small a sigma",
            _SINKHORN,
            "units of x",
        ),
        "sinkhorn": _shown(
            "Sinkhorn divergence",
            Scale("smaller"),
            "transport cost less those within the samples; of finite samples it prefers too small "
            "a sigma",
            _SINKHORN,
            "squared units of x",
        ),
        "fld": _shown(
            "FLD",
            Scale("smaller"),
            "nats per 100 dimensions that held-out examples lose under Gaussians around the "
            "generated ones, fitted to training data",
            _FLD,
            "nats / 100 D",
            "train",
        ),
        "fld_gap": _shown(
            "FLD gap",
            Scale("target", target=0.0),
            "log density of held-out examples less that of training ones, in the same unit; far "
            "below 0 where the generator copies",
            _FLD,
            "nats / 100 D",
            "train",
        ),
        "ndb": _shown(
            "NDB",
            Scale("smaller"),
            "share of k-means cells of the training data whose proportions differ at level .05",
            _BINS,
            needs="train",
        ),
        "bins_js": _shown(
            "bins' JS",
            Scale("smaller"),
            "Jensen-Shannon divergence between the proportions in these cells, in nats",
            _BINS,
            "nats",
            "train",
        ),
        "c2st": _shown(
            "classifier test",
            Scale("target", target=0.5),
            "held-out accuracy of a nearest-neighbour classifier of generated against real; 1/2 "
            "is perfect",
            "two_sample:score",
        ),
        "c_t": _shown(
            "C_T",
            Scale("target", target=0.0),
            "z-score of generated against held-out distances to training data; far below 0 where "
            "the generator copies",
            "copying:score",
            needs="train",
        ),
    },
)
"""Every metric, in the order of tables; those that are tracked in that of columns of scores."""
