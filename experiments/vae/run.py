"""Which treatment of a decoder's sigma has the best held-out likelihood?

    sigmaprop vae                            # digits: sigma 1, fixed, learned, in closed form
    sigmaprop vae --preset linear_gaussian   # whose likelihood is known
    sigmaprop vae --sweep.arm unit heteroscedastic --sweep.mean-gradient joint detached

Every arm trains with the same seeds, side by side in one compiled program. Expect, on digits: a
sigma of 1 loses some 95 nats an example to one that is learned, and the learned one is the root
mean square error that the closed form gives.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sigmaprop import data, runs
from sigmaprop.generators import vae_compare
from sigmaprop.generators.arms import VAE_ARMS
from sigmaprop.runs import signals

from ..cli.launch import Experiment
from ..forecast import COMPILING, DRAWING, FLOPS, Forecast, parameters
from ..terminal import Terminal, counted
from ..training import chunks, records, tables
from ..training.loop import Progress, Silent
from . import ahead
from .config import VaeConfig
from .plan import Plan, prepare
from .train import train


def run(
    config: VaeConfig,
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
        The comparison of the arms, see `vae_compare`.
    """
    progress = progress or Silent()
    records.begin(directory, plan, VAE_ARMS, progress)
    with signals.deferred() as stop:
        for index in range(len(plan.groups)):
            if adopt is not None:
                adopt(index)
                continue
            own = chunks.settled(config, plan, index, ahead.programs, directory, progress)
            state = train(own, plan, index, directory, progress, stop)
            if finished is not None:
                finished(state)
    records.save_json(directory, "reference.json", {"distances": {}, "ideal": _truth(config, plan)})
    progress("comparing the arms")
    found = vae_compare.compare(directory.directory)
    records.save_json(directory, "comparison.json", vae_compare.as_json(found))
    return found


def _truth(config: VaeConfig, plan: Plan) -> dict[str, float]:
    """What the density that made the data gives its test examples, where it is known."""
    truth = plan.dataset.truth
    if not isinstance(truth, data.LinearGaussian):
        return {}
    test = plan.dataset.x[plan.dataset.splits.test[: config.eval_examples]]
    each = jax.jit(jax.vmap(truth.log_prob))(jnp.asarray(test))
    return {"held_out_iwae": float(np.mean(np.asarray(each, np.float64)))}


def forecast(config: VaeConfig, plan: Plan) -> Forecast:
    """Counts from shapes: three copies of every weight, and the products of a step."""
    elements = flops = 0
    for group in plan.groups:
        nets = (group.spec.encoder, group.spec.decoder)
        size = sum(map(parameters, nets))
        elements += 4 * len(group.replicas) * size
        flops += 6 * len(group.replicas) * group.spec.batch_size * size
    seconds = config.steps * flops / FLOPS + COMPILING * (2 + 2 * len(plan.groups))
    held = 4 * (elements + plan.dataset.x.size) / 2**20
    cells, seeds = counted(len(plan.cells), "cell"), counted(config.seeds, "seed")
    parts = (cells, seeds, f"{config.steps:,} steps")
    return Forecast(parts, len(plan.groups), held, seconds + 6 * DRAWING)


def write_report(
    target: Path, directories: tuple[Path, ...], tell: Callable[[int, int], None]
) -> None:
    """Draws the page of runs; see `sigmaprop.reporting.vae`."""
    from sigmaprop.reporting import vae as report

    report.write(target, directories, tell)


def _summary(directory: Path, found: list[Any], terminal: Terminal) -> None:
    from sigmaprop.reporting.vae.terminal import table

    del directory
    terminal.print(table(found))


EXPERIMENT = Experiment(
    command="vae",
    config=VaeConfig,
    prepare=prepare,
    headline=records.headline,
    total=records.total_work,
    run=lambda *arguments: run(*arguments),
    keys=tables.KEYS,
    values=tables.VALUES,
    timed=(),
    write_report=write_report,
    summary=_summary,
    forecast=forecast,
    unit="replica-steps",
    concluded=vae_compare.compare,
    warning=records.cannot_settle,
    programs=ahead.programs,
    carried=(chunks.NAME,),
)
