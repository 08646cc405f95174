"""What a study will take, told before it begins."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ..cli import registry
from ..evaluate.work import annealing_seconds
from ..forecast import COMPILING, parameters
from ..terminal import counted
from . import gates, selection, stages
from .registration import Block, Likelihood, Preset, Registration

_OF_METRIC = 60.0
"""Seconds that the gate of a metric takes, about."""


class Load(NamedTuple):
    """The share of a block, or of a likelihood."""

    replicas: int
    steps: int
    seconds: float
    mebibytes: float


def lines(registration: Registration, preset: Preset) -> Iterator[str]:
    """A line a block, then the sum: cells, minutes, memory.

    Raises:
        ValueError: the registration has options that no command takes.
    """
    stages.checked(registration, preset)
    loads = []
    for name in preset.blocks:
        block = registration.block(name)
        load = _load(registration, preset, block)
        loads.append(load)
        yield (
            f"{name}: {counted(len(block.arms), 'arm')}, {counted(load.replicas, 'replica')} x "
            f"{load.steps:,} steps, about {load.seconds / 60:.0f} minutes"
        )
    for name in preset.likelihoods:
        one = registration.likelihood(name)
        load = _likelihood(registration, preset, one)
        loads.append(load)
        yield (
            f"{name}: likelihood of {counted(load.replicas, 'decoder')}, about "
            f"{load.seconds / 60:.0f} minutes"
        )
    total = sum(one.replicas * one.steps for one in loads)
    minutes = sum(one.seconds for one in loads) / 60
    most = max(one.mebibytes for one in loads)
    yield (
        f"{preset.name}: {total:,} replica-steps, about {minutes:.0f} minutes on two cores and "
        f"{most:.0f} MiB of arrays (an estimate; nothing was run or written)"
    )


def _load(registration: Registration, preset: Preset, block: Block) -> Load:
    """All stages of a block; what is frozen counts as the arm that it is taken from."""
    about = registration, preset, block
    experiment = registry.get("gan")
    configs, seconds = [], 0.0
    if gates.compares(*about):
        configs.append(stages.baseline_config(*about))
        if stages.needs_pilot(*about):
            configs.append(stages.baseline_config(*about, pilot=True))
        seconds += _OF_METRIC
    if stages.has_search(preset, block):
        configs.append(stages.search_config(*about))
    configs.append(stages.test_config(*about, selection.as_registered(block)))
    replicas = sum(len(config.cells) * config.seeds for config in configs)
    found = [experiment.forecast(one, experiment.prepare(one)) for one in configs]
    frozen = sum(bool(arm.frozen) for arm in block.arms) * preset.seeds_of(block.name)
    share = 1 + frozen / replicas
    return Load(
        replicas + frozen,
        configs[-1].steps,
        seconds + share * sum(one.seconds for one in found),
        max(one.mebibytes for one in found),
    )


def _likelihood(registration: Registration, preset: Preset, one: Likelihood) -> Load:
    """Annealing of every decoder, and the training of those that are trained for it."""
    if one.block:
        block = registration.block(one.block)
        chosen = selection.as_registered(block)
        config = stages.test_config(registration, preset, block, chosen)
        plan = registry.get("gan").prepare(config)
        nets = [(group, group.spec.generator) for group in plan.groups]
        steps, seconds, held = 0, 0.0, 0.0
    else:
        experiment = registry.get("vae")
        config = stages.decoders_config(registration, preset, one)
        plan = experiment.prepare(config)
        nets = [(group, group.spec.decoder) for group in plan.groups]
        _, _, held, seconds = experiment.forecast(config, plan)
        steps = config.steps
    share = one.seeds / config.seeds
    decoders = [(round(share * len(group.replicas)), parameters(net)) for group, net in nets]
    settings = stages.likelihood_config(preset, one, Path(one.name))
    seconds += annealing_seconds(settings, decoders) + 3 * COMPILING * len(decoders)
    return Load(sum(number for number, _ in decoders), steps, seconds, held)
