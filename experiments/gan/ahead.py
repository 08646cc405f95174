"""The programs of `sigmaprop gan` for devices that are not at hand; see `sigmaprop compile`."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax

from sigmaprop.generators.evaluation import Reference
from sigmaprop.generators.step import model

from ..compile.program import Made, Program, of_replicas
from .config import GanConfig
from .plan import Group, Plan
from .programs import compile_group, make_reference


def programs(config: GanConfig, plan: Plan, devices: Sequence[Any]) -> list[Program]:
    """Steps, beginning, scores and pictures of every group.

    The gap and the comparison of real with real examples are left out: they take one replica of a
    cell at a time, and less of everything.
    """
    reference, found = make_reference(config, plan), []
    for index, group in enumerate(plan.groups):
        name = f"group {index + 1}" if len(plan.groups) > 1 else ""
        options = group.replicas[0].cell.options

        def make(num: int, group: Group = group) -> Made:
            return _made(config, plan, group, reference, devices, num)

        found += of_replicas(name, len(group.replicas), config.steps, options.dtype, make)
    return found


def _made(
    config: GanConfig,
    plan: Plan,
    group: Group,
    reference: Reference,
    devices: Sequence[Any],
    num: int,
) -> Made:
    """The first ``num`` replicas of a group."""
    own = group._replace(replicas=group.replicas[:num], given=group.given[:num])
    work = compile_group(config, plan, own, reference, devices)
    engine = work.engine
    t = engine.replicate(jax.numpy.asarray(0))

    def others(state: Any) -> Mapping[str, tuple[Any, tuple[Any, ...]]]:
        found: dict[str, tuple[Any, tuple[Any, ...]]] = {}
        found["beginning"], fitted = (engine.init, (work.hypers,)), None
        if work.fit is not None:
            arguments = (state, work.held_out, work.hypers, work.reference, t)
            fitted = engine.described(jax.eval_shape(work.fit, *arguments))
            found["fit of noise"] = (work.fit, arguments)
        held_out = (state, work.held_out, work.hypers, work.reference, t, fitted)
        found["scores"] = (work.score, held_out)
        found["pictures"] = (work.pictures, (state, work.hypers, t, fitted))
        return found

    return Made(engine, model(group.spec), work.hypers, work.data, others)
