"""The sweep: one stream of noise, every sigma, every batch size, every estimator.

The question is how the Monte Carlo gradient of E f(x + sigma eps) approaches grad f(x), and what a
batch of a given size sees of it. One chunk of noise is drawn once and used at every sigma. Within
a chunk the terms of each estimator are summed over nested blocks, so that the error of every batch
size comes from the same evaluations; sums of whole chunks travel to the host, where larger batches
and `num_groups` independent groups (for the error bars) are made of them in float64.

Memory is bounded by the chunk and the number of groups, never by the number of samples. Chunks are
spread over a mesh of the devices; each is computed by the same program wherever it runs.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from sigmaprop import processes
from sigmaprop.estimators import get as get_estimator
from sigmaprop.estimators.base import Estimator
from sigmaprop.limit.plan import make_plan
from sigmaprop.limit.program import at_mean, make_inputs, make_program
from sigmaprop.limit.totals import Sweep, Totals
from sigmaprop.limit.truth import Truth
from sigmaprop.noise import check_key
from sigmaprop.statistics import mean_and_error


def sweep(
    f: Callable[[Float[Array, " D"]], Float[Array, ""]],
    truth: Truth,
    chosen: Sequence[Estimator],
    key: Key[Array, ""],
    num_draws: int,
    *,
    batch_sizes: Sequence[int] = (),
    dtype: str = "float32",
    chunk: int | None = None,
    num_groups: int = 32,
    wrt: Sequence[str] = ("mean", "scale"),
    devices: Sequence[Any] | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> Sweep:
    """Measures estimators of the gradient of E f(x + sigma eps) against the truth.

    Args:
        f: maps x [D] to a scalar, in the dtype of x.
        truth: where to measure (point, sigmas > 0) and what is true there.
        chosen: estimators, from ``sigmaprop.estimators.get``.
        key: typed threefry key; the noise is ``jax.random.normal(key, (num_draws, D))``.
        num_draws: draws of eps, 1 to 2^32 - 1.
        batch_sizes: draws in a batch, each a divisor of the next; empty for none.
        dtype: "float32", "float64" or "bfloat16", in which f is evaluated. Sums are at least
            float32. The noise is the same float32 numbers in each.
        chunk: most draws evaluated at a time, None for as many as suit the device.
        num_groups: independent groups from which error bars are made.
        wrt: what to differentiate by; without "scale" its gradients are NaN and cost nothing.
        devices: over which to spread the chunks; None for all, of other processes of a run too.
        progress: called with the number of draws done so far.

    Returns:
        `Sweep`.

    Raises:
        ValueError: sizes out of range, batch sizes that do not nest, a ``wrt`` without "mean", or
            what is not one key.
    """
    if "mean" not in wrt or set(wrt) - {"mean", "scale"}:
        raise ValueError(f"wrt is {tuple(wrt)}; it must be ('mean',) or ('mean', 'scale')")
    check_key(key)
    with jax.enable_x64(True):
        devices = tuple(devices or processes.devices())
        dim = truth.point.shape[0]
        plan = make_plan(num_draws, batch_sizes, dim, chunk=chunk, num_groups=num_groups)
        noisy = tuple(estimator for estimator in chosen if estimator.needs)
        inputs = make_inputs(truth, dtype)
        totals = Totals(tuple(chosen), plan, truth)
        if not noisy:
            totals.add_without_noise(at_mean(f, inputs, plan, dtype))
            progress(totals.done)
            return totals.result()
        per_device = plan.at_once(dim * len(truth.sigmas) * len(noisy), len(devices))
        program = make_program(f, noisy, plan, dtype, "scale" in wrt, devices)
        pending = None
        for first in range(0, plan.num_chunks, per_device * len(devices)):
            index = np.arange(first, first + per_device * len(devices))
            rows = np.minimum(index * plan.chunk, plan.num_draws)
            valid = np.minimum(plan.num_draws - rows, plan.chunk)
            result = program(inputs, key, rows.astype(np.uint32), valid.astype(np.int32))
            if pending is not None:
                totals.add(*pending)
                progress(totals.done)
            pending = (first, valid, result)
        assert pending is not None
        totals.add(*pending)
        progress(totals.done)
        return totals.result()


def reference(
    f: Callable[[Float[Array, " D"]], Float[Array, ""]],
    point: Float[np.ndarray, " D"],
    sigmas: Float[np.ndarray, " S"],
    key: Key[Array, ""],
    num_draws: int,
    *,
    jumps: bool = False,
    **options: Any,
) -> Truth:
    """The truth of a function without a closed form: a large sample of its own, with error bars.

    Pathwise, in antithetic pairs and float64: the error stays a fixed share of the bias at every
    sigma. Where f ``jumps`` pathwise misses a part, and the score function takes its place, with an
    error that grows as sigma falls. ``options`` go to `sweep`. The noise must be independent of the
    sample that is judged.
    """
    with jax.enable_x64(True):
        gradient = np.asarray(jax.grad(f)(jnp.asarray(point, jnp.float64)))
    zeros = np.zeros(len(sigmas))
    start = Truth(
        np.asarray(point, np.float64),
        gradient,
        np.asarray(sigmas, np.float64),
        np.tile(gradient, (len(sigmas), 1)),
        zeros,
        zeros,
        zeros,
    )
    name, variate = ("score_function", "leave_one_out") if jumps else ("pathwise", None)
    pairs = get_estimator(name, "antithetic", variate)
    found = sweep(f, start, [pairs], key, num_draws, dtype="float64", **options)
    estimate = found.estimates[pairs.key]
    mean, mean_error = mean_and_error(estimate.mean)
    scale, scale_error = mean_and_error(estimate.scale)
    return start._replace(
        smoothed_mean=mean,
        smoothed_scale=scale,
        mean_error=np.linalg.norm(mean_error, axis=-1),
        scale_error=scale_error,
    )
