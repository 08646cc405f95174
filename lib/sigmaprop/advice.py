"""Which estimator suits a function: a pilot of them all, with the evidence.

Each candidate gets the same number of evaluations. Their variances and costs say which is most
efficient; disagreement between them says which are wrong. Pathwise misses what a jump adds, and the
score function does not: where they differ beyond their errors, f jumps. Price's rule misses what a
kink adds, and pathwise does not: where they differ, f has kinks.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Key

from sigmaprop import estimators
from sigmaprop.comparison.cells import median_seconds
from sigmaprop.comparison.rows import parts
from sigmaprop.estimation import check_smoothness, estimate
from sigmaprop.estimators import Estimator
from sigmaprop.gaussian import Gaussian
from sigmaprop.pytrees import flatten

LEVEL = 1e-3
"""Chance that a smooth function is called jumping, or kinked, by mistake."""
LEAST_BUDGET = 10_000
_SOBOL_SAMPLES = 1024
_MOST_REPLICATES = 64
_TIMED = 3
_MOST_EXACT_DIM = 4096

CANDIDATES = (
    ("pathwise", "iid"),
    ("pathwise", "antithetic"),
    ("pathwise", "orthogonal"),
    ("pathwise", "sobol"),
    ("pathwise+at_mean", "iid"),
    ("pathwise+delta", "iid"),
    ("bonnet_price", "iid"),
    ("score_function+leave_one_out", "iid"),
    ("score_function+leave_one_out", "antithetic"),
    ("score_function+delta", "iid"),
    ("forward_difference", "orthogonal"),
    ("measure_valued", "iid"),
    ("mixed", "iid"),
)
_VALUES_ONLY = ("score_function", "forward_difference", "measure_valued")
_SCORE = ("score_function+leave_one_out", "iid")
_PATHWISE = ("pathwise", "iid")
_PRICE = ("bonnet_price", "iid")


class Evidence(NamedTuple):
    """What the pilot showed of one candidate.

    Attributes:
        label, noise: which.
        num_samples: points x of one estimate; the variance of a sobol net depends on it.
        evaluations: of f, its gradient or a product with its Hessian, in the pilot.
        cost: of one point x: seconds with a clock, else operations by the compiler's count.
        gradient: Gaussian-shaped estimate.
        error: its Gaussian-shaped standard errors.
        variance: for each part of the Gaussian, num_samples x Var(estimate), summed.
        work: for each part, variance x cost: the less the better; 1 / efficiency.
        trouble: why it must not be used here: "jump" and "kink" for what it misses, "not finite",
            or "".
    """

    label: str
    noise: str
    num_samples: int
    evaluations: int
    cost: float
    gradient: Any
    error: Any
    variance: dict[str, float]
    work: dict[str, float]
    trouble: str = ""

    @property
    def name(self) -> str:
        """Label and noise scheme."""
        return self.label if self.noise == "iid" else f"{self.label} ({self.noise})"


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
        clock: returns seconds, to time the candidates by. None: cost is counted in operations as
            the compiler counts them, so that the same call gives the same advice.
        progress: called with the candidate that is next.

    Returns:
        `Advice`. The choice is the candidate whose worst part (mean, scale, factor) needs least
        work, relative to the best for that part, among those that show no bias.

    Raises:
        ValueError: a budget below 10000, or f or the Gaussian are refused by `sigmaprop.estimate`;
            or no candidate gave finite numbers.

    Example:
        >>> import jax, jax.numpy as jnp, sigmaprop
        >>> gaussian = sigmaprop.Isotropic(jnp.array([0.2, -0.1]), jnp.array(0.3))
        >>> found = sigmaprop.advise(
        ...     lambda x: jnp.sum(jnp.sign(x)), gaussian, jax.random.key(0), 100_000)
        >>> found.jump.found
        True
    """
    if budget < LEAST_BUDGET:
        raise ValueError(f"budget is {budget}; it must be at least {LEAST_BUDGET} evaluations")
    flat, unravel, _ = flatten(gaussian)
    inner = lambda x: f(unravel(x))  # noqa: E731
    names = _candidates(f, inner, flat)
    share = max(1, budget // len(names))
    found = {}
    for label, noise in names:
        progress(label if noise == "iid" else f"{label} ({noise})")
        found[label, noise] = _pilot(inner, flat, key, label, noise, share, clock)
    jump, kink = _disagreements(found)
    judged = [_judged(one, jump, kink) for one in found.values()]
    usable = [one for one in judged if not one.trouble]
    if not usable:
        raise ValueError("no estimator gave finite numbers; choose another mean or a smaller scale")
    best = {part: min(one.work[part] for one in usable) for part in usable[0].work}
    ranked = sorted(judged, key=lambda one: (bool(one.trouble), _regret(one, best)))
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
        tuple(_reasons(chosen, ranked, jump, kink, found)),
    )


def _candidates(
    f: Any, inner: Callable[[Array], Array], gaussian: Gaussian
) -> list[tuple[str, str]]:
    """Those that f's derivatives, smoothness and dimension allow."""
    try:
        jax.eval_shape(jax.grad(inner), gaussian.mean)
    except Exception:  # whatever an undifferentiable f raises
        allowed = [pair for pair in CANDIDATES if _plain(pair[0]) in _VALUES_ONLY]
        return [pair for pair in allowed if "delta" not in pair[0]]
    found = []
    for label, noise in CANDIDATES:
        expands = "delta" in label or label == "bonnet_price"
        if expands and gaussian.noise_dim > _MOST_EXACT_DIM:
            continue
        try:
            check_smoothness(f, estimators.of_label(label, noise))
        except ValueError:
            continue
        found.append((label, noise))
    return found


def _plain(label: str) -> str:
    return label.partition("+")[0]


def _pilot(
    f: Callable[[Array], Array],
    gaussian: Any,
    key: Array,
    label: str,
    noise: str,
    share: int,
    clock: Callable[[], float] | None,
) -> Evidence:
    """One candidate within its share of the evaluations."""
    chosen = estimators.of_label(label, noise)
    name, variate, options = estimators.parse(label)
    count = _samples(chosen, gaussian.noise_dim, share)

    def run(gaussian: Any, key: Array) -> tuple[Any, Any]:
        found = estimate(
            f,
            gaussian,
            key,
            count,
            estimator=name,
            noise=noise,
            control_variate=variate,
            options=options,
        )
        return found.gradient, found.variance

    # A large net would flatter itself: it is tried at a size that training uses, many times.
    replicates = min(_MOST_REPLICATES, max(1, share // count)) if noise == "sobol" else 1
    keys = jax.random.split(key, replicates)
    program = jax.jit(jax.vmap(run, in_axes=(None, 0))).lower(gaussian, keys).compile()
    found = jax.device_get(jax.block_until_ready(program(gaussian, keys)))
    gradient, variance = jax.tree.map(lambda leaf: leaf.astype(np.float64).mean(axis=0), found)
    if clock is None:
        cost = _operations(f, gaussian, chosen)
    else:
        seconds = median_seconds(lambda: program(gaussian, keys), clock, _TIMED)
        cost = seconds / (count * replicates)
    error = jax.tree.map(lambda leaf: np.sqrt(leaf / (count * replicates)), variance)
    total = {part: float(np.sum(leaf)) for part, leaf in parts(variance).items()}
    work = {part: value * cost for part, value in total.items()}
    draws = replicates * count // chosen.samples_per_draw
    evaluations = draws * chosen.evaluations(gaussian.noise_dim)
    trouble = "" if all(map(math.isfinite, work.values())) else "not finite"
    return Evidence(label, noise, count, evaluations, cost, gradient, error, total, work, trouble)


def _samples(chosen: Estimator, noise_dim: int, share: int) -> int:
    """Points x that a share of the evaluations pays for, in whole units; at least a few."""
    each = chosen.evaluations(noise_dim) / chosen.samples_per_draw
    count = max(64, int(share / each))
    if chosen.noise == "sobol":
        return _SOBOL_SAMPLES
    if chosen.noise == "orthogonal":
        return max(4, count // noise_dim) * noise_dim
    return count - count % 2


def _operations(f: Callable[[Array], Array], gaussian: Any, chosen: Estimator) -> float:
    """Floating-point operations for one point x: noise, then evaluations, by the compiler."""
    x = gaussian.mean
    if chosen.name == "bonnet_price":
        one = _count(lambda x: jax.jvp(jax.grad(f), (x,), (x,)), x)
    elif "gradient" in chosen.knows or "delta" in chosen.label:
        one = _count(jax.value_and_grad(f), x)
    else:
        one = _count(f, x)
    noise = 30.0 * chosen.columns(gaussian.noise_dim)
    draw = noise + chosen.evaluations(gaussian.noise_dim) * one
    return draw / chosen.samples_per_draw


def _count(function: Callable[[Array], Any], x: Array) -> float:
    analysis = jax.jit(function).lower(x).compile().cost_analysis() or {}
    operations = analysis.get("flops", 0.0) + 10.0 * analysis.get("transcendentals", 0.0)
    return max(float(operations), float(x.size))


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
    name = _plain(one.label)
    differentiates = name not in _VALUES_ONLY
    if jump is not None and jump.found and differentiates:
        return one._replace(trouble="jump")
    if kink is not None and kink.found and name == "bonnet_price":
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
    told = []
    if jump is None:
        told.append("f cannot be differentiated here, so only estimators of its values were tried.")
    elif jump.found:
        told.append(
            f"f jumps: pathwise and score function differ by {jump.deviation:.1f} standard errors "
            f"where chance gives at most {jump.threshold:.1f}; whatever differentiates f misses "
            "what the jumps add."
        )
    else:
        told.append(
            f"No jump was found; one that adds less than {jump.resolution:.0%} of the gradient "
            "would not have been."
        )
    if kink is not None and kink.found and not (jump is not None and jump.found):
        told.append(
            f"f has kinks: Price's rule and pathwise differ by {kink.deviation:.1f} standard "
            "errors in the scale; do not use bonnet_price or second_order."
        )
    if _PRICE not in found and jump is not None:
        told.append("Price's rule was not tried: f has no second derivative, or x is too long.")
    others = [one for one in ranked[1:] if not one.trouble]
    if others:
        factor = max(
            (other / mine if mine > 0 else math.inf)
            for mine, other in zip(chosen.work.values(), others[0].work.values(), strict=True)
        )
        told.append(
            f"The next best, {others[0].name}, needs up to {factor:.1f} times its work for one of "
            "the parts."
        )
    return told
