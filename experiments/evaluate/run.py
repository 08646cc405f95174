"""What do other metrics, and the likelihood, say of a finished run?

    sigmaprop evaluate runs/mine --metrics kid energy coverage
    sigmaprop evaluate runs/mine --likelihood ais parzen

All replicas are scored at once: their means, their examples with sigma as it was trained, and with
the one number in its place that validation examples like best. The run itself is not changed; what
is found lies in a run of its own below it, which its report shows.
"""

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pyarrow as pa

from sigmaprop import likelihood, runs
from sigmaprop.metrics import features, mmd, real_against_real
from sigmaprop.metrics.scoring import Reference, scores
from sigmaprop.metrics.uncertainty import with_halves
from sigmaprop.reporting.evaluate.below import FOLDER
from sigmaprop.runs.files import read_json

from .. import parts as recording
from ..cli.launch import Experiment
from ..forecast import COMPILING, DRAWING, Forecast
from ..gan.run import write_report as draw_gan
from ..terminal import Terminal, counted
from ..training.records import save_json
from ..vae.run import write_report as draw_vae
from . import refits
from .config import EvaluateConfig
from .models import Model, Source, load
from .work import annealing_seconds

KEYS = ("replica", "metric", "of", "weights", "features")
VALUES = ("value", "error")
SCHEMA = pa.schema(
    [("replica", pa.int64())]
    + [(name, pa.string()) for name in KEYS[1:]]
    + [(name, pa.float64()) for name in VALUES]
)
"""``of``: "mean", "x" (sigma as trained), "refitted" (the mean with the sigma that validation
examples like best); of real examples against others, replica -1, "median" and "percentile_95".
``error``: the standard error; of a likelihood that of its mean over examples."""

_STREAM = 18
"""Folded into the seed, so that nothing of the run's own is drawn again."""
_MOST_TRAINING = 2000
"""Training examples that metrics which look for copies are given, at most."""
_REAL_DRAWS = 50


class Plan(NamedTuple):
    """A checked configuration: the finished run, and what metrics are measured in."""

    source: Source
    features: features.FeatureMap


def prepare(config: EvaluateConfig) -> Plan:
    """Loads the run, and trains the classifier if it is asked for.

    Raises:
        ValueError: one sentence that names the option, its value and what is allowed.
    """
    if not config.run:
        raise ValueError("evaluate needs RUN: the directory of a finished run of gan or vae")
    source = load(Path(config.run), config.seeds, config.weights)
    dataset, splits = source.dataset, source.dataset.splits
    seen = features.get(config.features, dataset.x, dataset.labels, splits.train, splits.validation)
    if "iwae" in config.likelihood and runs.load_command(source.directory) != "vae":
        raise ValueError("--likelihood iwae needs the encoder of a vae; take ais for a run of gan")
    return Plan(source, seen)


def run(
    config: EvaluateConfig,
    plan: Plan,
    directory: runs.Run,
    progress: Callable[[str], None] = lambda what: None,
) -> list[Any]:
    """Evaluates what is left of the run's programs; writes metrics, and what was measured in."""
    save_json(directory, "replicas.json", read_json(plan.source.directory / "replicas.json"))
    save_json(directory, "features.json", {"name": plan.features.name} | plan.features.record)
    done = recording.recorded(directory)
    for number, (what, measure) in enumerate(_work(config, plan), 1):
        if number <= len(done):
            progress(f"{what}: measured before the evaluation was stopped")
            continue
        progress(what)
        table = pa.Table.from_pylist(list(measure()), schema=SCHEMA)
        recording.record(directory, number, table, [])
    recording.conclude(directory, [])
    return []


def _work(
    config: EvaluateConfig, plan: Plan
) -> Iterator[tuple[str, Callable[[], Iterator[dict[str, Any]]]]]:
    """What there is to measure, a part each, in an order that depends on the options alone."""
    if config.metrics:
        yield "real against real", functools.partial(_real, config, plan)
    for index, model in enumerate(plan.source.groups(), 1):
        where = f"models {index} ({model.weights})"
        refit = functools.cache(functools.partial(_refitted, config, plan, model))
        yield f"{where}: sigma refitted", functools.partial(_sigmas, model, refit)
        if config.metrics:
            yield f"{where}: metrics", functools.partial(_scores, config, plan, model, refit)
        for method in config.likelihood:
            yield (
                f"{where}: {method}",
                functools.partial(_likelihoods, config, plan, model, refit, method),
            )


def _key(config: EvaluateConfig, purpose: int) -> jax.Array:
    return jax.random.fold_in(jax.random.fold_in(jax.random.key(config.seed), _STREAM), purpose)


def _rows_of(config: EvaluateConfig, plan: Plan, model: Model, name: str, most: int) -> jax.Array:
    """So many rows of the split of every replica's seed, at most, [R, M]."""
    each = [getattr(plan.source.splits[seed], name)[:most] for seed in model.seeds]
    return model.engine.place(jnp.asarray(np.stack(each)))


def _refitted(config: EvaluateConfig, plan: Plan, model: Model) -> likelihood.Refit:
    """The noise of every replica that validation examples like best, its leaves [R, ...]."""
    x = model.engine.replicate(jnp.asarray(plan.source.dataset.x))
    rows = _rows_of(config, plan, model, "validation", config.refit_examples)

    def one(both: Any, own: Any, x: jax.Array, key: jax.Array) -> likelihood.Refit:
        params, rows = both
        return refits.fit(config, model, params, own, x[rows], key)

    found = _map(model, one, rows, x, _key(config, 1))
    return refits.only_alive(model, found)


def _map(model: Model, function: Callable[..., Any], rows: jax.Array, *rest: Any) -> Any:
    """The function of ((params, rows), hypers, *rest) of every replica, compiled as one program."""
    mapped = jax.jit(lambda both, own, *rest: model.engine.map(function, both, own, *rest))
    found = mapped((model.params, rows), model.hypers, *rest)
    return model.engine.fetch(found)


def _placed(model: Model, refit: likelihood.Refit) -> likelihood.Refit:
    return model.engine.place(jax.tree.map(jnp.asarray, refit))


def _sigmas(model: Model, refit: Callable[[], likelihood.Refit]) -> Iterator[dict[str, Any]]:
    for number, value in zip(model.numbers, refits.size(refit()), strict=True):
        yield _row(number, "refitted_sigma", "refitted", model.weights, "", float(value), np.nan)


def _scores(
    config: EvaluateConfig, plan: Plan, model: Model, refit: Callable[[], likelihood.Refit]
) -> Iterator[dict[str, Any]]:
    """Every metric of mean, x, and mean with the refitted sigma."""
    source, see = plan.source, plan.features.function or (lambda rows: rows)
    x = model.engine.replicate(jnp.asarray(source.dataset.x))
    held_out = _rows_of(config, plan, model, config.held_out, config.num_samples)
    train = _rows_of(config, plan, model, "train", _MOST_TRAINING)
    finest = source.dataset.finest if plan.features.function is None else None
    bandwidths = {
        seed: mmd.squared_bandwidths(
            np.asarray(see(jnp.asarray(source.dataset.x[source.splits[seed].train]))),
            finest=finest,
        )
        for seed in dict.fromkeys(model.seeds)
    }
    each = model.engine.place(jnp.stack([bandwidths[seed] for seed in model.seeds]))
    rest = (held_out, train, each, _placed(model, refit()))

    def one(both: Any, own: Any, x: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        params, (held_out, train, bandwidths, refit) = both
        key_draw, key_eps, key_halves, key_metric = jax.random.split(key, 4)
        mean, made = model.draw(params, own, key_draw, config.num_samples)
        decode = refits.decoder(config, model, params, own, refit)
        refitted = refits.noised(decode, refit, model, mean, key_eps)
        context = Reference(x, bandwidths, key_metric, None, see(x[train]))
        real = see(x[held_out])
        judge = functools.partial(_with_error, config, context, real, key_halves)
        values = [judge(see(one)) for one in (mean, made, refitted)]
        return jnp.stack([v for v, _ in values]), jnp.stack([e for _, e in values])

    found = _map(model, one, rest, x, _key(config, 2))  # pyright: ignore
    for row, number in enumerate(model.numbers):
        for place, of in enumerate(("mean", "x", "refitted")):
            for column, name in enumerate(config.metrics):
                value, error = (float(array[row, place, column]) for array in found)
                if not model.alive[row]:
                    value = error = np.nan
                yield _row(number, name, of, model.weights, config.features, value, error)


def _with_error(
    config: EvaluateConfig, context: Reference, real: jax.Array, key: jax.Array, x: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The metrics of a sample, and their standard errors from halves; see `uncertainty`."""
    keys = jax.random.split(key, config.halves)
    values, halves = with_halves(x, real, context, keys, config.metrics)
    return values, jnp.std(halves, axis=0, ddof=1)


def _likelihoods(
    config: EvaluateConfig,
    plan: Plan,
    model: Model,
    refit: Callable[[], likelihood.Refit],
    method: str,
) -> Iterator[dict[str, Any]]:
    """Mean log-likelihood of held-out examples, with sigma as trained and refitted."""
    x = model.engine.replicate(jnp.asarray(plan.source.dataset.x))
    most = config.num_samples if method == "parzen" else config.num_examples
    held_out = _rows_of(config, plan, model, config.held_out, most)
    validation = _rows_of(config, plan, model, "validation", config.num_samples)
    refit_of_all = _placed(model, refit())
    estimate = functools.partial(_METHODS[method], config, model)

    def one(both: Any, own: Any, x: jax.Array, key: jax.Array) -> jax.Array:
        params, (rows, validation, refit) = both
        known = _Known(params, own, x[rows], x[validation], key)
        decode = refits.decoder(config, model, params, own, refit)
        as_trained = estimate(known, model.decode(params, own), None)
        return jnp.stack([as_trained, estimate(known, decode, refit)])

    rest = (held_out, validation, refit_of_all)
    found = _map(model, one, rest, x, _key(config, 3))  # pyright: ignore
    for row, number in enumerate(model.numbers):
        for place, of in enumerate(("x", "refitted")):
            value, error = (float(one) for one in found[row, place])
            if not (model.alive[row] and np.isfinite(value)):
                value = error = np.nan
            yield _row(number, method, of, model.weights, "", value, error)


def _mean(each: jax.Array) -> jax.Array:
    """Mean over examples and its standard error, [2]."""
    return jnp.stack([jnp.mean(each), jnp.std(each, ddof=1) / jnp.sqrt(len(each))])


class _Known(NamedTuple):
    """What a method may use of one replica."""

    params: Any
    own: Any
    x: jax.Array
    validation: jax.Array
    key: jax.Array


def _ais(config: EvaluateConfig, model: Model, known: _Known, decode: Any, refit: Any) -> jax.Array:
    del refit
    found = likelihood.ais(decode, known.x, known.key, **_annealing(config, model))
    return _mean(found.log_prob)


def _bdmc(
    config: EvaluateConfig, model: Model, known: _Known, decode: Any, refit: Any
) -> jax.Array:
    """By how much `_ais` may be too small: upper less lower bound, on the model's own examples."""
    del refit
    options = _annealing(config, model)
    found = likelihood.bdmc(decode, known.key, num_examples=config.num_examples, **options)
    return _mean(found.upper - found.lower)


def _annealing(config: EvaluateConfig, model: Model) -> dict[str, Any]:
    """Options that both directions have in common."""
    return {
        "latent_dim": model.latent_dim,
        "num_chains": config.num_chains,
        "num_temperatures": config.num_temperatures,
        "schedule": config.schedule,
        "prior": model.prior,
    }


def _iwae(
    config: EvaluateConfig, model: Model, known: _Known, decode: Any, refit: Any
) -> jax.Array:
    del refit
    assert model.encode is not None
    found = likelihood.iwae(
        decode,
        model.encode(known.params, known.own),
        known.x,
        known.key,
        latent_dim=model.latent_dim,
        num_samples=config.importance_samples,
    )
    return _mean(found.log_prob)


def _parzen(
    config: EvaluateConfig, model: Model, known: _Known, decode: Any, refit: Any
) -> jax.Array:
    """A window around examples, drawn with sigma as trained where none is given."""
    key_draw, key_eps = jax.random.split(known.key)
    mean, x = model.draw(known.params, known.own, key_draw, config.num_samples)
    if refit is not None:
        x = refits.noised(decode, refit, model, mean, key_eps)
    found = likelihood.parzen(x, known.x, known.validation)
    return jnp.stack([found.log_prob, found.standard_error])


_METHODS: dict[str, Callable[..., Any]] = {
    "ais": _ais,
    "bdmc": _bdmc,
    "iwae": _iwae,
    "parzen": _parzen,
}


def _real(config: EvaluateConfig, plan: Plan) -> Iterator[dict[str, Any]]:
    """Each metric between real examples and others: what no generator can beat."""
    dataset, see = plan.source.dataset, plan.features.function or (lambda rows: rows)
    splits = dataset.splits
    held_out = getattr(splits, config.held_out)[: config.num_samples]
    pool = jnp.asarray(dataset.x[np.concatenate([splits.train, held_out])])
    num_samples = min(config.num_samples, (len(pool) - len(held_out)) // 2)
    train = see(jnp.asarray(dataset.x[splits.train[:_MOST_TRAINING]]))
    finest = dataset.finest if plan.features.function is None else None
    bandwidths = mmd.squared_bandwidths(np.asarray(train), finest=finest)
    key = _key(config, 4)
    for name in config.metrics:
        context = Reference(pool, bandwidths, key, None, train)
        null = _null(pool, key, context, name, see, num_samples, len(held_out))
        for of, value in (("median", null.median), ("percentile_95", null.percentile_95)):
            yield _row(-1, name, of, "", config.features, float(value), np.nan)


@functools.partial(jax.jit, static_argnums=(3, 4, 5, 6))
def _null(
    pool: jax.Array,
    key: jax.Array,
    context: Reference,
    name: str,
    see: Callable[..., Any],
    num_samples: int,
    num_held_out: int,
) -> real_against_real.Null:
    return real_against_real.null(
        pool,
        key,
        lambda x, y: scores(see(x), see(y), context, (name,))[0],
        num_samples,
        _REAL_DRAWS,
        num_held_out=num_held_out,
    )


def _row(
    replica: int, metric: str, of: str, weights: str, seen: str, value: float, error: float
) -> dict[str, Any]:
    words = {"metric": metric, "of": of, "weights": weights, "features": seen}
    return {"replica": replica, **words, "value": value, "error": error}


def headline(config: EvaluateConfig, plan: Plan) -> str:
    """What is about to be done."""
    what = [counted(len(config.metrics), "metric")] if config.metrics else []
    return f"{' and '.join([*what, *config.likelihood])} of {config.run}"


def total_work(config: EvaluateConfig, plan: Plan) -> None:
    """Nothing that could be counted beforehand."""
    del config, plan


def forecast(config: EvaluateConfig, plan: Plan) -> Forecast:
    """Counts programs, which compile for longer than most metrics take, and likelihoods' moves."""
    kinds = 1 + bool(config.metrics) + len(config.likelihood)
    decoders = plan.source.decoders
    programs = kinds * len(decoders) + len(config.metrics)
    parts = (counted(len(config.metrics), "metric"), counted(len(decoders), "program"))
    held = 8 * plan.source.dataset.x.nbytes / 2**20
    seconds = programs * 4 * COMPILING + 2 * DRAWING + annealing_seconds(config, decoders)
    return Forecast(parts, programs, held, seconds)


def write_report(
    target: Path, directories: tuple[Path, ...], tell: Callable[[int, int], None]
) -> None:
    """Draws the page of evaluations, and anew that of the run that one lies in."""
    from sigmaprop.reporting import evaluate as report

    report.write(target, directories, tell)
    source = directories[0].resolve().parent.parent
    if (
        target == directories[0]
        and target.parent.name == FOLDER
        and (source / "status.json").exists()
    ):
        draw = {"gan": draw_gan, "vae": draw_vae}.get(runs.load_command(source))
        if draw is not None:
            draw(source, (source,), lambda drawn, total: None)


def _summary(directory: Path, found: list[Any], terminal: Terminal) -> None:
    from sigmaprop.reporting.evaluate.terminal import tables

    del found
    for one in tables(directory):
        terminal.print(one)


EXPERIMENT = Experiment(
    command="evaluate",
    config=EvaluateConfig,
    prepare=prepare,
    headline=headline,
    total=total_work,
    run=lambda *arguments: run(*arguments),
    keys=KEYS,
    values=VALUES,
    timed=(),
    write_report=write_report,
    summary=_summary,
    forecast=forecast,
    root=lambda config: Path(config.run) / FOLDER,
)
