"""The compiled programs of `sigmaprop gan`: a group of replicas with its inputs on the devices."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sigmaprop import data
from sigmaprop.generators import evaluation, gan, gap, observation, post_hoc, replicas
from sigmaprop.generators.evaluation import Reference
from sigmaprop.generators.gan import Hypers, State
from sigmaprop.generators.replicas import Engine
from sigmaprop.generators.step import model

from ..training.groups import engine_of
from ..training.records import SHOWN
from .config import GanConfig
from .plan import Group, Plan, all_hypers

_STREAM_REFERENCE = 2**32 - 1


class HeldOut(NamedTuple):
    """What replicas are scored by: those of a seed have its split.

    Attributes:
        rows: of ``reference.data`` to score against, [R, M].
        squared_bandwidths: of the MMD's kernels, from the rows that the replica trains on, [R, J].
        validation: rows that noise behind the means is fitted to, [R, N].
    """

    rows: Any
    squared_bandwidths: Any
    validation: Any


class CompiledGroup(NamedTuple):
    """The program of a group and its inputs.

    Attributes:
        group: the replicas.
        engine: their program.
        hypers: of all replicas, padded.
        data: training data, or all of it where replicas have rows of their own.
        held_out: what each replica is scored by, padded.
        reference: what all are scored against.
        clean: the same examples before noise was added to them, None where none was.
        score: ``(state, held_out, hypers, reference, t, fitted) -> [R, weights, of, name]``.
        pictures: ``(state, hypers, t, fitted) -> {name: [R, SHOWN, D]}``.
        fit: ``(state, held_out, hypers, reference, t) -> fitted``, [R, weights] or [R, weights, D],
            the noise of the arm post_hoc; None for the others, which then take None for it.
        gap: ``(state, hypers, t) ->`` the gap at ``group.firsts`` and each of the sigmas.
    """

    group: Group
    engine: Engine
    hypers: Hypers
    data: jax.Array
    held_out: HeldOut
    reference: Reference
    clean: Reference | None
    score: Callable[..., jax.Array]
    pictures: Callable[..., dict[str, jax.Array]]
    fit: Callable[..., jax.Array] | None
    gap: Callable[[State, Hypers, int], gap.Gap]

    @property
    def numbers(self) -> list[int]:
        """The replicas' numbers."""
        return [replica.number for replica in self.group.replicas]


def make_reference(config: GanConfig, plan: Plan) -> Reference:
    """What all replicas are scored against, with the bandwidths of the first seed's split."""
    dataset = plan.dataset
    truth = dataset.truth
    return Reference(
        jnp.asarray(dataset.x),
        jnp.asarray(plan.squared_bandwidths[0]),
        jax.random.fold_in(jax.random.key(config.seed), _STREAM_REFERENCE),
        truth if isinstance(truth, data.Mixture) else None,
    )


def compile_group(
    config: GanConfig,
    plan: Plan,
    group: Group,
    reference: Reference,
    devices: Sequence[Any] | None = None,
) -> CompiledGroup:
    """The program of a group; it is compiled when it first runs.

    For ``devices`` that are not at hand its inputs are only described; None: the local ones.
    """
    engine = engine_of(config, model(group.spec), len(group.replicas), devices)
    root = jax.random.key(config.seed)
    own = config.redraw_split
    places = [replica.seed - config.first_seed for replica in group.replicas]
    splits = [plan.splits[place] for place in places]
    rows = np.stack([split.train for split in splits]) if own else None
    found = all_hypers(group.replicas, group.spec, config.steps, root, rows, group.given)
    held_out = HeldOut(
        _rows([getattr(split, config.held_out)[: config.eval_samples] for split in splits]),
        plan.squared_bandwidths[places],
        _rows([split.validation for split in splits]),
    )
    train = plan.dataset.x if own else plan.dataset.x[plan.dataset.splits.train]
    return CompiledGroup(
        group,
        engine,
        engine.place(found),
        engine.replicate(jnp.asarray(train)),
        engine.place(held_out),
        engine.replicate(reference),
        _clean(plan.dataset, reference, engine) if config.clean_scores else None,
        jax.jit(_score(config, group, engine)),
        jax.jit(_pictures(group, engine)),
        jax.jit(_fit(group, engine)) if group.fitted else None,
        _gap(config, group, train),
    )


def _rows(each: list[np.ndarray]) -> np.ndarray:
    """Numbers of rows, as many for each replica, [R, M]."""
    return np.stack(each).astype(np.int32)


def _clean(dataset: data.Dataset, reference: Reference, engine: Engine) -> Reference | None:
    """The reference whose examples have no noise; the truth of a mixture holds it, so none here."""
    if dataset.clean is None:
        return None
    return engine.replicate(reference._replace(data=jnp.asarray(dataset.clean), mixture=None))


def _score(config: GanConfig, group: Group, engine: Engine) -> Callable[..., Any]:
    def one(both: Any, own: Hypers, reference: Reference, t: jax.Array) -> jax.Array:
        state, held_out, fitted = both
        reference = reference._replace(squared_bandwidths=held_out.squared_bandwidths)
        return evaluation.score(
            *(group.spec, config.eval_samples, reference, state, own, held_out.rows, t),
            post_hoc.by_weights(own, fitted),
        )

    return lambda state, held_out, own, reference, t, fitted=None: engine.map(
        one, (state, held_out, fitted), own, reference, t
    )


def _fit(group: Group, engine: Engine) -> Callable[..., Any]:
    """The noise that suits each replica's validation examples best."""

    def one(both: Any, own: Hypers, reference: Reference, t: jax.Array) -> jax.Array:
        state, held_out = both
        x = reference.data[held_out.validation]
        return post_hoc.fit(group.spec, state, own, x, t, family=group.fitted or "isotropic")

    return lambda state, held_out, own, reference, t: engine.map(
        one, (state, held_out), own, reference, t
    )


def _pictures(group: Group, engine: Engine) -> Callable[..., Any]:
    """Means, samples and scales of the noise for latents that all replicas of a seed share."""
    dim = group.spec.observation.dim

    def one(both: Any, own: Hypers, t: jax.Array) -> dict[str, jax.Array]:
        state, fitted = both
        every = evaluation.generators(state)
        each = post_hoc.by_weights(own, fitted) or (own,) * len(every)
        key = jax.random.fold_in(gan.streams(own.key)["evaluation"], 0)
        pictures = {}
        for weights, params, noise in zip(evaluation.WEIGHTS, every, each, strict=False):
            fakes = evaluation.sample(group.spec, params, noise, key, SHOWN, t)
            scale = observation.per_coordinate_std(fakes.noise, SHOWN, dim)
            drawn = {"mean": fakes.mean, "x": fakes.x, "scale": scale}
            pictures |= {f"{name}_{weights}": value for name, value in drawn.items()}
        return pictures

    return lambda state, own, t, fitted=None: engine.map(one, (state, fitted), own, t)


def _gap(
    config: GanConfig, group: Group, data: np.ndarray
) -> Callable[[State, Hypers, int], gap.Gap]:
    """The measurement of the gap, compiled once for all steps of a run.

    The replicas are spread over the devices anew: what is left of the state's own layout would make
    every device measure all of them. All devices take part, so that no bit depends on their number.
    """
    num = len(group.firsts)
    engine = replicas.engine(model(group.spec), max(num, jax.local_device_count()), replica_chunk=1)
    chosen = np.minimum(np.arange(engine.layout.padded(engine.num)), num - 1)
    rows = np.asarray(group.firsts)[chosen]

    def one(state: State, hypers: Hypers, *rest: jax.Array) -> gap.Gap:
        return gap.measure(group.spec, state, hypers, *rest, num_samples=config.gap_samples)

    take = jax.jit(lambda tree, rows: jax.tree.map(lambda leaf: leaf[rows], tree))
    measure = jax.jit(lambda state, hypers, *rest: engine.map(one, state, hypers, *rest))

    rest = (data,) if group.spec.loss.paired else ()

    def program(state: State, hypers: Hypers, step: int) -> gap.Gap:
        where = engine.layout
        chosen_replicas = where.put(take((state, hypers), rows), where.sharding)
        sigmas = jnp.asarray(config.gap_sigmas, jnp.float32)
        return measure(*chosen_replicas, *engine.replicate((sigmas, jnp.asarray(step), *rest)))

    return program
