"""What does the noise at the end of a generator do, and is it worth learning?

    sigmaprop gan                        # digits: sigma = 0, fixed, learned, learned per pixel
    sigmaprop gan --preset ring          # a mixture whose modes can be counted
    sigmaprop gan --sweep.arm zero fixed global --sweep.learning-rate 1e-4 1e-3 --seeds 16

Every arm trains with the same seeds, all of them side by side in one compiled program. Expect, on
clean data: every learned sigma falls, nearly as fast as its learning rate lets it, and the arms
differ by less than their seeds do.
"""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sigmaprop import runs
from sigmaprop.generators import compare as gan_comparison
from sigmaprop.generators import evaluation
from sigmaprop.generators.arms import ARMS
from sigmaprop.generators.evaluation import Reference
from sigmaprop.metrics import distances, modes, real_against_real
from sigmaprop.metrics.real_against_real import Null
from sigmaprop.runs import signals

from ..cli.launch import Experiment
from ..forecast import COMPILING, DRAWING, FLOPS, Forecast, parameters
from ..terminal import Terminal, counted
from ..training import chunks, records
from ..training.groups import seed_numbers
from ..training.loop import Progress, Silent
from . import ahead, constants, frozen
from . import tables as gan_tables
from . import tensorboard as gan_tensorboard
from .config import GanConfig
from .plan import Plan, prepare
from .programs import make_reference
from .train import train

_NULL_DRAWS = 200
_STREAM_NULL = 1


def run(
    config: GanConfig,
    plan: Plan,
    directory: runs.Run,
    progress: Progress | None = None,
    finished: Callable[[Any], None] | None = None,
    adopt: Callable[[int], None] | None = None,
) -> list[Any]:
    """Trains every replica, from its last checkpoint if there is one, and compares the arms.

    Args:
        config: the options, as recorded.
        plan: from `prepare`.
        directory: the run directory to write into.
        progress: told what is being done.
        finished: given the last state of each group.
        adopt: writes what the training of a group would, in its place.

    Returns:
        The comparison of the arms, see `gan_comparison`.
    """
    progress = progress or Silent()
    progress("reference for the scores")
    reference = make_reference(config, plan)
    records.begin(directory, plan, ARMS, progress)
    if plan.constants is not None:
        constants.save(directory, plan.constants)
    with signals.deferred() as stop:
        for index in range(len(plan.groups)):
            if adopt is not None:
                adopt(index)
                continue
            own = chunks.settled(config, plan, index, ahead.programs, directory, progress)
            state = train(own, plan, index, directory, reference, progress, stop)
            if finished is not None:
                finished(state)
    real = real_scores(config, plan, reference, progress)
    records.save_json(directory, "reference.json", real)
    progress("comparing the arms")
    found = gan_comparison.compare(directory.directory)
    records.save_json(directory, "comparison.json", gan_comparison.as_json(found))
    return found


def real_scores(
    config: GanConfig, plan: Plan, reference: Reference, progress: Progress | None = None
) -> dict[str, Any]:
    """Each distance between real examples and other real examples: what no generator can beat.

    As many examples stand for generated ones as scores take, or as many as there are. Where seeds
    have splits of their own, "per_seed" has the line of each, with its bandwidths, and the draws of
    all of them together make the line of the run. Of a known mixture, what it scores itself stands
    under "ideal".
    """
    measure = functools.partial(_real_against_real, config, plan, reference)
    key = jax.random.fold_in(reference.key, _STREAM_NULL)
    progress = progress or Silent()
    mixture = reference.mixture
    ideal = {} if mixture is None else modes.ideal(mixture.means, mixture.std)
    found = _sizes(config, plan) | {"ideal": ideal}
    if not config.redraw_split:
        progress("real against real")
        return found | {"distances": _line([measure(0, key)])}
    each = []
    for place, seed in enumerate(seed_numbers(config)):
        progress(f"real against real: split {place + 1} of {config.seeds}")
        each.append(measure(place, jax.random.fold_in(key, seed)))
    per_seed = [
        {
            "seed": seed,
            "squared_bandwidths": bandwidths.tolist(),
            "distances": _line([nulls]),
        }
        for seed, bandwidths, nulls in zip(
            seed_numbers(config), plan.squared_bandwidths, each, strict=True
        )
    ]
    return found | {"distances": _line(each), "per_seed": per_seed}


def _sizes(config: GanConfig, plan: Plan) -> dict[str, int]:
    """How many real examples stand for generated ones and for held-out ones."""
    split = plan.splits[0]
    num_held_out = min(config.eval_samples, len(getattr(split, config.held_out)))
    return {
        "num_samples": min(config.eval_samples, len(split.train)),
        "num_held_out": num_held_out,
    }


def _real_against_real(
    config: GanConfig, plan: Plan, reference: Reference, place: int, key: jax.Array
) -> dict[str, Null]:
    """The null of every distance in the split of a seed, told by its place among those of a run."""
    split, sizes = plan.splits[place], _sizes(config, plan)
    held_out = getattr(split, config.held_out)[: config.eval_samples]
    pool = jnp.asarray(plan.dataset.x[np.concatenate([split.train, held_out])])
    bandwidths = jnp.asarray(plan.squared_bandwidths[place])
    own = reference._replace(squared_bandwidths=bandwidths, mixture=None)
    return {name: _null(pool, key, own, name, **sizes) for name in distances()}


@functools.partial(jax.jit, static_argnums=3, static_argnames=("num_samples", "num_held_out"))
def _null(
    pool: jax.Array,
    key: jax.Array,
    reference: Reference,
    name: str,
    *,
    num_samples: int,
    num_held_out: int,
) -> Null:
    """That of one distance; compiled once for all splits."""

    def statistic(x: jax.Array, y: jax.Array) -> jax.Array:
        return evaluation.scores(x, y, reference, (name,))[0]

    return real_against_real.null(
        pool, key, statistic, num_samples, _NULL_DRAWS, num_held_out=num_held_out
    )


def _line(each: list[dict[str, Null]]) -> dict[str, dict[str, float]]:
    """Of each distance, what the draws of all these splits say."""
    nulls = {name: real_against_real.pooled([one[name] for one in each]) for name in distances()}
    return {
        name: {
            "mean": float(null.mean),
            "median": float(null.median),
            "percentile_95": float(null.percentile_95),
        }
        for name, null in nulls.items()
    }


def _prepare(config: GanConfig, directory: Path | None = None) -> Plan:
    gan_tensorboard.check(config.tensorboard)
    return prepare(config, frozen.stored(config, directory))


def forecast(config: GanConfig, plan: Plan) -> Forecast:
    """Counts from shapes: three copies of every weight, and the products of a step."""
    elements = flops = 0
    for group in plan.groups:
        options = group.replicas[0].cell.options
        sizes = [*map(parameters, (group.spec.generator, group.spec.discriminator))]
        examples = options.batch_size * (2 * options.discriminator_steps + 1)
        flops += len(group.replicas) * 6 * (options.batch_size * sizes[0] + examples * sizes[1])
        elements += len(group.replicas) * 4 * sum(sizes)
    seconds = config.steps * flops / FLOPS + COMPILING * (2 + 4 * len(plan.groups))
    held = 4 * (elements + plan.dataset.x.size) / 2**20
    parts = (
        counted(len(plan.cells), "cell"),
        counted(config.seeds, "seed"),
        f"{config.steps:,} steps",
    )
    return Forecast(parts, len(plan.groups), held, seconds + 12 * DRAWING)


def write_report(
    target: Path, directories: tuple[Path, ...], tell: Callable[[int, int], None]
) -> None:
    """Draws the page of runs; see `sigmaprop.reporting.gan`."""
    from sigmaprop.reporting import gan as report

    report.write(target, directories, tell)


def _summary(directory: Path, found: list[Any], terminal: Terminal) -> None:
    from sigmaprop.reporting.gan.terminal import tables

    for table in tables(directory, found):
        terminal.print(table)


EXPERIMENT = Experiment(
    command="gan",
    config=GanConfig,
    prepare=_prepare,
    headline=records.headline,
    total=records.total_work,
    run=lambda *arguments: run(*arguments),
    keys=gan_tables.KEYS,
    values=gan_tables.VALUES,
    timed=(),
    write_report=write_report,
    summary=_summary,
    forecast=forecast,
    unit="replica-steps",
    concluded=gan_comparison.compare,
    warning=records.cannot_settle,
    resolved=frozen.resolved,
    prepare_again=_prepare,
    programs=ahead.programs,
    carried=(chunks.NAME,),
)
