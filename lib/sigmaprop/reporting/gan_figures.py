"""The figures of a page about generators, section by section."""

import importlib.util
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from sigmaprop.reporting import page
from sigmaprop.reporting.counting import Count, Tell, silent
from sigmaprop.reporting.gan_loss_figures import losses
from sigmaprop.reporting.gan_results import GanRun
from sigmaprop.reporting.gan_sample_figures import samples
from sigmaprop.reporting.gan_score_figures import along, coverage, scores
from sigmaprop.reporting.gan_series import Key
from sigmaprop.reporting.gan_sigma_figures import bounds, maps, trajectories
from sigmaprop.reporting.sheet import Drawing

_GAP = "sigmaprop.reporting.gan_gap_figures"
_MOST_OF_GAP = 3
_Draw = Callable[[Sequence[GanRun]], Drawing | None]


class Section(NamedTuple):
    """A part of the page.

    Attributes:
        id: its anchor.
        name: its heading.
        question: that it answers.
        figures: in the page.
    """

    id: str
    name: str
    question: str
    figures: list[page.Figure]


_SECTIONS: tuple[tuple[str, str, str, tuple[_Draw, ...]], ...] = (
    (
        "about-sigma",
        "Sigma",
        "Where does sigma go, how fast, and is it the same for every coordinate?",
        (
            trajectories,
            lambda runs: maps(runs[0]) if runs[0].examples else None,
            lambda runs: bounds(runs[0]),
        ),
    ),
    (
        "about-scores",
        "Scores",
        "Are the examples of one arm nearer to held-out data than those of another, and is that "
        "the mean's doing or the noise's?",
        (
            lambda runs: scores(runs[0]),
            lambda runs: scores(runs[0], "average"),
            lambda runs: coverage(runs[0]),
            lambda runs: along(runs[0]),
        ),
    ),
    (
        "about-examples",
        "Examples",
        "What do the mean and the sample look like?",
        (lambda runs: samples(runs[0]) if runs[0].examples else None,),
    ),
    (
        "about-training",
        "Training",
        "How did the two players fare?",
        (lambda runs: losses(runs[0]),),
    ),
)


def sections(target: Path, runs: Sequence[GanRun], tell: Tell = silent) -> Iterator[Section]:
    """Writes the figures and gives what the page shows of every section."""
    count = Count(sum(len(draws) for *_, draws in _SECTIONS) + _MOST_OF_GAP, tell)
    drawable = [run for run in runs if Key("sigma") in run.measured.series and run.cells]
    if not drawable:
        return
    for anchor, name, question, draws in _SECTIONS:
        drawings = count.each(partial(draw, drawable) for draw in draws)
        if figures := [page.save(target, "", one) for one in drawings]:
            yield Section(anchor, name, question, figures)
    found = _gap(drawable[0])
    drawings = count.each([lambda: next(found, None)] * _MOST_OF_GAP)
    if gap := [page.save(target, "", one) for one in drawings]:
        yield Section(
            "about-gap",
            "Goodfellow's substitution",
            "How far is the gradient at the mean, grad f(mu), from the gradient of the smoothed "
            "loss, grad E f(mu + sigma eps), with the discriminator as f?",
            gap,
        )


def _gap(run: GanRun) -> Iterator[Drawing]:
    """Figures of the gap, where it was measured."""
    if importlib.util.find_spec(_GAP) is not None:
        yield from importlib.import_module(_GAP).figures(run.directory)
