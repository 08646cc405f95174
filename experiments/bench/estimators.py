"""What does a gradient estimate cost beyond the noise it draws and the points it evaluates?

    sigmaprop bench estimators    # some minutes; all ratios from interleaved repeats in one run

Every estimator is a multiple of its parts: jax.random.normal for the noise that it draws, plus f
(or its gradient, or products with its Hessian) at as many points as it evaluates, both in chunks
that fit a cache. Expect pathwise, which brings a variance and E f, at 1.15 or less, and a peak
memory that does not grow with the number of samples. Peers are compared where they are installed.
The machine's load is recorded: on a busy one, believe the ratios less.
"""

import functools
import json
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from sigmaprop import Diagonal, Full, Isotropic, LowRank, estimate, objectives
from sigmaprop import estimators as known
from sigmaprop.estimators import Estimator
from sigmaprop.estimators.bonnet_price import EXACT_DIM
from sigmaprop.gaussians import Gaussian

from .parts import evaluations, normals
from .ratios import Found, Ratio, against, as_json, constant, from_json, sized
from .timing import (
    Program,
    compare,
    in_child,
    jitted,
    own_peak_mebibytes,
    peak_mebibytes,
)

DIM = 64
NUM_SAMPLES = 2**16
OBJECTIVES = ("sine", "ridge_network", "quartic")
TARGET_OBJECTIVES = ("sine", "ridge_network")
RANK = 8
MEMORY_SAMPLES = (2**14, 2**20)
MEMORY_LABELS = ("pathwise", "score_function+leave_one_out", "measure_valued")
OPTAX_SAMPLES = {"quartic": (2**16, 2**16, 2**14), "sine": (2**12, 2**12, 2**12)}
"""For pathwise, score_function and measure_valued: as many as keep theirs below 4 GiB."""

_TARGET = 1.15
_SCALE = 0.3
_NO_TFP = (
    "TensorFlow Probability: not found. Its nightly build runs with this JAX: `pip install "
    "--no-deps --target DIR tfp-nightly dm-tree decorator gast`, then put DIR on PYTHONPATH."
)
_NO_OPTAX = (
    "optax.monte_carlo: not found. optax 0.2.6 is the last that has it: `pip install --no-deps "
    "--target DIR optax==0.2.6`, then give --optax-path DIR."
)


def estimators(repeats: int, optax_path: Path | None) -> Found:
    """What ``sigmaprop bench estimators`` measures.

    Args:
        repeats: interleaved repeats of each measurement, >= 3.
        optax_path: directory of an optax that still has monte_carlo; None: the installed one.
    """
    parts = "estimate / (its normals + its evaluations of f)"
    sections = {f"{name}: {parts}": _every_estimator(name, repeats) for name in OBJECTIVES}
    sections[f"noise and Gaussians: {parts}"] = [
        *_noise_schemes(repeats),
        *_families(repeats),
        _exact_price(repeats),
    ]
    sections["peak memory of a process"] = _memory()
    probability, probability_note = _tfp(repeats)
    monte_carlo, monte_carlo_note = _optax(repeats, optax_path)
    sections["TensorFlow Probability, which gives no variance"] = probability
    sections["optax.monte_carlo, which stores a gradient a sample"] = monte_carlo
    return Found(sections, [note for note in (probability_note, monte_carlo_note) if note])


class _Evaluated(NamedTuple):
    """What is evaluated together at a point, and at how many points for each draw."""

    kinds: tuple[str, ...]
    points: int


def _labels() -> tuple[str, ...]:
    """Labels of all estimators that draw noise."""
    return tuple(label for label in known.labels() if known.of_label(label).exact is None)


def _evaluated(estimator: Estimator, noise_dim: int) -> list[_Evaluated]:
    """What one draw of an estimator evaluates."""
    count = estimator.evaluations(noise_dim)
    if estimator.name == "measure_valued":
        return [_Evaluated(("value",), 1 + count)]
    if known.record_of(estimator.label).derivatives == 2:
        probes = estimator.columns(noise_dim) // noise_dim - 1
        return [_Evaluated(("gradient",), 1), _Evaluated(("curvature",), probes or noise_dim)]
    if estimator.control_variate == "delta":
        first = "gradient" if estimator.name == "pathwise" else "value"
        return [_Evaluated((first, "product"), 1)]
    kind = "gradient" if "gradient" in estimator.needs else "value"
    return [_Evaluated((kind,), count)]


def _every_estimator(name: str, repeats: int) -> list[Ratio]:
    """Each label of one objective; a target for pathwise."""
    objective = objectives.get(name, DIM)
    targets = {"pathwise": _TARGET if name in TARGET_OBJECTIVES else None}
    return [
        _against_parts(objective, label, repeats, target=targets.get(label)) for label in _labels()
    ]


def _against_parts(
    objective: objectives.Objective,
    label: str,
    repeats: int,
    what: str | None = None,
    *,
    gaussian: Gaussian | None = None,
    noise: str = "iid",
    samples: int | None = None,
    target: float | None = None,
) -> Ratio:
    """One estimate against its parts, of a diagonal Gaussian unless another is given.

    Without a number of samples there are as many, a power of two, as evaluate about as many points
    as a plain estimator does.
    """
    estimator = known.of_label(label, noise)
    gaussian = gaussian or _diagonal(objective)
    points = sum(part.points for part in _evaluated(estimator, gaussian.noise_dim))
    samples = samples or max(2, NUM_SAMPLES >> (points - 1).bit_length())
    ours = _estimate(objective, gaussian, label, samples, noise)
    parts = _parts(objective, gaussian, estimator, samples)
    found = compare(ours, parts, repeats, target, f"{objective.name}: {what or label}")
    return sized([found], d=objective.dim, samples=samples)[0]


def _diagonal(objective: objectives.Objective) -> Diagonal:
    mean = jnp.asarray(objective.point, jnp.float32)
    return Diagonal(mean, jnp.full_like(mean, _SCALE))


def _estimate(
    f: Callable[[Array], Array], gaussian: Gaussian, label: str, samples: int, noise: str = "iid"
) -> Program:
    """The whole estimate: gradient, variance and E f."""
    name, variate, options = known.parse(label)

    def run(gaussian: Any, key: Array) -> Any:
        result = estimate(
            *(f, gaussian, key, samples),
            estimator=name,
            noise=noise,
            control_variate=variate,
            options=options,
        )
        return result.gradient, result.variance, result.value

    return jitted(label, run, gaussian, jax.random.key(0))


def _parts(
    objective: objectives.Objective, gaussian: Gaussian, estimator: Estimator, samples: int
) -> list[tuple[Program, float]]:
    """Its noise and its evaluations, each alone."""
    draws = samples // estimator.samples_per_draw
    return [
        normals(draws, estimator.columns(gaussian.noise_dim)),
        *(
            evaluations(objective, part.kinds, draws * part.points)
            for part in _evaluated(estimator, gaussian.noise_dim)
        ),
    ]


def _noise_schemes(repeats: int) -> list[Ratio]:
    """Pathwise with every scheme, and against noise as it is drawn rather than as JAX draws it."""
    ratios = []
    for name in OBJECTIVES:
        objective = objectives.get(name, DIM)
        gaussian = _diagonal(objective)
        ratios += [
            _against_parts(objective, "pathwise", repeats, f"pathwise, {noise}", noise=noise)
            for noise in ("antithetic", "orthogonal", "sobol")
        ]
        _, *evaluated = _parts(objective, gaussian, known.of_label("pathwise"), NUM_SAMPLES)
        parts = [normals(NUM_SAMPLES, DIM, own=True), *evaluated]
        plain = _estimate(objective, gaussian, "pathwise", NUM_SAMPLES)
        what = f"{name}: pathwise / (normals by our generator + evaluations)"
        found = compare(plain, parts, repeats, None, what)
        ratios += sized([found], d=DIM, samples=NUM_SAMPLES)
    return ratios


def _families(repeats: int) -> list[Ratio]:
    """The other Gaussians; fewer draws where each adds more numbers than its D to the averages."""
    objective = objectives.get("sine", DIM)
    diagonal = _diagonal(objective)
    lower = jnp.tril(jnp.full((DIM, DIM), 0.01, jnp.float32)) + _SCALE * jnp.eye(DIM)
    factor = 0.1 * jax.random.normal(jax.random.key(2), (DIM, RANK), jnp.float32)
    few = max(2, NUM_SAMPLES // 16)
    families: list[tuple[Gaussian, int]] = [
        (Isotropic(diagonal.mean, jnp.float32(_SCALE)), NUM_SAMPLES),
        (Full(diagonal.mean, lower), few),
        (LowRank(diagonal.mean, diagonal.scale, factor), few),
    ]
    return [
        _against_parts(
            *(objective, label, repeats, f"{label}, {type(gaussian).__name__}"),
            gaussian=gaussian,
            samples=samples,
        )
        for gaussian, samples in families
        for label in ("pathwise", "score_function")
    ]


def _exact_price(repeats: int) -> Ratio:
    """Price's rule with whole Hessians, which it takes up to 32 dimensions."""
    objective = objectives.get("sine", min(DIM, EXACT_DIM))
    what = f"bonnet_price, exact, d = {objective.dim}"
    return _against_parts(objective, "bonnet_price", repeats, what)


def _memory() -> list[Ratio]:
    """Peak memory of whole processes: it must not grow with the number of samples."""
    ratios = []
    for label in MEMORY_LABELS:
        points = sum(part.points for part in _evaluated(known.of_label(label), DIM))
        few, many = (max(2, number // points) for number in MEMORY_SAMPLES)
        most, least = (peak_mebibytes(__name__, "memory", label, n) for n in (many, few))
        what = f"peak memory, {label}: {many} samples / {few}"
        ratios += sized([constant(what, most, least, 1.1)], d=DIM, samples=many)
    return ratios


def _memory_child(label: str, samples: int) -> None:
    """One estimate; prints the peak memory of this process in MiB.

    Always compiled anew: compilation takes memory that a program from a cache would not.
    """
    jax.config.update("jax_enable_compilation_cache", False)
    objective = objectives.get("sine", DIM)
    _estimate(objective, _diagonal(objective), label, samples).run()
    print(own_peak_mebibytes())


def _against(
    name: str, label: str, samples: int, gradient: Callable[..., Any]
) -> tuple[Program, Program]:
    """(A peer's ``gradient(objective, mean, scale, key)`` of E f, our estimate of the same)."""
    objective = objectives.get(name, DIM)
    gaussian = _diagonal(objective)
    theirs = functools.partial(gradient, objective)
    return (
        jitted(label, theirs, gaussian.mean, gaussian.scale, jax.random.key(0)),
        _estimate(objective, gaussian, label, samples),
    )


def _tfp(repeats: int) -> tuple[list[Ratio], str]:
    """TensorFlow Probability in this process, or how to get it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import tensorflow_probability.substrates.jax as tfp  # pyright: ignore[reportMissingImports]
    except ImportError:
        return [], _NO_TFP

    def gradient(label: str, objective: Any, mean: Array, scale: Array, key: Array) -> Any:
        def loss(mean: Array, scale: Array) -> Array:
            normal = tfp.distributions.MultivariateNormalDiag(mean, scale)
            return tfp.monte_carlo.expectation(
                f=jax.vmap(objective),
                samples=normal.sample(NUM_SAMPLES, seed=key),
                log_prob=normal.log_prob,
                use_reparameterization=label == "pathwise",  # what tells the estimators apart
            )

        return jax.grad(loss, argnums=(0, 1))(mean, scale)

    ratios = []
    for name in TARGET_OBJECTIVES:
        for label in ("pathwise", "score_function"):
            objective = objectives.get(name, DIM)
            of_label = functools.partial(gradient, label)
            theirs, ours = _against(name, label, NUM_SAMPLES, of_label)
            estimator = known.of_label(label)
            parts = _parts(objective, _diagonal(objective), estimator, NUM_SAMPLES)
            ratios += [
                compare(theirs, parts, repeats, None, f"{name}: {label}, theirs / its parts"),
                compare(ours, parts, repeats, None, f"{name}: {label}, ours / its parts"),
                compare(ours, [(theirs, 1.0)], repeats, None, f"{name}: {label}, ours / theirs"),
            ]
    versions = {"tensorflow_probability": str(getattr(tfp, "__version__", "unknown"))}
    return against(sized(ratios, d=DIM, samples=NUM_SAMPLES), **versions), ""


def _optax(repeats: int, path: Path | None) -> tuple[list[Ratio], str]:
    """optax.monte_carlo in processes of its own, or how to get it."""
    ratios = []
    for name, samples in OPTAX_SAMPLES.items():
        line = in_child(__name__, "optax", repeats, name, *samples, path=path)
        ratios += map(from_json, json.loads(line))
    return ratios, "" if ratios else _NO_OPTAX


def _optax_child(repeats: int, name: str, samples: Sequence[int]) -> None:
    """Ours as a share of theirs, as JSON; an empty list where this optax has no monte_carlo.

    The target is judged where f costs next to nothing, so that what they store is what counts.
    """
    import optax

    def gradient(
        jacobians: Any, number: int, objective: Any, mean: Array, scale: Array, key: Array
    ) -> Any:
        params = (mean, jnp.log(scale))
        leaves = jacobians(objective, params, optax.multi_normal, key, number)
        return [jnp.mean(leaf, axis=0) for leaf in leaves]

    ratios: list[Ratio] = []
    if monte_carlo := getattr(optax, "monte_carlo", None):
        labels = ("pathwise", "score_function", "measure_valued")
        for label, number in zip(labels, samples, strict=True):
            jacobians = getattr(monte_carlo, f"{label}_jacobians")
            of_label = functools.partial(gradient, jacobians, number)
            theirs, ours = _against(name, label, number, of_label)
            what = f"{name}, {number} samples: {label}, ours / theirs"
            target = 0.1 if name == "quartic" else None
            found = sized([compare(ours, [(theirs, 1.0)], repeats, target, what)], d=DIM)
            ratios += against(sized(found, samples=number), optax=optax.__version__)
    print(json.dumps([as_json(ratio) for ratio in ratios]))


if __name__ == "__main__":
    purpose, *arguments = sys.argv[1:]
    if purpose == "memory":
        _memory_child(arguments[0], int(arguments[1]))
    else:
        _optax_child(int(arguments[0]), arguments[1], [int(number) for number in arguments[2:]])
