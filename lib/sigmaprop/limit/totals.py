"""Sums on the host, in float64: groups of chunks, and batches larger than a chunk."""

import operator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sigmaprop import processes
from sigmaprop.estimators.base import AtMean, Estimator, finite_origin
from sigmaprop.gaussians import Isotropic
from sigmaprop.limit.plan import Plan
from sigmaprop.limit.program import ERRORS, errors_of
from sigmaprop.limit.truth import Truth


class GroupGradients(NamedTuple):
    """Gradients that groups of samples estimate.

    Attributes:
        mean: to the mean, [G, S, D] float64.
        scale: to the scale, [G, S] float64.
    """

    mean: np.ndarray
    scale: np.ndarray


class Sweep(NamedTuple):
    """What a sweep measured, per group of independent samples. G S D L: group, sigma, dim, level.

    Attributes:
        estimates: for each estimator, by (label, noise): what each group estimates.
        errors: for each estimator, [G, S, L, 5]: averages over the group's batches of each size,
            in the order of `ERRORS`; NaN where a group holds no whole batch of that size.
        batch_draws: [L] draws in a batch of each size.
        group_batches: [G, L] whole batches of each size in each group.
        group_draws: [G] draws in each group.
        at_mean: f and grad f at the mean in the sweep's own precision.
    """

    estimates: dict[tuple[str, str], GroupGradients]
    errors: dict[tuple[str, str], np.ndarray]
    batch_draws: np.ndarray
    group_batches: np.ndarray
    group_draws: np.ndarray
    at_mean: AtMean

    @property
    def num_batches(self) -> np.ndarray:
        """[L] batches of each size, over all groups."""
        return self.group_batches.sum(axis=0)


class Totals:
    """Sums on the host, in float64: groups of chunks, and batches larger than a chunk."""

    def __init__(self, chosen: tuple[Estimator, ...], plan: Plan, truth: Truth):
        num_sigmas = truth.sigmas.shape[0]
        levels = len(plan.inside) + len(plan.outside)
        groups = plan.num_groups
        self.plan, self.truth, self.chosen = plan, truth, chosen
        self.done = 0
        self.at_mean: AtMean | None = None
        self.origins: dict[tuple[str, str], GroupGradients] = {}
        self.sums: dict[tuple[str, str], Any] = {}
        self.open: dict[tuple[str, str], list[Any]] = {}
        self.group_draws = np.zeros(groups, np.int64)
        self.errors = {e.key: np.zeros((groups, num_sigmas, levels, len(ERRORS))) for e in chosen}
        self.group_batches = np.zeros((groups, levels), np.int64)

    def add(self, first_chunk: int, valid: np.ndarray, result: Any) -> None:
        """Adds the chunks of one dispatch in their order."""
        chunks, at_mean = processes.fetch(result)
        self.at_mean = jax.tree.map(np.float64, at_mean)
        for i, count in enumerate(valid):
            if count > 0:
                chunk = jax.tree.map(operator.itemgetter(i), chunks)
                self._add_chunk(first_chunk + i, int(count), chunk)

    def add_without_noise(self, at_mean: AtMean) -> None:
        """Counts all draws and batches for estimators that need none."""
        plan = self.plan
        self.at_mean = jax.tree.map(np.float64, jax.device_get(at_mean))
        for index in range(plan.num_chunks):
            self._add_chunk(index, min(plan.chunk, plan.num_draws - index * plan.chunk), {})

    def _add_chunk(self, index: int, valid: int, chunk: Any) -> None:
        plan = self.plan
        group = index * plan.num_groups // plan.num_chunks
        self.done += valid
        self.group_draws[group] += valid
        inside = len(plan.inside)
        self.group_batches[group, :inside] += valid // np.array(plan.inside, np.int64)
        for estimator in self.chosen:
            label = estimator.key
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
        for into, leaf in zip(
            jax.tree.leaves(self.sums[label]), jax.tree.leaves(total), strict=True
        ):
            into[group] += leaf

    def _add_outside(self, estimator: Estimator, index: int, total: Any) -> None:
        """A counter of open sums: a batch that is whole is measured and joins the next size."""
        label = estimator.key
        waiting = self.open.setdefault(label, [None] * len(self.plan.outside))
        for level, size in enumerate(self.plan.outside):
            held = waiting[level]
            total = total if held is None else jax.tree.map(np.add, held, total)
            if ((index + 1) * self.plan.chunk) % size:
                waiting[level] = total
                return
            waiting[level] = None
            group = self._group_of_batch(index, size)
            errors = self._errors_of_batch(estimator, total, size)
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

    def _errors_of_batch(self, estimator: Estimator, total: Any, size: int) -> np.ndarray:
        averages = jax.tree.map(lambda leaf: leaf / size, total)
        with np.errstate(invalid="ignore", divide="ignore"):
            return self._errors_of(estimator.combine(averages, size), estimator)

    def _errors_of(self, estimates: Any, estimator: Estimator) -> np.ndarray:
        """[S, 5] errors of estimates (mean [S, D], scale [S]) less the estimator's origin."""
        truth, origin = self.truth, self._origin(estimator)
        target = GroupGradients(
            truth.smoothed_mean - origin.mean, truth.smoothed_scale - origin.scale
        )
        bias = truth.smoothed_mean - truth.gradient
        return errors_of(estimates, target, bias, truth.gradient, np)

    def _origin(self, estimator: Estimator) -> GroupGradients:
        """What the estimator's averages lack, at every sigma: mean [S, D], scale [S]."""
        assert self.at_mean is not None
        if estimator.key in self.origins:
            return self.origins[estimator.key]
        # What draws are measured from is a choice; without draws it is the answer itself.
        at_mean = finite_origin(self.at_mean) if estimator.needs else self.at_mean
        start = estimator.origin(Isotropic(jnp.asarray(self.truth.point), jnp.zeros(())), at_mean)
        self.origins[estimator.key] = GroupGradients(
            np.broadcast_to(start.mean, self.truth.smoothed_mean.shape),
            np.broadcast_to(start.scale, self.truth.smoothed_scale.shape),
        )
        return self.origins[estimator.key]

    def result(self) -> Sweep:
        """Averages over each group."""
        estimates, errors = {}, {}
        counts = self.group_batches[:, None, :, None]
        for estimator in self.chosen:
            label = estimator.key
            if not estimator.needs:
                estimates[label], errors[label] = self._without_noise(estimator)
                continue
            estimates[label] = self._group_estimates(estimator)
            with np.errstate(invalid="ignore"):
                errors[label] = self.errors[label] / np.where(counts > 0, counts, np.nan)
        assert self.at_mean is not None
        sizes = np.array(self.plan.inside + self.plan.outside, np.int64)
        return Sweep(estimates, errors, sizes, self.group_batches, self.group_draws, self.at_mean)

    def _group_estimates(self, estimator: Estimator) -> GroupGradients:
        """What each group estimates from its own draws."""
        origin, groups = self._origin(estimator), []
        for group, draws in enumerate(self.group_draws):
            averages = jax.tree.map(
                lambda leaf, g=group: leaf[g] / self.group_draws[g], self.sums[estimator.key]
            )
            with np.errstate(invalid="ignore", divide="ignore"):
                groups.append(estimator.combine(averages, draws))
        return GroupGradients(
            np.stack([one.mean for one in groups]) + origin.mean,
            np.stack([one.scale for one in groups]) + origin.scale,
        )

    def _without_noise(self, estimator: Estimator) -> tuple[GroupGradients, np.ndarray]:
        """An estimator that needs no draws is the same in every group and batch."""
        origin = self._origin(estimator)
        nothing = GroupGradients(np.zeros_like(origin.mean), np.zeros_like(origin.scale))
        found = self._errors_of(nothing, estimator)
        groups, _, levels, _ = self.errors[estimator.key].shape
        return (
            GroupGradients(*(np.broadcast_to(leaf, (groups, *leaf.shape)) for leaf in origin)),
            np.broadcast_to(found[None, :, None], (groups, len(found), levels, len(ERRORS))),
        )
