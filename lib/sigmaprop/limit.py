"""The sweep: one stream of noise, every sigma, every batch size, every estimator.

The question is how the Monte Carlo gradient of E f(x + sigma eps) approaches grad f(x), and what a
batch of a given size sees of it. One chunk of noise is drawn once and used at every sigma. Within
a chunk the terms of each estimator are summed over nested blocks, so that the error of every batch
size comes from the same evaluations; sums of whole chunks travel to the host, where larger batches
and `num_groups` independent groups (for the error bars) are made of them in float64.

Memory is bounded by the chunk and the number of groups, never by the number of samples. Chunks are
spread over a mesh of the local devices; each is computed by the same program wherever it runs.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, PartitionSpec
from jaxtyping import Array, Float, Key

from sigmaprop.estimation import evaluate, from_mean
from sigmaprop.estimators import get as get_estimator
from sigmaprop.estimators.base import AtMean, Estimator, Evaluations, Terms
from sigmaprop.gaussian import Isotropic
from sigmaprop.noise import normal_rows
from sigmaprop.statistics import mean_and_error
from sigmaprop.truth import Truth

ERRORS = ("to_smoothed", "to_gradient", "cosine", "scale_to_smoothed", "scale_to_gradient")
"""What is measured of every batch: squared distances of the mean gradient to the exact smoothed
gradient and to grad f(x), its cosine with grad f(x), and squared distances of the scale gradient to
the exact one and to its limit 0."""

_SUB_BLOCKS = 4
_DISPATCH_WORK = 2**24


class Sweep(NamedTuple):
    """What a sweep measured, per group of independent samples. G S D L: group, sigma, dim, level.

    Attributes:
        estimates: for each estimator, Isotropic(mean [G, S, D], scale [G, S]) from the group's
            draws, float64.
        errors: for each estimator, [G, S, L, 5]: averages over the group's batches of each size,
            in the order of `ERRORS`; NaN where a group holds no whole batch of that size.
        batch_draws: [L] draws in a batch of each size.
        group_batches: [G, L] whole batches of each size in each group.
        group_draws: [G] draws in each group.
        at_mean: f and grad f at the mean in the sweep's own precision.
    """

    estimates: dict[tuple[str, str], Isotropic]
    errors: dict[tuple[str, str], np.ndarray]
    batch_draws: np.ndarray
    group_batches: np.ndarray
    group_draws: np.ndarray
    at_mean: AtMean

    @property
    def num_batches(self) -> np.ndarray:
        """[L] batches of each size, over all groups."""
        return self.group_batches.sum(axis=0)


def reference(
    f: Callable[[Float[Array, " D"]], Float[Array, ""]],
    point: Float[np.ndarray, " D"],
    sigmas: Float[np.ndarray, " S"],
    key: Key[Array, ""],
    num_draws: int,
    **options: Any,
) -> Truth:
    """The truth of a function without a closed form: a large sample of its own, with error bars.

    Pathwise, in antithetic pairs and float64: the error stays a fixed share of the bias at every
    sigma. ``options`` go to `sweep`. The noise must be independent of the sample that is judged.
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
    pairs = get_estimator("pathwise", "antithetic")
    found = sweep(f, start, [pairs], key, num_draws, dtype="float64", **options)
    estimate = found.estimates[_label(pairs)]
    mean, mean_error = mean_and_error(estimate.mean)
    scale, scale_error = mean_and_error(estimate.scale)
    return start._replace(
        smoothed_mean=mean,
        smoothed_scale=scale,
        mean_error=np.linalg.norm(mean_error, axis=-1),
        scale_error=scale_error,
    )


class Plan(NamedTuple):
    """How the draws are cut up.

    Attributes:
        num_draws: draws of eps in all.
        chunk: draws evaluated at a time.
        inside: batch sizes that divide the chunk.
        outside: batch sizes made of whole chunks.
        num_groups: independent groups for error bars.
    """

    num_draws: int
    chunk: int
    inside: tuple[int, ...]
    outside: tuple[int, ...]
    num_groups: int

    @property
    def num_chunks(self) -> int:
        """Chunks in all, a last incomplete one included."""
        return -(-self.num_draws // self.chunk)


class _AtSigma(NamedTuple):
    """The truth at one sigma, on the device: smoothed gradient and its deviation from grad f."""

    sigma: Array
    smoothed: Isotropic
    bias: Array


class _Inputs(NamedTuple):
    point: Array
    gradient: Array
    at_sigmas: _AtSigma


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
    devices: Sequence[jax.Device] | None = None,
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
        devices: over which to spread the chunks; None for all local devices.
        progress: called with the number of draws done so far.

    Returns:
        `Sweep`.

    Raises:
        ValueError: sizes out of range, batch sizes that do not nest, or a ``wrt`` without "mean".
    """
    if "mean" not in wrt or set(wrt) - {"mean", "scale"}:
        raise ValueError(f"wrt is {tuple(wrt)}; it must be ('mean',) or ('mean', 'scale')")
    with jax.enable_x64(True):
        devices = tuple(devices or jax.local_devices())
        dim = truth.point.shape[0]
        plan = make_plan(num_draws, batch_sizes, dim, chunk=chunk, num_groups=num_groups)
        work = plan.chunk * dim * truth.sigmas.shape[0]
        per_device = min(max(1, _DISPATCH_WORK // work), -(-plan.num_chunks // len(devices)))
        noisy = tuple(estimator for estimator in chosen if estimator.needs)
        program = _make_program(f, noisy, plan, dtype, "scale" in wrt, devices)
        inputs = _inputs(truth, dtype)
        totals = _Totals(tuple(chosen), plan, truth)
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


def make_plan(
    num_draws: int,
    batch_sizes: Sequence[int],
    dim: int,
    *,
    chunk: int | None = None,
    num_groups: int = 32,
) -> Plan:
    """Cuts ``num_draws`` draws into chunks in which the batch sizes nest.

    Raises:
        ValueError: counts out of range, or a batch size that does not divide the next.
    """
    sizes = tuple(batch_sizes)
    if not 1 <= num_draws < 2**32:
        raise ValueError(f"num_samples is {num_draws}; it must be between 1 and 2^32 - 1")
    if chunk is not None and chunk < 1:
        raise ValueError(f"chunk is {chunk}; it must be at least 1")
    for size, following in zip(sizes, sizes[1:], strict=False):
        if following <= size or following % size:
            raise ValueError(
                f"batch sizes {size} and {following} do not nest; each must divide the next"
            )
    if sizes and not 1 <= sizes[0] <= sizes[-1] <= num_draws:
        raise ValueError(
            f"batch sizes run from {sizes[0]} to {sizes[-1]}; "
            f"they must lie between 1 and the {num_draws} samples"
        )
    most = max(1, (_chunk_elements() // dim) if chunk is None else chunk)
    target = max(1, min(most, num_draws // num_groups))
    rows = _nesting_chunk(sizes, target, dim)
    inside = tuple(size for size in sizes if rows % size == 0)
    outside = sizes[len(inside) :]
    return Plan(num_draws, rows, inside, outside, min(num_groups, -(-num_draws // rows)))


def _chunk_elements() -> int:
    """Numbers of noise in a chunk: what a CPU's cache holds, or what fills an accelerator."""
    return 2**18 if jax.default_backend() == "cpu" else 2**23


def _nesting_chunk(sizes: tuple[int, ...], target: int, dim: int) -> int:
    """The largest number of rows up to target that sizes below divide and the next size holds."""
    below = [size for size in sizes if size <= target]
    above = [size for size in sizes if size > target]
    unit = below[-1] if below else 1
    if not above:
        return target // unit * unit
    multiple = max(m for m in range(1, target // unit + 1) if (above[0] // unit) % m == 0)
    rows = unit * multiple
    if rows * 16 < target and above[0] * dim <= 2**24:
        return above[0]
    return rows


def _inputs(truth: Truth, dtype: str) -> _Inputs:
    """The truth as device arrays; differences to it are taken in float64."""
    wide = _accumulator(dtype)
    at_sigmas = _AtSigma(
        jnp.asarray(truth.sigmas, wide),
        Isotropic(jnp.asarray(truth.smoothed_mean), jnp.asarray(truth.smoothed_scale)),
        jnp.asarray(truth.smoothed_mean - truth.gradient, wide),
    )
    return _Inputs(
        jnp.asarray(truth.point, wide), jnp.asarray(truth.gradient, wide), at_sigmas
    )


def _accumulator(dtype: str) -> Any:
    return jnp.float64 if dtype == "float64" else jnp.float32


@functools.lru_cache(maxsize=64)
def _make_program(
    f: Callable[[Array], Array],
    chosen: tuple[Estimator, ...],
    plan: Plan,
    dtype: str,
    with_scale: bool,
    devices: tuple[jax.Device, ...],
):
    """Compiles (inputs, key, first rows, valid rows) -> sums and errors of each chunk."""
    mesh = jax.make_mesh((len(devices),), ("samples",), axis_types=(AxisType.Auto,), devices=devices)
    shared, split = PartitionSpec(), PartitionSpec("samples")

    def chunks(inputs: _Inputs, key: Array, rows: Array, valid: Array):
        at_mean = _at_mean(f, inputs, plan, dtype)
        one = functools.partial(_chunk, f, chosen, plan, dtype, with_scale, inputs, at_mean, key)
        return jax.lax.map(lambda pair: one(*pair), (rows, valid)), at_mean

    return jax.jit(
        jax.shard_map(
            chunks,
            mesh=mesh,
            in_specs=(shared, shared, split, split),
            out_specs=(split, shared),
            check_vma=False,
        )
    )


def _chunk(
    f: Callable[[Array], Array],
    chosen: tuple[Estimator, ...],
    plan: Plan,
    dtype: str,
    with_scale: bool,
    inputs: _Inputs,
    at_mean: AtMean,
    key: Array,
    first_row: Array,
    valid_rows: Array,
):
    """Sums of terms and errors of all batches inside one chunk, for every sigma and estimator."""
    eps = _stored_noise(plan, key, first_row, inputs.point)
    needs = tuple(dict.fromkeys(need for estimator in chosen for need in estimator.needs))

    def at_sigma(at: _AtSigma):
        gaussian = Isotropic(inputs.point, at.sigma)
        seen = _evaluate_rows(f, gaussian, eps, needs, dtype, stored=len(chosen) > 1)
        seen = jax.vmap(from_mean, in_axes=(0, None))(seen, at_mean)
        results = {}
        for estimator in chosen:
            terms = jax.vmap(estimator.terms, in_axes=(None, 0, 0, None))(
                gaussian, eps, seen, at_mean
            )
            terms = _drop_invalid(terms if with_scale else _mean_only(terms), plan, valid_rows)
            results[_label(estimator)] = _nested(
                estimator, terms, plan, valid_rows, gaussian, at_mean, at, inputs.gradient
            )
        return results

    return jax.lax.map(at_sigma, inputs.at_sigmas)


def _label(estimator: Estimator) -> tuple[str, str]:
    return estimator.label, estimator.noise


def _in_dtype(f: Callable[[Array], Array], dtype: str) -> Callable[[Array], Array]:
    """F evaluated in ``dtype``; its value and gradient come back in the dtype of x."""
    return lambda x: f(x.astype(dtype)).astype(x.dtype)


def _stored_noise(plan: Plan, key: Array, first_row: Array, like: Array) -> Array:
    """The chunk's noise, [chunk, D]; the loop makes XLA store it, not draw it for every reader."""
    blocks = _num_blocks(plan.chunk)
    rows = plan.chunk // blocks
    firsts = first_row + jnp.arange(0, plan.chunk, rows, dtype=jnp.uint32)
    noise = jax.lax.map(lambda first: normal_rows(key, first, rows, like.shape[0]), firsts)
    return noise.reshape(plan.chunk, -1).astype(like.dtype)


def _num_blocks(rows: int) -> int:
    return _SUB_BLOCKS if rows % _SUB_BLOCKS == 0 else 1


def _evaluate_rows(
    f: Callable[[Array], Array],
    gaussian: Isotropic,
    eps: Array,
    needs: tuple[str, ...],
    dtype: str,
    *,
    stored: bool,
) -> Evaluations:
    """Evaluations at every row of noise.

    Where several estimators read them they pass through a loop over a few blocks, so that XLA
    stores them: else it computes f anew in every fused kernel that reads them. For one estimator
    the copy costs more than it saves.
    """
    row = jax.vmap(functools.partial(evaluate, _in_dtype(f, dtype), gaussian, needs=needs))
    blocks = _num_blocks(len(eps)) if stored else 1
    if blocks == 1:
        return row(eps)
    seen = jax.lax.map(row, eps.reshape(blocks, len(eps) // blocks, -1))
    return jax.tree.map(lambda leaf: leaf.reshape(len(eps), *leaf.shape[2:]), seen)


def _at_mean(f: Callable[[Array], Array], inputs: _Inputs, plan: Plan, dtype: str) -> AtMean:
    """F and its gradient at the mean by the program that evaluates the draws: the same rounding."""
    gaussian = Isotropic(inputs.point, inputs.at_sigmas.sigma[0])
    zeros = jnp.zeros((plan.chunk, inputs.point.shape[0]), inputs.point.dtype)
    seen = _evaluate_rows(f, gaussian, zeros, ("value", "gradient"), dtype, stored=False)
    return AtMean(seen.value[0], seen.gradient[0])


def _mean_only(terms: Terms) -> Terms:
    """Terms whose part for the scale is NaN, so that the compiler need not make it."""

    def unknown(part: Isotropic | None) -> Isotropic | None:
        return None if part is None else Isotropic(part.mean, jnp.full_like(part.scale, jnp.nan))

    return Terms(unknown(terms.gradient), terms.value, unknown(terms.score), unknown(terms.product))


def _drop_invalid(terms: Terms, plan: Plan, valid_rows: Array) -> Terms:
    """Zeroes the rows beyond the last draw; nothing to do where chunks divide the draws."""
    if plan.num_draws % plan.chunk == 0:
        return terms
    valid = jnp.arange(plan.chunk) < valid_rows
    return jax.tree.map(
        lambda leaf: jnp.where(valid.reshape((-1,) + (1,) * (leaf.ndim - 1)), leaf, 0), terms
    )


def _nested(
    estimator: Estimator,
    terms: Terms,
    plan: Plan,
    valid_rows: Array,
    gaussian: Isotropic,
    at_mean: AtMean,
    at: _AtSigma,
    gradient: Array,
):
    """(sum of all terms, summed errors [L, 5]) by sums over nested blocks of rows."""
    origin = estimator.origin(gaussian, at_mean)
    target = jax.tree.map(
        lambda exact, start: (exact - start.astype(exact.dtype)).astype(start.dtype),
        at.smoothed,
        origin,
    )
    if not plan.inside:
        return jax.tree.map(lambda leaf: jnp.sum(leaf, axis=0), terms), jnp.zeros((0, len(ERRORS)))
    levels, previous = [], 1
    for size in plan.inside:
        terms = _block_sums(terms, size // previous)
        levels.append(terms)
        previous = size
    averages = jax.tree.map(
        lambda *leaves: jnp.concatenate(
            [leaf / size for leaf, size in zip(leaves, plan.inside, strict=True)]
        ),
        *levels,
    )
    blocks = [plan.chunk // size for size in plan.inside]
    sizes = jnp.asarray(np.repeat(plan.inside, blocks), averages.gradient.scale.dtype)
    estimates = jax.vmap(estimator.combine)(averages, sizes)
    found = _errors(estimates, target, at.smoothed.mean, at.bias, gradient)
    errors, first = [], 0
    for size, count in zip(plan.inside, blocks, strict=True):
        whole = jnp.arange(count) < valid_rows // size
        errors.append(jnp.sum(jnp.where(whole[:, None], found[first : first + count], 0), axis=0))
        first += count
    return jax.tree.map(lambda leaf: jnp.sum(leaf, axis=0), terms), jnp.stack(errors)


def _block_sums(terms: Terms, factor: int) -> Terms:
    """Sums of ``factor`` neighbouring rows of every leaf."""
    if factor == 1:
        return terms
    return jax.tree.map(
        lambda leaf: jnp.sum(leaf.reshape(-1, factor, *leaf.shape[1:]), axis=1), terms
    )


def _errors(
    estimates: Isotropic,
    target: Isotropic,
    smoothed: Any,
    bias: Any,
    gradient: Any,
    xp: Any = jnp,
):
    """[..., 5] errors of estimates, less their origin, in the order of `ERRORS`.

    Distances are taken from the exact smoothed gradient, where they are small, and carried to
    grad f(x) by the exact bias: |u + b|^2 = |u|^2 + 2 u.b + |b|^2 loses no digits.
    """
    deviation = jax.tree.map(lambda found, exact: found - exact, estimates, target)
    smoothed = smoothed.astype(bias.dtype)
    squared = xp.sum(deviation.mean**2, -1)
    along_bias = xp.sum(deviation.mean * bias, -1)
    found = deviation.mean + smoothed
    inner = xp.sum(found * gradient, -1)
    length = xp.sqrt(xp.sum(found**2, -1) * xp.sum(gradient**2, -1))
    return xp.stack(
        [
            squared,
            squared + 2 * along_bias + xp.sum(bias**2, -1),
            xp.where(length > 0, inner / xp.where(length > 0, length, 1), length * 0),
            deviation.scale**2,
            estimates.scale**2,
        ],
        axis=-1,
    )


class _Totals:
    """Sums on the host, in float64: groups of chunks, and batches larger than a chunk."""

    def __init__(self, chosen: tuple[Estimator, ...], plan: Plan, truth: Truth):
        num_sigmas = truth.sigmas.shape[0]
        levels = len(plan.inside) + len(plan.outside)
        groups = plan.num_groups
        self.plan, self.truth, self.chosen = plan, truth, chosen
        self.done = 0
        self.at_mean: AtMean | None = None
        self.sums: dict[tuple[str, str], Any] = {}
        self.open: dict[tuple[str, str], list[Any]] = {}
        self.group_draws = np.zeros(groups, np.int64)
        self.errors = {_label(e): np.zeros((groups, num_sigmas, levels, len(ERRORS))) for e in chosen}
        self.group_batches = np.zeros((groups, levels), np.int64)

    def add(self, first_chunk: int, valid: np.ndarray, result: Any) -> None:
        """Adds the chunks of one dispatch in their order."""
        chunks, at_mean = jax.device_get(result)
        self.at_mean = jax.tree.map(np.float64, at_mean)
        for i in range(len(valid)):
            if valid[i] > 0:
                self._add_chunk(first_chunk + i, int(valid[i]), jax.tree.map(lambda x: x[i], chunks))

    def _add_chunk(self, index: int, valid: int, chunk: Any) -> None:
        plan = self.plan
        group = index * plan.num_groups // plan.num_chunks
        self.done += valid
        self.group_draws[group] += valid
        inside = len(plan.inside)
        self.group_batches[group, :inside] += valid // np.array(plan.inside, np.int64)
        for estimator in self.chosen:
            label = _label(estimator)
            if label not in chunk:
                continue
            total, errors = jax.tree.map(np.float64, chunk[label])
            self.errors[label][group, :, :inside] += errors
            self._add_to_group(label, group, total)
            if plan.outside and valid == plan.chunk:
                self._add_outside(estimator, index, total)
        if plan.outside and valid == plan.chunk:
            self._count_outside(index)

    def _add_to_group(self, label: tuple[str, str], group: int, total: Any) -> None:
        if label not in self.sums:
            self.sums[label] = jax.tree.map(
                lambda leaf: np.zeros((self.plan.num_groups, *leaf.shape)), total
            )
        for into, leaf in zip(jax.tree.leaves(self.sums[label]), jax.tree.leaves(total), strict=True):
            into[group] += leaf

    def _add_outside(self, estimator: Estimator, index: int, total: Any) -> None:
        """A counter of open sums: a batch that is whole is measured and joins the next size."""
        label = _label(estimator)
        waiting = self.open.setdefault(label, [None] * len(self.plan.outside))
        for level, size in enumerate(self.plan.outside):
            held = waiting[level]
            total = total if held is None else jax.tree.map(np.add, held, total)
            if ((index + 1) * self.plan.chunk) % size:
                waiting[level] = total
                return
            waiting[level] = None
            group = self._group_of_batch(index, size)
            errors = self._host_errors(estimator, total, size)
            self.errors[label][group, :, len(self.plan.inside) + level] += errors

    def _count_outside(self, index: int) -> None:
        for level, size in enumerate(self.plan.outside):
            if ((index + 1) * self.plan.chunk) % size == 0:
                group = self._group_of_batch(index, size)
                self.group_batches[group, len(self.plan.inside) + level] += 1

    def _group_of_batch(self, last_chunk: int, size: int) -> int:
        batches = self.plan.num_draws // size
        batch = ((last_chunk + 1) * self.plan.chunk) // size - 1
        return batch * min(self.plan.num_groups, batches) // batches

    def _host_errors(self, estimator: Estimator, total: Any, size: int) -> np.ndarray:
        truth = self.truth
        smoothed = Isotropic(truth.smoothed_mean, truth.smoothed_scale)
        target = jax.tree.map(np.subtract, smoothed, self._origin(estimator))
        bias = truth.smoothed_mean - truth.gradient
        averages = jax.tree.map(lambda leaf: leaf / size, total)
        with np.errstate(invalid="ignore", divide="ignore"):
            estimates = estimator.combine(averages, size)
            return _errors(estimates, target, truth.smoothed_mean, bias, truth.gradient, np)

    def _origin(self, estimator: Estimator) -> Isotropic:
        assert self.at_mean is not None
        gaussian = Isotropic(self.truth.smoothed_mean, self.truth.smoothed_scale)
        return jax.tree.map(
            lambda leaf, like: np.broadcast_to(leaf, like.shape),
            estimator.origin(Isotropic(self.truth.point, np.float64(0)), self.at_mean),
            gaussian,
        )

    def result(self) -> Sweep:
        """Averages over each group."""
        estimates, errors = {}, {}
        counts = self.group_batches[:, None, :, None]
        for estimator in self.chosen:
            label = _label(estimator)
            if not estimator.needs:
                estimates[label], errors[label] = self._without_noise(estimator)
                continue
            with np.errstate(invalid="ignore", divide="ignore"):
                found = self._group_estimates(estimator)
                estimates[label] = jax.tree.map(np.add, found, self._origin(estimator))
                errors[label] = self.errors[label] / np.where(counts > 0, counts, np.nan)
        assert self.at_mean is not None
        sizes = np.array(self.plan.inside + self.plan.outside, np.int64)
        return Sweep(
            estimates, errors, sizes, self.group_batches, self.group_draws, self.at_mean
        )

    def _group_estimates(self, estimator: Estimator) -> Isotropic:
        """What each group estimates from its own draws, less the origin."""
        groups = []
        for group, draws in enumerate(self.group_draws):
            averages = jax.tree.map(lambda leaf: leaf[group] / draws, self.sums[_label(estimator)])
            groups.append(estimator.combine(averages, draws))
        return jax.tree.map(lambda *leaves: np.stack(leaves), *groups)

    def _without_noise(self, estimator: Estimator) -> tuple[Isotropic, np.ndarray]:
        """An estimator that needs no draws is the same in every group and batch."""
        smoothed = Isotropic(self.truth.smoothed_mean, self.truth.smoothed_scale)
        origin = self._origin(estimator)
        target = jax.tree.map(np.subtract, smoothed, origin)
        nothing = jax.tree.map(np.zeros_like, smoothed)
        bias = self.truth.smoothed_mean - self.truth.gradient
        gradient = self.truth.gradient
        found = _errors(nothing, target, self.truth.smoothed_mean, bias, gradient, np)
        groups, _, levels, _ = self.errors[_label(estimator)].shape
        return (
            jax.tree.map(lambda leaf: np.broadcast_to(leaf, (groups, *leaf.shape)), origin),
            np.broadcast_to(found[None, :, None], (groups, len(found), levels, len(ERRORS))),
        )
