"""Whether a test may be asked: of the metric, the baseline, the power, and sigma's travel.

Nothing here looks at a treatment of sigma: a gate is measured on the data and on the baseline, with
seeds of its own.
"""

import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sigmaprop.generators import bars
from sigmaprop.generators.results import Key, Measured, floor, measured
from sigmaprop.generators.settling import shortfall
from sigmaprop.reporting.fmt import number
from sigmaprop.reporting.gan.words import baselines
from sigmaprop.runs.files import read_json
from sigmaprop.statistics.claims import from_json
from sigmaprop.study.power import power

from .evidence import scale
from .registration import Block, Hypothesis, Preset, Registration, Test
from .stages import options

_OF_LEVELS = ("sigma", "total_noise", "spread_of_ends")


class Measurements(NamedTuple):
    """What the gates of a block go by.

    Attributes:
        metric: the run of `sigmaprop metrics`.
        baseline: that of the baseline's bar.
        pilot: that of its scores by the block's own kernels; the same where they are the bar's.
    """

    metric: Path
    baseline: Path
    pilot: Path


class Admission(NamedTuple):
    """A test at the gate.

    Attributes:
        hypothesis: whose.
        test: as registered.
        reasons: why it may not be asked, a sentence each; none where it may.
        power: of a comparison by the primary metric; NaN of others.
    """

    hypothesis: Hypothesis
    test: Test
    reasons: tuple[str, ...]
    power: float = np.nan

    @property
    def passes(self) -> bool:
        """Whether it may be asked."""
        return not self.reasons


def admissions(
    registration: Registration, preset: Preset, found: Mapping[str, Measurements]
) -> list[Admission]:
    """Every test of a preset at its gate, in the order of registration.

    Args:
        registration: the study.
        preset: how much of it.
        found: by block; one without comparisons needs none.

    Raises:
        RunError: a file of a run is missing or damaged.
    """
    asked = list(registration.asked(preset))
    sizes: dict[str, int] = {}
    for hypothesis, _ in asked:
        sizes[hypothesis.family] = sizes.get(hypothesis.family, 0) + 1
    blocks = {name: registration.block(name) for name in found}
    of_block = {
        name: [*_of_metric(own), *_of_bar(blocks[name], own)] for name, own in found.items()
    }
    spreads = {
        name: spread(registration, blocks[name], measured(own.pilot)) for name, own in found.items()
    }
    each = []
    for hypothesis, test in asked:
        block = registration.block(test.block)
        if test.compares:
            share, short = _power(
                registration, preset, test, spreads[block.name], sizes[hypothesis.family]
            )
            each.append(Admission(hypothesis, test, (*of_block[block.name], *short), share))
        else:
            each.append(Admission(hypothesis, test, tuple(_of_travel(preset, block, test))))
    return each


def compares(registration: Registration, preset: Preset, block: Block) -> bool:
    """Whether a test of the preset compares arms of this block."""
    return any(test.compares and test.block == block.name for _, test in registration.asked(preset))


def uncommitted(path: Path) -> str:
    """Why a registration cannot be shown to be from before the runs; empty if it can.

    One that a repository ignores, or that lies in none, stands for itself: its hash is recorded.
    """
    if _git(path, "check-ignore", "-q", path.name)[0] != 1:
        return ""
    status, told = _git(path, "status", "-s", path.name)
    if status == 0 and not told:
        return ""
    state = "is not committed" if told.startswith("??") else "differs from the commit"
    return f"{path} {state}; commit it before the first run"


def _git(path: Path, *arguments: str) -> tuple[int, str]:
    """Exit status and output of git beside a file; 128 where there is no repository, or no git."""
    try:
        found = subprocess.run(
            ["git", "-C", str(path.absolute().parent), *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return 128, ""
    return found.returncode, found.stdout


def _of_metric(found: Measurements) -> Iterator[str]:
    """The claims of the metric's two gates that do not hold."""
    for claim in map(from_json, read_json(found.metric / "conclusions.json")):
        if claim.verdict != "holds":
            seen = claim.measured
            told = number(seen.value)
            if np.isfinite([seen.low, seen.high]).all():
                told += f" [{number(seen.low)}, {number(seen.high)}]"
            yield f"the metric's gate: {claim.claim} is {told}: {claim.verdict}"


def _of_bar(block: Block, found: Measurements) -> Iterator[str]:
    """The baseline's bar, where it has not been passed."""
    if not block.bar:
        return
    run = measured(found.baseline)
    judged = list(bars.judged(run))
    if not judged:
        yield "the baseline has no bar on these data; register the block without one"
    for one, sentence in zip(judged, baselines(run), strict=True):
        if one.verdict != "passed":
            yield f"the baseline's bar: {sentence.rstrip('.')}"


def spread(registration: Registration, block: Block, run: Measured) -> float:
    """The standard deviation of a log ratio of two independent runs of the baseline."""
    values = run.late(Key(registration.metric, "x", block.weights), run.cells[0])
    logs = np.log(np.maximum(values, floor(run)))
    return float(np.sqrt(2) * logs[np.isfinite(logs)].std(ddof=1))


def _power(
    registration: Registration,
    preset: Preset,
    test: Test,
    apart: float,
    size: int,
) -> tuple[float, list[str]]:
    """The power of a comparison, and why it is not enough; ``apart`` is the spread of its block."""
    if test.metric != registration.metric:
        return np.nan, []
    if not np.isfinite(apart) or apart == 0:
        return np.nan, ["the power: the baseline's seeds do not say how far seeds lie apart"]
    differs = test.expect in ("better", "worse")
    effect = float(np.log(registration.effect)) if differs else 0.0
    share = power(
        test.expect,  # pyright: ignore[reportArgumentType]
        preset.seeds_of(test.block),
        apart,
        effect,
        size,
        scale(registration),
    ).value
    if share >= registration.power:
        return share, []
    what = (
        f"a factor of {registration.effect:g}"
        if differs
        else f"equality within {registration.margin:g} x"
    )
    return share, [
        f"the power: {preset.seeds_of(test.block)} seeds, whose log ratios have a standard "
        f"deviation of {apart:.2g}, show {what} with probability {share:.2f} in a family of "
        f"{size}, where {registration.power:g} is asked"
    ]


def _of_travel(preset: Preset, block: Block, test: Test) -> Iterator[str]:
    """What keeps a learned sigma from getting to where it belongs."""
    if test.quantity not in _OF_LEVELS:
        return
    base = options(preset, block)
    for arm in block.arms:
        if arm.name in test.arms:
            own: dict[str, Any] = vars(base) | arm.options
            if short := shortfall(own, base.steps):
                yield f"sigma's travel: {arm.name}: {short}"
