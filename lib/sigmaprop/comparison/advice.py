"""Which estimator suits a function: a pilot of them all, with the evidence.

Each candidate gets the same number of evaluations. Their variances and costs say which is most
efficient; disagreement between them says which are wrong. Pathwise misses what a jump adds, and the
score function does not: where they differ beyond their errors, f jumps. Price's rule misses what a
kink adds, and pathwise does not: where they differ, f has kinks.

A clock is noisy, above all on a busy machine. The candidates are timed in rounds, each once in
every round, and the clock decides only if all rounds, and their medians, name the same candidate as
the best; else work is counted in evaluations of f.
"""

import collections
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from sigmaprop import estimators
from sigmaprop.comparison.pilot import Evidence, allowed, pilot, timed
from sigmaprop.comparison.rows import parts
from sigmaprop.counts import shown, whole_number
from sigmaprop.estimators import record_of
from sigmaprop.gaussians import Gaussian
from sigmaprop.gaussians.flattening import flatten
from sigmaprop.noise import check_key

LEVEL = 1e-3
"""Chance that a smooth function is called jumping, or kinked, by mistake."""
LEAST_BUDGET = 10_000

_BLIND = (
    "All this holds at this mean and scale alone: a kink or jump 3 standard deviations from the "
    "mean is passed by 1 draw in 741 and may go unseen; ask again nearer to it."
)
"""P(eps > 3) = 1/741."""

_SCORE = ("score_function+leave_one_out", "iid")
_PATHWISE = ("pathwise", "iid")
_PRICE = ("bonnet_price", "iid")


class Disagreement(NamedTuple):
    """How far apart two candidates are.

    Attributes:
        deviation: the largest difference of a coordinate, in its standard errors.
        threshold: what chance alone exceeds with a probability of `LEVEL`.
        resolution: the smallest share of the gradient's length that it could have shown.
    """

    deviation: float
    threshold: float
    resolution: float

    @property
    def found(self) -> bool:
        """Whether they differ by more than chance."""
        return self.deviation > self.threshold


class Advice(NamedTuple):
    """What `advise` recommends.

    Attributes:
        estimator, noise, control_variate, options: arguments for `sigmaprop.estimate`.
        chosen: the recommended candidate.
        evidence: all candidates, the best first.
        jump: pathwise against score function; None where f cannot be differentiated.
        kink: Price's rule against pathwise; None where it was not tried.
        reasons: sentences for people.
        ranked_by: what a point x costs: "time" (seconds), "evaluations" (of f, where the clock was
            too noisy to decide) or "operations" (without a clock, as the compiler counts them).
    """

    estimator: str
    noise: str
    control_variate: str | None
    options: estimators.Options
    chosen: Evidence
    evidence: tuple[Evidence, ...]
    jump: Disagreement | None
    kink: Disagreement | None
    reasons: tuple[str, ...]
    ranked_by: str

    def relative_error(self, num_samples: int) -> dict[str, float]:
        """Expected error of each part in units of its length, at so many points x.

        It falls as num_samples^(-1/2); that of sobol nets falls faster from the size of the pilot.
        """
        sizes = _sizes(self.chosen.gradient)
        return {
            part: math.sqrt(variance / num_samples) / sizes[part] if sizes[part] > 0 else math.inf
            for part, variance in self.chosen.variance.items()
        }


def advise(
    f: Callable[[Any], Array],
    gaussian: Gaussian,
    key: Key[Array, ""],
    budget: int = 2**20,
    *,
    clock: Callable[[], float] | None = None,
    progress: Callable[[str], None] = lambda what: None,
) -> Advice:
    """Pilots the estimators on a function and says which to use.

    Args:
        f: maps x to a scalar.
        gaussian: where, any of the four families; its mean may be a pytree.
        key: typed key of the pilot.
        budget: evaluations of f, its gradient or its curvature for the whole pilot.
        clock: returns seconds, to time the candidates by; compiling is not timed. Where its rounds
            disagree about the best, cost is counted in evaluations of f. None: in operations as the
            compiler counts them, so that the same call gives the same advice.
        progress: called with the candidate that is next, or the round of the clock.

    Returns:
        `Advice`. The choice is the candidate whose worst part (mean, scale, factor) needs least
        work, relative to the best for that part, among those that show no bias.

    Raises:
        ValueError: a budget that is no whole number of at least 10000, or f (which must map x to a
            scalar), the Gaussian or the key are refused; or no candidate gave finite numbers.

    Example:
        >>> import jax, jax.numpy as jnp, sigmaprop
        >>> gaussian = sigmaprop.Isotropic(jnp.array([0.2, -0.1]), jnp.array(0.3))
        >>> found = sigmaprop.advise(
        ...     lambda x: jnp.sum(jnp.sign(x)), gaussian, jax.random.key(0), 100_000)
        >>> found.jump.found
        True
    """
    budget = whole_number("budget", budget, LEAST_BUDGET)
    check_key(key)
    flat, unravel, _ = flatten(gaussian)
    inner = lambda x: f(unravel(x))  # noqa: E731
    _check_scalar(f, inner, flat.mean)
    names = allowed(f, inner, flat)
    share = max(1, budget // len(names))
    pilots = {}
    for label, noise in names:
        progress(label if noise == "iid" else f"{label} ({noise})")
        pilots[label, noise] = pilot(inner, flat, key, label, noise, share)
    found = {pair: one.evidence for pair, one in pilots.items()}
    if clock is not None:
        found = timed(pilots, clock, progress)
    jump, kink = _disagreements(found)
    judged = [_judged(one, jump, kink) for one in found.values()]
    if all(one.trouble for one in judged):
        raise ValueError("no estimator gave finite numbers; choose another mean or a smaller scale")
    ranked, ranked_by, sentences = _ranking(judged)
    chosen = ranked[0]
    name, variate, options = estimators.parse(chosen.label)
    return Advice(
        name,
        chosen.noise,
        variate,
        options,
        chosen,
        tuple(ranked),
        jump,
        kink,
        (*_reasons(chosen, ranked, jump, kink, found), *sentences, _BLIND),
        ranked_by,
    )


def _check_scalar(f: Any, inner: Callable[[Array], Any], mean: Array) -> None:
    """Refuses what is no function to a floating scalar."""
    if not callable(f):
        raise ValueError(f"f is {shown(f)}; it must be a function of x")
    out = jax.eval_shape(inner, mean)
    is_scalar = isinstance(out, jax.ShapeDtypeStruct) and out.shape == ()
    if not is_scalar or not jnp.issubdtype(out.dtype, jnp.floating):
        raise ValueError(f"f must map x to a floating scalar, not to {out}")


def _ranking(judged: list[Evidence]) -> tuple[list[Evidence], str, list[str]]:
    """The candidates, the best first; what their cost is counted in, and a sentence about it."""
    if not judged[0].seconds:
        return _ranked(judged), "operations", []
    rounds = [
        _ranked([one.at_cost(s) for one, s in zip(judged, every, strict=True)])
        for every in zip(*(one.seconds for one in judged), strict=True)
    ]
    median = _ranked([one.at_cost(float(np.median(one.seconds))) for one in judged])
    winners = collections.Counter(ranked[0].name for ranked in rounds)
    if set(winners) == {median[0].name}:
        sentence = (
            f"Work is variance x time: all {len(rounds)} rounds of the clock named the same best."
        )
        return median, "time", [sentence]
    named = ", ".join(f"{name} in {count}" for name, count in winners.most_common())
    sentence = (
        f"The clock was too noisy to decide (it named as the best {named} of {len(rounds)} "
        "rounds), so work is variance x evaluations of f."
    )
    counted = [one.at_cost(one.evaluations_a_sample) for one in judged]
    return _ranked(counted), "evaluations", [sentence]


def _ranked(judged: list[Evidence]) -> list[Evidence]:
    """By the work of the worst part, relative to the best's; those in trouble last."""
    usable = [one for one in judged if not one.trouble]
    best = {part: min(one.work[part] for one in usable) for part in usable[0].work}
    return sorted(judged, key=lambda one: (bool(one.trouble), _regret(one, best)))


def _disagreements(
    found: dict[tuple[str, str], Evidence],
) -> tuple[Disagreement | None, Disagreement | None]:
    """(pathwise against score function in all parts, Price against pathwise but in the mean)."""
    jump = kink = None
    if _PATHWISE in found:
        jump = _compare(found[_PATHWISE], found[_SCORE], with_mean=True)
    if _PRICE in found:
        kink = _compare(found[_PRICE], found[_PATHWISE], with_mean=False)
    return jump, kink


def _compare(left: Evidence, right: Evidence, *, with_mean: bool) -> Disagreement:
    """Coordinate by coordinate, with a Bonferroni threshold; the pilots share their noise.

    Sharing makes the errors of the two dependent, their difference's error at most the sum.
    """
    from scipy.stats import norm

    deviations, shares = [], []
    for part, gradient in parts(left.gradient).items():
        if part == "mean" and not with_mean:
            continue
        other = parts(right.gradient)[part]
        error = parts(left.error)[part] + parts(right.error)[part]
        known = np.isfinite(error) & (error > 0)
        deviations.append(np.abs(gradient - other)[known] / error[known])
        size = np.linalg.norm(other)
        if size > 0:
            shares.append(float(np.linalg.norm(np.where(known, error, 0)) / size))
    every = np.concatenate([np.ravel(d) for d in deviations])
    threshold = float(norm.isf(LEVEL / (2 * max(1, every.size))))
    worst = float(every.max()) if every.size else 0.0
    return Disagreement(worst, threshold, threshold * min(shares, default=math.inf))


def _judged(one: Evidence, jump: Disagreement | None, kink: Disagreement | None) -> Evidence:
    """With what is wrong about it."""
    if one.trouble:
        return one
    derivatives = record_of(one.label).derivatives
    if jump is not None and jump.found and derivatives > 0:
        return one._replace(trouble="jump")
    if kink is not None and kink.found and derivatives == 2:
        return one._replace(trouble="kink")
    return one


def _regret(one: Evidence, best: dict[str, float]) -> float:
    """How many times the best's work its worst part needs."""
    ratios = [
        work / best[part] if best[part] > 0 else (1.0 if work == 0 else math.inf)
        for part, work in one.work.items()
    ]
    return max(ratio if math.isfinite(ratio) else math.inf for ratio in ratios)


def _sizes(gradient: Any) -> dict[str, float]:
    return {part: float(np.linalg.norm(np.ravel(leaf))) for part, leaf in parts(gradient).items()}


def _reasons(
    chosen: Evidence,
    ranked: list[Evidence],
    jump: Disagreement | None,
    kink: Disagreement | None,
    found: dict[tuple[str, str], Evidence],
) -> list[str]:
    """The evidence in sentences."""
    reasons = []
    if jump is None:
        reasons.append(
            "f cannot be differentiated here, so only estimators of its values were tried."
        )
    elif jump.found:
        reasons.append(
            f"f jumps: pathwise and score function differ by {jump.deviation:.1f} standard errors "
            f"where chance gives at most {jump.threshold:.1f}; whatever differentiates f misses "
            "what the jumps add."
        )
    else:
        reasons.append(f"No jump was found; {_unseen(jump, 'of the gradient')}.")
    if kink is not None and not (jump is not None and jump.found):
        reasons.append(
            f"f has kinks: Price's rule and pathwise differ by {kink.deviation:.1f} standard "
            "errors in the scale; do not use bonnet_price or second_order."
            if kink.found
            else f"No kink was found; {_unseen(kink, 'of the gradient to the scale')}."
        )
    if _PRICE not in found and jump is not None:
        reasons.append("Price's rule was not tried: f has no second derivative, or x is too long.")
    others = [one for one in ranked[1:] if not one.trouble]
    if others:
        factor = max(
            (other / mine if mine > 0 else math.inf)
            for mine, other in zip(chosen.work.values(), others[0].work.values(), strict=True)
        )
        reasons.append(
            f"The next best, {others[0].name}, needs up to {factor:.1f} times its work for one of "
            "the parts."
            if math.isfinite(factor)
            else f"The next best, {others[0].name}, has noise in a part where it has none."
        )
    return reasons


def _unseen(gap: Disagreement, whole: str) -> str:
    """What would have been missed."""
    if not math.isfinite(gap.resolution):
        return f"as {whole[3:]} is 0 there is nothing to say how small a one would have been"
    return f"one that adds less than {gap.resolution:.0%} {whole} would not have been"
