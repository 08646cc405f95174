"""From a registration to the runs that a study is made of, each an ordinary run of a command.

A block is measured in stages: whether the primary metric may judge it (`sigmaprop metrics`),
whether its baseline passes its bar, a search, the comparison, and what is frozen of it
(`sigmaprop gan`). Likelihoods are estimated (`sigmaprop evaluate`) of a block's comparison, or of
decoders that are trained for it (`sigmaprop vae`). A stage that is finished is never run again.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from sigmaprop.generators import bars
from sigmaprop.runs import configs

from ..evaluate.config import EvaluateConfig
from ..gan.config import GanConfig, GanOptions, GanSweep
from ..gan.presets import GAN_PRESETS
from ..metrics.config import MetricsConfig
from ..training import cells
from ..training.sweep import concerns
from ..vae.config import VAE_PRESETS, VaeConfig
from .registration import Arm, Block, Likelihood, Preset, Registration

Kind = Literal["metric", "baseline", "pilot", "search", "test", "frozen", "vae", "likelihood"]
REGISTERED = "as registered"
"""The name of an arm's configuration that was not drawn."""


class Stage(NamedTuple):
    """A run of a command.

    Attributes:
        folder: the name of the block or likelihood that it belongs to.
        kind: what it is for.
        command: whose run it is.
        config: its options.
        arm: of "frozen" which.
    """

    folder: str
    kind: Kind
    command: Literal["metrics", "gan", "vae", "evaluate"]
    config: Any
    arm: str = ""

    @property
    def name(self) -> str:
        """The directory of its run in that of the study."""
        return f"{self.folder}/{self.kind}" + (f"-{self.arm}" if self.arm else "")


def metric_config(registration: Registration, preset: Preset, block: Block) -> MetricsConfig:
    """The primary metric at the block's own sizes and data."""
    base = options(preset, block)
    own = {
        "metrics": [registration.metric],
        "sizes": [],
        "dataset": base.dataset,
        "data": base.data,
        "num_samples": base.eval_samples,
    }
    return configs.from_values(MetricsConfig, own | preset.gate)


def baseline_config(
    registration: Registration, preset: Preset, block: Block, *, pilot: bool = False
) -> GanConfig:
    """The first arm as registered, with seeds of its own, scored as the comparison is.

    Nothing is chosen by it; it says how far seeds lie apart. ``pilot`` is under the block's own
    kernel, where its bar asks for another.
    """
    base = options(preset, block)
    bar = bars.bar_of(dataclasses.asdict(base))
    kernel = base.kernel if pilot or bar is None else bar.kernel or base.kernel
    own = [{"name": block.arms[0].name, **block.arms[0].options}]
    first = registration.baseline_seed
    seeds = range(first, first + registration.baseline_seeds)
    return _config(base, own, seeds, held_out="test", kernel=kernel)


def needs_pilot(registration: Registration, preset: Preset, block: Block) -> bool:
    """Whether the bar is judged by other kernels than the block is."""
    found = (baseline_config(registration, preset, block, pilot=pilot) for pilot in (False, True))
    return next(found) != next(found)


def has_search(preset: Preset, block: Block) -> bool:
    """Whether some arm of a block has more than one configuration."""
    return any(len(configurations(preset, block, arm)) > 1 for arm in block.arms if not arm.frozen)


def search_config(registration: Registration, preset: Preset, block: Block) -> GanConfig:
    """Every configuration of every arm, scored on validation examples."""
    own = [
        {"name": name, **values}
        for arm in block.arms
        if not arm.frozen
        for name, values in configurations(preset, block, arm).items()
    ]
    first = registration.selection_seed
    seeds = range(first, first + preset.selection_seeds)
    return _config(options(preset, block), own, seeds, held_out="validation")


def test_config(
    registration: Registration, preset: Preset, block: Block, chosen: dict[str, dict[str, Any]]
) -> GanConfig:
    """The chosen configuration of every arm, with fresh seeds, scored on test examples."""
    own = [{"name": arm.name, **chosen[arm.name]} for arm in block.arms if not arm.frozen]
    seeds = registration.seeds(preset, block)
    return _config(options(preset, block), own, seeds, held_out="test")


def frozen_config(
    registration: Registration,
    preset: Preset,
    block: Block,
    arm: Arm,
    chosen: dict[str, Any],
    source: Any,
) -> GanConfig:
    """What the arm's source learned, as constants of the same seeds.

    Args:
        chosen: the configuration of the source.
        source: the run that it was learned in.
    """
    own = [{"name": arm.name, **chosen, "arm": "frozen", **arm.options}]
    seeds = registration.seeds(preset, block)
    found = _config(options(preset, block), own, seeds, held_out="test")
    return dataclasses.replace(found, frozen_from=source, frozen_cell=arm.frozen)


def decoders_config(registration: Registration, preset: Preset, one: Likelihood) -> VaeConfig:
    """Decoders with the seeds of the comparison."""
    own = [{"name": arm.name, **arm.options} for arm in one.arms]
    found = configs.from_values(
        VaeConfig, _merged(VAE_PRESETS[one.preset], one.options | preset.vae)
    )
    return dataclasses.replace(
        found,
        cells=cells.parse(json.loads(json.dumps(own)), VaeConfig),
        first_seed=registration.test_seed,
        seeds=one.seeds,
    )


def likelihood_config(preset: Preset, one: Likelihood, source: Path) -> EvaluateConfig:
    """The likelihoods of a finished run's first seeds, with what is too small about them."""
    own = {"run": str(source), "metrics": [], "likelihood": ["ais", "bdmc"], "seeds": one.seeds}
    return configs.from_values(EvaluateConfig, own | one.evaluate | preset.evaluate)


def configurations(preset: Preset, block: Block, arm: Arm) -> dict[str, dict[str, Any]]:
    """The arm's configurations by name: as registered, then those that are drawn.

    Draws of equal place agree in what concerns several arms, so arms are compared with equal
    tuning; of an arm that fewer options concern, some may be the same and count once.
    """
    found = {f"{arm.name}: {REGISTERED}": dict(arm.options)}
    kind = str(arm.options.get("arm", "zero"))
    lists = {
        name: tuple(values)
        for name, values in (block.search | arm.search).items()
        if name not in arm.options and concerns(GanOptions, name, kind)
    }
    if lists and preset.configurations > 1:
        sweep = GanSweep(**lists)  # pyright: ignore[reportCallIssue]
        drawn = cells.drawn(sweep, GanOptions, kind, preset.configurations - 1, 0)
        for number, values in enumerate(drawn, 1):
            own = {name: values[name] for name in lists}
            found[f"{arm.name}: draw {number}"] = arm.options | own
    return found


def options(preset: Preset, block: Block) -> GanConfig:
    """What all arms of a block have in common.

    Raises:
        ValueError: naming the option, its value and what is allowed.
    """
    base = GAN_PRESETS[block.preset]
    own = block.options
    for name in ("*", block.name):
        own = own | preset.overrides.get(name, {})
    return configs.from_values(GanConfig, _merged(base, own))


def _merged(base: Any, own: Mapping[str, Any]) -> dict[str, Any]:
    """A preset's options with others in their place, those of the data one by one; no cells."""
    values = {field.name: getattr(base, field.name) for field in dataclasses.fields(base)}
    data = dataclasses.asdict(base.data) | own.get("data", {})
    return values | {"sweep": {}, "cells": []} | {**own, "data": data}


def checked(registration: Registration, preset: Preset) -> None:
    """Refuses a registration whose options or draws no command would take.

    Raises:
        ValueError: naming block, arm, option, value and what is allowed.
    """
    for name in preset.blocks:
        block = registration.block(name)
        try:
            if block.preset not in GAN_PRESETS:
                raise ValueError(f"there is no preset {block.preset} of gan")
            search_config(registration, preset, block)
        except ValueError as error:
            raise ValueError(f"block {name}: {error}") from error
    for name in preset.likelihoods:
        one = registration.likelihood(name)
        try:
            if one.arms and one.preset not in VAE_PRESETS:
                raise ValueError(f"there is no preset {one.preset} of vae")
            if one.arms:
                decoders_config(registration, preset, one)
            likelihood_config(preset, one, Path(name))
        except ValueError as error:
            raise ValueError(f"likelihood {name}: {error}") from error


def _config(
    base: GanConfig,
    own: Sequence[dict[str, Any]],
    seeds: range,
    *,
    held_out: str,
    kernel: str | None = None,
) -> GanConfig:
    """These cells with these seeds."""
    return dataclasses.replace(
        base,
        cells=cells.parse(json.loads(json.dumps(own)), GanConfig),
        first_seed=seeds.start,
        seeds=len(seeds),
        held_out=held_out,  # pyright: ignore[reportArgumentType]
        kernel=kernel or base.kernel,  # pyright: ignore[reportArgumentType]
    )
