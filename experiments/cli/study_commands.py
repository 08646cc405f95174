"""`sigmaprop study`: what it takes. Like `commands`, this module imports nothing heavy."""

import dataclasses
from pathlib import Path
from typing import Literal

import tyro

Positional = tyro.conf.Positional


@dataclasses.dataclass(frozen=True)
class StudyCommand:
    """Run the registered comparison of all treatments of sigma, with gates, search and verdicts.

    `sigmaprop study` runs what is left, and goes on where a study was stopped. `sigmaprop study
    gate` says which hypotheses may be asked: the metric must be able to judge, the baseline must
    pass its bar, the seeds must be enough, sigma must be able to travel. `sigmaprop study amend`
    records that the registration has changed. `sigmaprop study show` prints it, for a study of
    your own. Every stage is an ordinary run below the study's directory.
    """

    what: Positional[Literal["run", "gate", "amend", "show"]] = "run"
    """What to do."""
    preset: Literal["quick", "digits", "full"] | None = None
    """How much of it to run. quick: under 15 minutes on 2 cores; digits: some hours; full: every
    data set, for a GPU. None: what the study was begun with, else quick."""
    run_dir: Path | None = None
    """Directory of the study: new or empty, or that of one that was stopped. None: a fresh one
    under runs/."""
    registration: Path | None = None
    """File of hypotheses, blocks, presets and rules, as docs/study.md describes it. None: the
    study that this package is about."""
    minutes: float | None = None
    """run: minutes after which to stop, everything saved; the same command goes on. None: when all
    is done."""
    reason: str | None = None
    """amend: why the registration has changed."""
    dry_run: bool = False
    """run: whether to say what it would take, and run nothing."""
