"""Which runs of a study count, and for what: every one that was made is named."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sigmaprop.runs import configs

from ..cli import registry
from ..evaluate.config import EvaluateConfig
from ..gan.config import GanConfig
from . import ledger
from .evidence import Evidence

_TAKEN = {"frozen_values": (), "frozen_sha256": None}
"""What a config holds of the run that `frozen_from` names: no part of what is asked for."""


def same(before: Any, config: Any) -> bool:
    """Whether two configs run the same; what they are given by another run goes by its name."""
    return _asked_for(before) == _asked_for(config)


def _asked_for(config: Any) -> Any:
    """A config whose sources are named as they are in the study, wherever its directory lies."""
    if isinstance(config, GanConfig):
        source = config.frozen_from and _below(config.frozen_from)
        return dataclasses.replace(config, frozen_from=source, **_TAKEN)
    if isinstance(config, EvaluateConfig):
        return dataclasses.replace(config, run=str(_below(Path(config.run))))
    return config


def _below(run: Path) -> Path:
    """A run's directory below the study's."""
    return Path(*run.parts[-2:])


def accounted(
    directory: Path,
    lines: Sequence[dict[str, Any]],
    places: Mapping[str, str],
    found: Mapping[str, Evidence],
) -> dict[str, Any]:
    """Every run that was made and what it counts for; and replicas that diverged.

    One that is not used was superseded by an amendment, or is the same run once more.

    Args:
        directory: of the study.
        lines: of its ledger.
        places: the run that each stage has, by the stage's name.
        found: the arms of every block.

    Raises:
        RunError: a file of a run is missing or damaged.
    """
    ended = {line["run"]: line["command"] for line in ledger.of(lines, "started")}
    finished = {line["run"] for line in ledger.of(lines, "finished")}
    used = {*places.values()}
    stage_of = {run: stage for stage, run in places.items()}
    left = sorted(finished - used)
    repeated = [run for run in left if _repeats(directory, run, ended[run], stage_of)]
    arms = [one for block in found.values() for one in block.arms.values()]
    return {
        "used": sorted(used),
        "superseded": [run for run in left if run not in repeated],
        "repeated": repeated,
        "unfinished": sorted({*ended} - finished),
        "replicas": sum(len(one.cell.seeds) for one in arms),
        "diverged": sum(int((one.run.diverged_at[one.cell.replicas] >= 0).sum()) for one in arms),
    }


def _repeats(directory: Path, run: str, command: str, stage_of: Mapping[str, str]) -> bool:
    """Whether a run is asked for as the one of its stage that is used is."""
    config = registry.get(command).config
    each = [
        configs.load_config(directory / name / "config.json", config, command=command)
        for name in (run, *(own for own, stage in stage_of.items() if _is_again(run, stage)))
    ]
    return len(each) == 2 and same(*each)


def _is_again(run: str, stage: str) -> bool:
    """Whether a run is one more of a stage."""
    head, _, number = run.rpartition("-")
    return run == stage or (head == stage and number.isdigit())
