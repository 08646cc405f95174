"""Options of `sigmaprop evaluate`: a frozen dataclass whose field docstrings are the help."""

import dataclasses
from typing import Literal

from sigmaprop.metrics.records import METRICS

from ..options import check_list, check_ranges, option

Method = Literal["ais", "bdmc", "iwae", "parzen"]
_DEFAULT = ("mmd2", "energy", "kid", "frechet", "precision", "recall", "density", "coverage")


@dataclasses.dataclass(frozen=True)
class EvaluateConfig:
    """Score a finished run of `gan` or `vae` by any metric, and by its likelihood."""

    run: str = ""
    """Directory of a finished run of `gan` or `vae`."""
    metrics: tuple[str, ...] = _DEFAULT
    """Names of metrics, as `sigmaprop list` gives them; not those of mixtures, which the run has.
    None of them: give --metrics without a name."""
    features: str = "pixels"
    """What metrics are measured in: pixels, classifier (trained on the classes of the data), or
    path/to/file.py:function of rows [N, D]."""
    likelihood: tuple[Method, ...] = ()
    """Log-likelihoods of held-out examples, in nats: ais (annealed importance sampling), bdmc (how
    much too small ais may be, measured on examples of the model's own), iwae (of a vae, by its
    q(z|x)), parzen (Goodfellow's window)."""
    seeds: int | None = option(None, within=(1, 10**4))
    """Seeds of the run that are evaluated, its first so many. None: all."""
    weights: Literal["both", "last", "average"] = "both"
    """Whose examples are evaluated: of the last iterate, of the moving average, or of both."""
    held_out: Literal["validation", "test"] = "test"
    """Real examples to score against."""
    num_samples: int = option(1000, within=(32, 10**6))
    """Generated examples behind each score, and held-out ones at most, 32 to 10^6."""
    halves: int = option(20, within=(2, 10**4))
    """Halves of the examples behind a metric's standard error, 2 to 10^4."""
    num_examples: int = option(32, within=(1, 10**6))
    """Held-out examples whose likelihood is estimated, 1 to 10^6; bdmc makes as many of its own,
    and parzen takes --num-samples."""
    num_chains: int = option(16, within=(2, 10**4))
    """ais, bdmc: chains of each example."""
    num_temperatures: int = option(500, within=(2, 10**6))
    """ais, bdmc: temperatures; too few make the estimate too small."""
    schedule: Literal["sigmoid", "linear", "logarithmic"] = "logarithmic"
    """ais, bdmc: how temperatures rise; logarithmic suits a small sigma."""
    importance_samples: int = option(1000, within=(2, 10**7))
    """iwae: draws of z for each example."""
    refit_family: Literal["isotropic", "diagonal", "head"] = "isotropic"
    """The noise that is fitted to validation examples: one number, one for each coordinate, or a
    head, log sigma(z) linear in z."""
    refit_steps: int = option(200, within=(2, 10**6))
    """Steps in which the sigma that suits validation examples best is found for every replica."""
    refit_examples: int = option(128, within=(2, 10**6))
    """Validation examples that it is found by."""
    seed: int = option(0, within=(0, 2**32 - 1))
    """Seed of all draws, 0 to 4294967295."""

    def __post_init__(self) -> None:
        """Checks everything that needs no run; errors name option, value and remedy."""
        check_ranges(EvaluateConfig, vars(self))
        if not self.metrics and not self.likelihood:
            raise ValueError("--metrics and --likelihood are both empty; give at least one name")
        if "bdmc" in self.likelihood and self.num_examples < 2:
            raise ValueError(
                f"--likelihood bdmc measures a spread over examples: --num-examples is "
                f"{self.num_examples}; give 2 or more"
            )
        for name in ("metrics", "likelihood"):
            if getattr(self, name):
                check_list(name, getattr(self, name))
        for name in self.metrics:
            METRICS.check(name)
            if METRICS[name].needs == "mixture":
                raise ValueError(
                    f"--metrics holds {name}, which needs the mixture that the data were drawn "
                    "from; the run itself has it where there is one"
                )


EVALUATE_PRESETS = {"default": EvaluateConfig()}
"""The parser's starting point; the run comes from the command line."""
