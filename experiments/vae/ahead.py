"""The programs of `sigmaprop vae` for devices that are not at hand; see `sigmaprop compile`."""

from collections.abc import Sequence
from typing import Any

from sigmaprop.generators import vae_step

from ..compile.program import Made, Program, of_replicas
from ..training.loop import Silent
from .config import VaeConfig
from .plan import Group, Plan
from .train import job


def programs(config: VaeConfig, plan: Plan, devices: Sequence[Any]) -> list[Program]:
    """Steps and beginning of every group."""
    found = []
    for index, group in enumerate(plan.groups):
        name = f"group {index + 1}" if len(plan.groups) > 1 else ""
        options = group.replicas[0].cell.options

        def make(num: int, index: int = index, group: Group = group) -> Made:
            groups = list(plan.groups)
            groups[index] = group._replace(replicas=group.replicas[:num])
            own = plan._replace(groups=tuple(groups))
            work = job(config, own, index, Silent(), devices)
            return Made(
                work.engine,
                vae_step.model(group.spec),
                work.hypers,
                work.data,
                lambda state: {"beginning": (work.engine.init, (work.hypers,))},
            )

        found += of_replicas(name, len(group.replicas), config.steps, options.dtype, make)
    return found
