"""The figures of `sigmaprop penalties`."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from sigmaprop.generators.equivalence import ALIKE, TREATMENTS
from sigmaprop.generators.penalties import ALLOWED
from sigmaprop.reporting.charts import Lines
from sigmaprop.reporting.frame import Run
from sigmaprop.reporting.marks import Mark, nth
from sigmaprop.reporting.points import tidy
from sigmaprop.reporting.style import MUTED

_NOTHING = 1e-7
"""What is smaller is not drawn: rounding of what is exact."""
_DTYPES = ("float64", "float32", "bfloat16")


def kinds(run: Run) -> Iterator[tuple[str, pd.DataFrame]]:
    """The discriminators, with their rows."""
    for kind, rows in run.frame.groupby("discriminator", sort=False):
        yield str(kind), rows


def _level(panel: str, value: float, words: str) -> pd.DataFrame:
    row = {"panel": panel, "kind": "level", "value": value, "look": Mark(MUTED), "curve": "level"}
    return pd.DataFrame([row | {"dashes": "--", "legend": words}])


def _curve(rows: pd.DataFrame, x: str, panel: str, curve: str, number: int) -> pd.DataFrame:
    """Rows of the frame as points of a curve."""
    points = rows[[x, "value", "error"]].rename(columns={x: "x"}).sort_values("x")
    points = points[~(points["value"].abs() < _NOTHING)]
    look = pd.Series([nth(number)] * len(points), points.index)
    return points.assign(panel=panel, curve=curve, look=look)


def _distances(runs: Sequence[Run]) -> pd.DataFrame | None:
    """|ratio - 1| of the finite difference over R1, by dtype."""
    tables = []
    for kind, rows in kinds(runs[0]):
        exact = rows[rows["quantity"] == "exact"].drop_duplicates("sigma")
        shown = [("float64", exact)]
        ratio = rows[rows["quantity"] == "ratio"]
        shown += [(str(name), own) for name, own in ratio.groupby("dtype", sort=False)]
        for dtype, own in shown:
            off = own.assign(value=(own["value"] - 1).abs())
            tables.append(_curve(off, "sigma", kind, dtype, _DTYPES.index(dtype)))
        tables.append(_level(kind, ALLOWED, f"off by {ALLOWED:.0%}"))
    return tidy(tables)


def _cosines(runs: Sequence[Run]) -> pd.DataFrame | None:
    """Of the finite difference's gradient with that of R1, and of the mistake's."""
    tables = []
    words = {"approximate": "both branches", "stopped": "noised branch without gradient"}
    for kind, rows in kinds(runs[0]):
        own = rows[(rows["quantity"] == "cosine") & rows["logit"].isna()]
        for (treatment, dtype), points in own.groupby(["treatment", "dtype"], sort=False):
            number = _DTYPES.index(str(dtype)) + (3 if treatment == "stopped" else 0)
            name = f"{dtype}, {words[str(treatment)]}"
            tables.append(_curve(points, "sigma", kind, name, number))
    return tidy(tables)


def _equivalences(runs: Sequence[Run]) -> pd.DataFrame | None:
    """Errors of gradients against that of R1: away from D = 1/2, and with growing noise."""
    tables = []
    for kind, rows in kinds(runs[0]):
        own = rows[(rows["quantity"] == "error") & rows["logit"].notna()]
        nearest = own["logit"].min()
        moved = own.loc[own["logit"] > nearest, "sigma"]
        sigma = moved.iloc[0] if len(moved) else np.nan
        for axis, chosen in (
            ("logit", own[own["sigma"] == sigma]),
            ("sigma", own[own["logit"] == nearest]),
        ):
            panel = f"{axis}: {kind}"
            for number, (name, words) in enumerate(TREATMENTS.items()):
                points = chosen[chosen["treatment"] == name]
                if len(points) and name != "r1_r2":
                    tables.append(_curve(points, axis, panel, words, number))
            if len(chosen):
                tables.append(_level(panel, ALIKE, f"off by {ALIKE:.0%}"))
    return tidy(tables)


_SIGMA = "s, std of the noise, in units of x"
DISTANCES = Lines(
    name="difference",
    title="The finite difference in place of R1",
    caption="How far E |D(x + s eps) - D(x)|² / s² is from E |grad D|², relative. On the right of "
    "the valley the discriminator is not linear over a distance of s; on the left the two logits "
    "agree in more digits than the dtype has. float64 shows the first alone. What is below 1e-7 is "
    "not drawn.",
    rows=_distances,
    x=_SIGMA,
    y="relative distance",
    columns=3,
    height=2.0,
)
EQUIVALENCE = Lines(
    name="equivalence",
    title="Gradients to the discriminator's parameters, against that of R1",
    caption="Relative error of the gradient. Panels on the left move away from D = 1/2, those on "
    "the right have growing noise near it. Instance noise has a convex part and a smoothing: where "
    "the discriminator is not linear they are told apart. R1 + R2 is left out: with real and "
    "generated examples alike it is R1. What is below 1e-7 is not drawn.",
    rows=_equivalences,
    x={"logit": "root mean square logit", "sigma": "std of the noise"},
    y="relative error",
    height=1.6,
)
FIGURES = (
    Lines(
        name="gradient",
        title="Gradients of the finite difference",
        caption="Cosine of the gradient to the discriminator's parameters with that of R1; 1 is "
        "right. Where sampling leaves too much open there is no point.",
        rows=_cosines,
        x=_SIGMA,
        y="cosine",
        log="x",
        limits=lambda rows: (min(-0.3, float(rows["value"].min()) - 0.05), 1.05),
        columns=3,
        height=2.0,
    ),
)
