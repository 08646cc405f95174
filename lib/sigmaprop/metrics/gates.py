"""Whether a metric may judge a comparison of sigmas: it must prefer none, and see a change.

A metric that fails can be shown. It cannot be the primary metric of a comparison.
"""

from typing import Any, NamedTuple

import jax
from jaxtyping import Array, Float, Key

from sigmaprop.metrics.preferred import Preferred, preferred_scale
from sigmaprop.metrics.records import METRICS
from sigmaprop.metrics.scoring import Features
from sigmaprop.metrics.sensitivities import POWER, Sensitivity, sensitivity
from sigmaprop.statistics import judge
from sigmaprop.statistics.verdicts import Verdict

ALLOWED = (0.97, 1.03)
"""The preferred scale's interval must lie in here."""
LARGEST_CHANGE = 0.2
"""A change of the finest scale by so much must be seen, with power `POWER`."""


class Gate(NamedTuple):
    """A metric at the gate.

    Attributes:
        name: of the metric.
        preferred: the scale that it likes best.
        sensitivity: the least change that it sees; None where no reference was given.
        verdict: of the preferred scale, "holds" where its interval lies in `ALLOWED`.
        reasons: why it is refused, a sentence each; none where it passes.
    """

    name: str
    preferred: Preferred
    sensitivity: Sensitivity | None
    verdict: Verdict
    reasons: tuple[str, ...]

    @property
    def passes(self) -> bool:
        """Whether it may be a primary metric."""
        return not self.reasons


def gate(
    name: str,
    dim: int,
    num_samples: int,
    key: Key[Array, ""],
    reference: Float[Any, "R D"] | None = None,
    *,
    noise: float | None = None,
    finest: float | None = None,
    means: Float[Any, "K D"] | None = None,
    num_held_out: int | None = None,
    features: Features | None = None,
) -> Gate:
    """Measures a metric at the study's own sizes, data and features, and judges it.

    Without a reference the data are Gaussian, and the sensitivity is not asked for.

    Args:
        name: of a metric, see `METRICS`.
        dim: D of Gaussian data.
        num_samples: generated examples of the study.
        key: of all draws.
        reference: rows of the study's own data.
        noise: std of the noise that is added to them; None: the finest scale.
        finest: see `sensitivity`.
        means: see `sensitivity`.
        num_held_out: held-out rows of the study.
        features: what the metric is measured in.

    Raises:
        ValueError: unknown metric, or too few rows.
    """
    seen = None
    if reference is not None:
        seen = sensitivity(
            name,
            reference,
            num_samples,
            jax.random.fold_in(key, 1),
            finest=finest,
            means=means,
            num_held_out=num_held_out,
            features=features,
        )
        noise = seen.finest if noise is None else noise
    preferred = preferred_scale(
        name,
        dim,
        num_samples if reference is None else min(num_samples, len(reference) // 3),
        jax.random.fold_in(key, 0),
        reference,
        noise=1.0 if noise is None else noise,
        finest=finest,
        features=features,
    )
    return judged(name, preferred, seen)


def judged(name: str, preferred: Preferred, seen: Sensitivity | None = None) -> Gate:
    """The gate of a metric whose preference and sensitivity are known."""
    title, found = METRICS[name].title, preferred.measured
    verdict = judge(found, *ALLOWED)
    reasons = []
    if verdict != "holds":
        low, high = ALLOWED
        reasons.append(
            f"{title} prefers a sigma of {preferred.at_end}{found.value:.3g} "
            f"[{found.low:.3g}, {found.high:.3g}] times the right one, where the interval must lie "
            f"in [{low}, {high}]"
        )
    if seen is not None and not seen.change <= LARGEST_CHANGE:
        least = f"{seen.change:.0%}" if seen.change < 1 else "more than 80%"
        reasons.append(
            f"{title} sees changes of the data's finest scale of {least} with power {POWER}, where "
            f"{LARGEST_CHANGE:.0%} must be seen"
        )
    return Gate(name, preferred, seen, verdict, tuple(reasons))


def check_primary(found: Gate) -> None:
    """Refuses a primary metric that failed.

    Raises:
        ValueError: with the numbers that it failed by.
    """
    if found.reasons:
        raise ValueError(
            f"{found.name} cannot be a primary metric: {'; '.join(found.reasons)}; it can be shown"
        )
