"""The figures of the answer: intervals of what was tested, all arms, and the courses of sigma."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from sigmaprop.generators.scores import known
from sigmaprop.reporting.answer.findings import Block, Findings
from sigmaprop.reporting.answer.sentences import FITTED, GIVEN, LEAD, LEARNED, place
from sigmaprop.reporting.charts import Lines
from sigmaprop.reporting.marks import Mark, nth
from sigmaprop.reporting.points import tidy
from sigmaprop.reporting.rows import Intervals
from sigmaprop.reporting.style import BLUE, GRID, MUTED, ORANGE, VERMILLION

_LOOKS = {"learned": Mark(VERMILLION, "o"), "given": Mark(BLUE, "s")}
_MOST_CURVES = 8
_RATIO = "ratio (log axis): left of 1 is better"


def _tested(found: Findings) -> pd.DataFrame | None:
    """The tests of learned and of given noise, an interval each at the level of its family."""
    rows = []
    for series, names in (("learned", LEARNED), ("given", (*GIVEN, LEAD, FITTED))):
        for name in names:
            for test in found.hypothesis(name).asked:
                one = test["measured"]
                ends = {key: known(one[key]) for key in ("value", "low", "high")}
                own = {
                    "panel": place(test["block"]),
                    "row": f"{name}: {', '.join(test['arms'])}",
                    "hollow": found.hypothesis(name).verdict == "DEVIATED",
                }
                rows.append(own | ends | _look(series))
    return _beside(found, rows, "what was tested")


def _ratios(found: Findings) -> pd.DataFrame | None:
    """Every arm of the blocks whose arms were tuned to compare samples, with its interval."""
    rows = []
    for block in found.blocks:
        if not (block.of_samples and found.searched(block.name)):
            continue
        for arm, ratio in zip(block.arms[1:], block.ratios(), strict=True):
            series = "learned" if arm.learns else "given"
            ends = {key: getattr(ratio.measured, key) for key in ("value", "low", "high")}
            row = {"panel": place(block.name), "row": arm.name, "hollow": bool(ratio.bound)}
            rows.append(row | ends | _look(series))
    return _beside(found, rows, "every arm")


def _look(series: str) -> dict[str, object]:
    text = {"learned": "sigma is learned", "given": "sigma is given"}[series]
    return {"series": series, "legend": text, "look": _LOOKS[series], "kind": "dot"}


def _beside(found: Findings, rows: list[dict[str, object]], heading: str) -> pd.DataFrame | None:
    """The rows with the line of no difference, and the band of equivalence; one scale for all."""
    if not rows:
        return None
    margin = found.result["margin"]
    table = pd.DataFrame(rows)
    ends = table[["value", "low", "high"]].to_numpy(float)
    more: list[dict[str, object]] = []
    for panel in dict.fromkeys(row["panel"] for row in rows):
        band = {"kind": "band", "low": 1 / margin, "high": margin, "look": Mark(GRID)}
        more.append(band | {"panel": panel, "legend": f"within {margin:g} x"})
        more.append({"kind": "line", "value": 1.0, "look": Mark(MUTED), "panel": panel})
        extent = {"low": np.nanmin(ends), "high": np.nanmax(ends)}
        more.append({"kind": "extent", "panel": panel} | extent)
    return tidy(
        [table, pd.DataFrame(more)], heading=f"MMD² of x over that without noise: {heading}"
    )


def _courses(found: Findings, of_samples: bool) -> pd.DataFrame | None:
    """Sigma against the step in the blocks that compare samples, or in the others."""
    tables = []
    for block in found.blocks:
        if block.of_samples == of_samples:
            tables += list(_of_block(found, block))
    return tidy(tables, heading="Sigma by step, geometric means over seeds")


def _of_block(found: Findings, block: Block) -> Iterator[pd.DataFrame]:
    panel = f"{block.name}: {block.text.partition(':')[0]}"
    moving = [arm for arm in block.arms if arm.learns and (arm.course[:, 1] > 0).any()]
    for number, arm in enumerate(moving[:_MOST_CURVES]):
        steps, sigma = arm.course.T
        sigma = np.where(sigma > 0, sigma, np.nan)
        curve = pd.DataFrame({"x": steps, "value": sigma, "curve": arm.name, "panel": panel})
        yield curve.assign(look=pd.Series([nth(number)] * len(curve), dtype=object))
    for level in found.levels(block.name) if moving else ():
        text = "std of the noise, or of the components, in the data"
        row = {"kind": "level", "value": level, "legend": text, "panel": panel, "dashes": "-."}
        yield pd.DataFrame([row | {"curve": "noise in the data", "look": Mark(ORANGE)}])


TESTED = Intervals(
    name="answer",
    title="Does it help? The tests of the registered families",
    caption="Dots are geometric means over seeds of the ratio of MMD² to that without noise, in "
    "pairs of equal seed; lines are intervals at the level of their family. One that lies left of "
    "1 is better than no noise, one inside the band equivalent to it. Hollow: DEVIATED.",
    rows=_tested,
    x=_RATIO,
    row=0.2,
)
RATIOS = Intervals(
    name="answer_ratios",
    title="Every arm beside no noise",
    caption="All arms that were tuned, those without a hypothesis of their own too; each interval "
    "is at 95% for itself, so that one in twenty misses. Hollow: some seeds lie below what real "
    "digits score against real digits, so the ratio is a bound. Where runs diverged there is no "
    "interval. "
    "Where the panels differ, the answer depends on the baseline.",
    rows=_ratios,
    x=_RATIO,
    row=0.19,
)
SIGMA = Lines(
    name="answer_sigma",
    title="Where a learned sigma goes, from two sides and more",
    caption="Geometric means over seeds. Curves that meet have an end of their own; curves that "
    "stay apart end where their start decides.",
    rows=lambda found: _courses(found, of_samples=False),
    x="step",
    y="sigma (std, units of x)",
    log="y",
    columns=2,
    height=2.2,
    steps=True,
)
SAMPLES = Lines(
    name="answer_samples_sigma",
    title="Where a learned sigma goes while samples are compared",
    caption="Geometric means over seeds. Under Adam the log of sigma moves by its learning rate a "
    "step at most: a straight line tells of that, not of a level.",
    rows=lambda found: _courses(found, of_samples=True),
    x="step",
    y="sigma (std, units of x)",
    log="y",
    columns=2,
    height=2.8,
    steps=True,
)
ALL = (TESTED, RATIOS, SIGMA, SAMPLES)
