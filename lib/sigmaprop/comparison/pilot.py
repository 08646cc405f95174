"""The pilot of `advise`: every candidate on the same budget, its variance and its cost."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array

from sigmaprop import estimators
from sigmaprop.comparison.rows import parts
from sigmaprop.estimators import ESTIMATORS, Estimator, record_of
from sigmaprop.estimators.estimation import check_smoothness, estimate
from sigmaprop.gaussians import Gaussian

_SOBOL_SAMPLES = 1024
_MOST_REPLICATES = 64
_ROUNDS = 5
_MOST_EXACT_DIM = 4096


class Evidence(NamedTuple):
    """What the pilot showed of one candidate.

    Attributes:
        label, noise: which.
        num_samples: points x of one estimate; the variance of a sobol net depends on it.
        points: points x of the pilot, in all its estimates.
        evaluations: of f, its gradient or a product with its Hessian, in the pilot.
        cost: of one point x, in the units of `Advice.ranked_by`.
        gradient: Gaussian-shaped estimate.
        error: its Gaussian-shaped standard errors.
        variance: for each part of the Gaussian, num_samples x Var(estimate), summed.
        work: for each part, variance x cost: the less the better; 1 / efficiency.
        trouble: why it must not be used here: "jump" and "kink" for what it misses, "not finite",
            or "".
        seconds: of one point x, in each round of the clock; () without one.
    """

    label: str
    noise: str
    num_samples: int
    points: int
    evaluations: int
    cost: float
    gradient: Any
    error: Any
    variance: dict[str, float]
    work: dict[str, float]
    trouble: str = ""
    seconds: tuple[float, ...] = ()

    @property
    def evaluations_a_sample(self) -> float:
        """Evaluations for one point x."""
        return self.evaluations / self.points

    def at_cost(self, cost: float) -> "Evidence":
        """The same with another cost of a point."""
        work = {part: variance * cost for part, variance in self.variance.items()}
        return self._replace(cost=cost, work=work)

    @property
    def name(self) -> str:
        """Label and noise scheme."""
        return self.label if self.noise == "iid" else f"{self.label} ({self.noise})"


def allowed(f: Any, inner: Callable[[Array], Array], gaussian: Gaussian) -> list[tuple[str, str]]:
    """Those that f's derivatives, smoothness and dimension allow."""
    try:
        jax.eval_shape(jax.grad(inner), gaussian.mean)
    except Exception:  # whatever an undifferentiable f raises
        plain = [label for label, one in ESTIMATORS.items() if not (one.derivatives or one.expands)]
        return [(label, noise) for label, noise in candidates() if label in plain]
    found = []
    for label, noise in candidates():
        if record_of(label).expands and gaussian.noise_dim > _MOST_EXACT_DIM:
            continue
        try:
            check_smoothness(f, estimators.of_label(label, noise))
        except ValueError:
            continue
        found.append((label, noise))
    return found


def candidates() -> list[tuple[str, str]]:
    """Every estimator's label with each noise scheme that its record wants to be tried with."""
    return [(label, noise) for label, record in ESTIMATORS.items() for noise in record.pilot]


class Pilot(NamedTuple):
    """The evidence of a candidate, and how to run it again for the clock."""

    evidence: Evidence
    run: Callable[[], Any]


def pilot(
    f: Callable[[Array], Array], gaussian: Any, key: Array, label: str, noise: str, share: int
) -> Pilot:
    """One candidate within its share of the evaluations; its cost in operations."""
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
    points = count * replicates
    error = jax.tree.map(lambda leaf: np.sqrt(leaf / points), variance)
    total = {part: float(np.sum(leaf)) for part, leaf in parts(variance).items()}
    draws = points // chosen.samples_per_draw
    evaluations = draws * chosen.evaluations(gaussian.noise_dim)
    trouble = "" if all(map(math.isfinite, total.values())) else "not finite"
    evidence = Evidence(
        label, noise, count, points, evaluations, math.nan, gradient, error, total, {}, trouble
    )
    evidence = evidence.at_cost(_operations(f, gaussian, chosen))
    return Pilot(evidence, lambda: program(gaussian, keys))


def timed(
    pilots: dict[tuple[str, str], Pilot],
    clock: Callable[[], float],
    progress: Callable[[str], None],
) -> dict[tuple[str, str], Evidence]:
    """The evidence with the seconds of each round; a round runs every candidate once.

    So what slows the machine for a while slows a round, not a candidate.
    """
    seconds: dict[tuple[str, str], list[float]] = {pair: [] for pair in pilots}
    for number in range(_ROUNDS):
        progress(f"timing, round {number + 1} of {_ROUNDS}")
        for pair, one in pilots.items():
            start = clock()
            jax.block_until_ready(one.run())
            seconds[pair].append((clock() - start) / one.evidence.points)
    return {
        pair: one.evidence._replace(seconds=tuple(seconds[pair])) for pair, one in pilots.items()
    }


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
    if record_of(chosen.label).derivatives == 2:
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
