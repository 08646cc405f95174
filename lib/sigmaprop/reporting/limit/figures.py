"""The figures of `sigmaprop limit`."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from sigmaprop.reporting.charts import Guide, Lines
from sigmaprop.reporting.fmt import plain, with_noise
from sigmaprop.reporting.frame import Run
from sigmaprop.reporting.images import Grid, Heat, Images, Tile
from sigmaprop.reporting.marks import nth
from sigmaprop.reporting.points import named, tidy

SIGMA = "sigma (units of x)"

BATCH = "batch size N (samples)"

UNIT = "units of f / units of x"

_PATHWISE = (("pathwise", "antithetic"), ("pathwise", "iid"))

BASELINE = ("score_function+leave_one_out", "iid")

_MOST_CURVES = 16

_NO_BIAS = 1e-9
"""An exact bias that stays below this share of the gradient is the rounding of a closed form."""

_NEGLIGIBLE = 1e-12
"""Exact biases below this share of the largest: no ratio to them is drawn."""

_FARTHEST = 10.0
"""Ratios of biases beyond it are not drawn."""


def _select(run: Run, objective: str, metric: str, wrt: str = "mean") -> pd.DataFrame:
    """One metric of every estimator of an objective, at sigmas above 0."""
    frame = run.frame
    wanted = (frame["objective"] == objective) & (frame["metric"] == metric)
    rows = frame[wanted & (frame["wrt"] == wrt) & (frame["sigma"] > 0)]
    return rows.sort_values(["sigma", "batch_size"], kind="stable")


def _of(rows: pd.DataFrame, which: tuple[str, str]) -> pd.DataFrame:
    return rows[(rows["estimator"] == which[0]) & (rows["noise"] == which[1])]


def _estimators(run: Run, objective: str) -> list[tuple[str, str]]:
    """Every (estimator, noise), in the order of the run."""
    rows = run.frame[run.frame["objective"] == objective]
    return list(dict.fromkeys(zip(rows["estimator"], rows["noise"], strict=True)))


def _told_apart(run: Run, objective: str, runs: int) -> list[tuple[str, str]]:
    """Estimators, the most important first, as many as a panel of several runs can bear."""
    found = _estimators(run, objective)
    if runs == 1:
        return found[:_MOST_CURVES]
    main = (*_PATHWISE, BASELINE, ("forward_difference", "iid"))
    ordered = [which for which in dict.fromkeys((*main, *found)) if which in found]
    return ordered[: max(1, _MOST_CURVES // runs)]


def _chosen(run: Run, rows: pd.DataFrame, objective: str, runs: int) -> pd.DataFrame:
    return tidy(_of(rows, which) for which in _told_apart(run, objective, runs))  # pyright: ignore


def _gradient_size(run: Run, objective: str) -> float | None:
    """|grad f(x)|: the variance of the pathwise gradient to the scale as sigma -> 0.

    From theory, else measured where it no longer depends on sigma; None where it does, or is 0.
    """
    rows = _of(_select(run, objective, "variance", "scale"), ("pathwise", "iid"))
    if rows.empty:
        return None
    value, error = rows["value"].to_numpy(float), rows["error"].to_numpy(float)
    if (theory := float(rows["theory"].iloc[0])) > 0:
        return theory**0.5
    level = abs(value[-1 if value.size == 1 else 1] - value[0]) <= 0.02 * value[0]
    known = value.size > 1 and value[0] > 0 and level and error[0] < 0.05 * value[0]
    return float(value[0] ** 0.5) if known else None


def _spread(run: Run, objective: str, count: int) -> list[float]:
    """A few of the positive sigmas, largest first, evenly apart on a logarithmic scale."""
    rows = run.frame[run.frame["metric"] == "error_to_gradient"]
    rows = rows[(rows["objective"] == objective) & (rows["sigma"] > 0)]
    ordered = np.sort(rows["sigma"].unique())[::-1]
    if not ordered.size:
        return []
    wanted = np.linspace(np.log(ordered[0]), np.log(ordered[-1]), count)
    nearest = np.abs(np.log(ordered)[:, None] - wanted).argmin(axis=0)
    return [float(ordered[i]) for i in sorted(set(nearest.tolist()))]


def _at(rows: pd.DataFrame, sigma: float) -> pd.DataFrame:
    return rows[np.isclose(rows["sigma"], sigma, rtol=1e-6, atol=0)]


def _heading(objective: str, runs: Sequence[Run], what: str) -> str:
    return f"{plain(objective)}, {size(objective, runs)}: {what}"


def size(objective: str, runs: Sequence[Run]) -> str:
    """Dimension and number format of an objective, in words."""
    rows = [run.frame[run.frame["objective"] == objective] for run in runs]
    rows = [one.iloc[0] for one in rows if len(one)]
    dims = dict.fromkeys(str(row["dim"]) for row in rows)
    return f"dim {' and '.join(dims)}, {' and '.join(dict.fromkeys(r['dtype'] for r in rows))}"


_LEFT, _RIGHT = (
    "bias: |mean of all samples − grad f(x)|",
    "rms error to grad f(x) at the largest batch",
)


def _bias(objective: str, runs: Sequence[Run]) -> pd.DataFrame | None:
    """Bias of the pathwise gradient; the error of every estimator at its largest batch."""
    tables = []
    for index, run in enumerate(runs):
        biases = _select(run, objective, "bias")
        found = _estimators(run, objective)
        own = [w for w in _PATHWISE if w in found] or [w for w in found if w[0] != "at_mean"][:4]
        for place, which in enumerate(own):
            rows = named(_of(biases, which)).assign(panel=_LEFT, run=index, x=lambda d: d["sigma"])
            tables.append(rows if place == 0 else rows.assign(theory=np.nan))
        at_zero = run.frame[(run.frame["objective"] == objective) & (run.frame["sigma"] == 0)]
        at_zero = at_zero[(at_zero["metric"] == "bias") & (at_zero["value"] > 0)]
        zero = tidy(_of(at_zero[at_zero["wrt"] == "mean"], which) for which in own)
        if zero is not None:
            legend = "sigma = 0 (at the left edge)"
            tables.append(named(zero).assign(panel=_LEFT, run=index, kind="left", legend=legend))
        errors = _select(run, objective, "error_to_gradient")
        errors = errors[
            errors["batch_size"]
            == errors.groupby(["estimator", "noise"])["batch_size"].transform("max")
        ]
        # at_mean is grad f(x) itself, but for rounding
        errors = errors.assign(theory=errors["theory"].where(errors["estimator"] != "at_mean", 0))
        chosen = _chosen(run, errors, objective, len(runs))
        if chosen is not None:
            tables.append(named(chosen).assign(panel=_RIGHT, run=index, x=lambda d: d["sigma"]))
    tables += _floors(objective, runs[0])
    rows = tidy(tables, heading=_heading(objective, runs, "bias and error against sigma"))
    if rows is None:
        return None
    measured = rows["kind"].isna() if "kind" in rows else True
    return rows if (measured & (rows["x"] > 0)).any() else None


def _floors(objective: str, run: Run) -> Iterator[pd.DataFrame]:
    """Where rounding is predicted, and was found, to end the bias and the differences."""
    rows = run.frame[(run.frame["objective"] == objective) & (run.frame["wrt"] == "mean")]
    for metric, kind in (
        ("floor: least error", "level"),
        ("floor: sigma where its bias is lost", "vertical"),
        ("floor: sigma where it is lost", "foot"),
    ):
        own = rows[rows["metric"] == metric]
        if kind != "foot":
            own = own[own["estimator"] == "pathwise"].sort_values("noise")[:1]
        for column, dashes, how in (("theory", ":", "predicted"), ("value", "-.", "found")):
            known = own[own[column] > 0]
            full = 1.0 if how == "found" else 0.0
            marks = {
                "level": {"value": known[column], "legend": f"rounding, {how}", "curve": ""},
                "vertical": {"x": known[column], "legend": f"rounding, {how}", "curve": ""},
                "foot": {"x": known[column], "value": full, "legend": f"lost below ({how})"},
            }[kind]
            panel = _RIGHT if kind == "foot" else _LEFT
            yield named(known).assign(kind=kind, panel=panel, dashes=dashes, error=np.nan, **marks)


def _variance(objective: str, runs: Sequence[Run]) -> pd.DataFrame | None:
    """Variance of one sample against sigma, to the mean and to the scale."""
    tables = []
    for wrt in ("mean", "scale"):
        for index, run in enumerate(runs):
            rows = _chosen(run, _select(run, objective, "variance", wrt), objective, len(runs))
            if rows is not None:
                rows = rows[rows["estimator"] != "at_mean"]
                panel = f"of the gradient to the {wrt}"
                tables.append(named(rows).assign(panel=panel, run=index, x=rows["sigma"]))
    return tidy(tables, heading=_heading(objective, runs, "variance of one sample against sigma"))


def _learning(objective: str, runs: Sequence[Run]) -> pd.DataFrame | None:
    """Variance of one gradient to sigma over its mean squared: the batch that tells its sign."""
    tables = []
    for index, run in enumerate(runs):
        means = _select(run, objective, "bias", "scale")
        for which in _told_apart(run, objective, len(runs)):
            variance = _of(_select(run, objective, "variance", "scale"), which)
            found = (_of(means, w) for w in (*_PATHWISE, which))
            mean = next((rows for rows in found if len(rows)), None)
            if which[0] in ("at_mean", "score_function") or mean is None or variance.empty:
                continue
            both = variance.merge(mean, on="sigma", suffixes=("", "_mean"))
            resolved = both["value_mean"] > 3 * both["error_mean"].fillna(0)
            both = both[resolved & (both["value"] > 0)]
            value = both["value"] / both["value_mean"] ** 2
            relative = np.hypot(
                both["error"] / both["value"], 2 * both["error_mean"] / both["value_mean"]
            )
            exact = (both["theory"] / both["theory_mean"] ** 2).where(both["theory_mean"] > 0)
            own = both.assign(value=value, error=value * relative, theory=exact)
            panel = "variance of the gradient to sigma / its mean²"
            tables.append(named(own).assign(panel=panel, run=index, x=own["sigma"]))
    return tidy(tables, heading=_heading(objective, runs, "batch needed to learn sigma"))


def _batch(objective: str, runs: Sequence[Run]) -> pd.DataFrame | None:
    """Error against batch size at a handful of sigmas, and the exact bias of each."""
    sigmas = _spread(runs[0], objective, 5 if len(runs) == 1 else 3)
    measured = [w for w in _estimators(runs[0], objective) if w[0] != "at_mean"]
    chosen = [w for w in (("pathwise", "iid"), BASELINE) if w in measured] or measured
    tables = []
    for which in chosen[:2]:
        for metric, to in (("error_to_gradient", "grad f(x)"), ("error_to_smoothed", "grad E f")):
            panel = f"{with_noise(*which)}: rms error to {to}"
            for place, sigma in enumerate(sigmas):
                curve = {"curve": f"sigma {sigma:.2g}", "look": nth(place), "panel": panel}
                for index, run in enumerate(runs):
                    rows = _of(_at(_select(run, objective, metric), sigma), which)
                    look = [curve["look"]] * len(rows)
                    tables.append(
                        rows.assign(**(curve | {"look": look}), run=index, x=rows["batch_size"])
                    )
                exact = _of(_at(_select(runs[0], objective, "bias"), sigma), which)
                exact = exact[exact["theory"] > 0]
                if metric == "error_to_gradient" and len(exact):
                    legend = "bias at this sigma (exact)"
                    level = exact.assign(value=exact["theory"], theory=np.nan, kind="level")
                    tables.append(
                        level.assign(
                            **(curve | {"look": [curve["look"]] * len(level)}), legend=legend
                        )
                    )
    return tidy(tables, heading=_heading(objective, runs, "error against batch size"))


def _heat(objective: str, runs: Sequence[Run]) -> pd.DataFrame | None:
    """Error to grad f(x) by sigma and batch size, a panel an estimator."""
    main = (*_PATHWISE, ("score_function", "iid"), BASELINE, ("forward_difference", "iid"))
    scale, tables = _gradient_size(runs[0], objective), []
    for run in runs:
        found = _estimators(run, objective)
        ordered = [w for w in dict.fromkeys((*main, *found)) if w in found and w[0] != "at_mean"]
        for which in ordered[: max(1, 6 // len(runs))]:
            rows = _of(_select(run, objective, "error_to_gradient"), which)
            if not (rows["value"] > 0).any():
                continue
            name = with_noise(*which) + (f"\n{plain(run.label, 34)}" if len(runs) > 1 else "")
            own = (_gradient_size(run, objective) or scale) if scale else 1.0
            values = rows["value"] / (own or 1.0)
            tables.append(
                rows.assign(panel=name, x=rows["batch_size"], y=rows["sigma"], value=values)
            )
    unit = "error / |grad f|" if scale else "error (units of f/x)"
    rows = tidy(
        tables, heading=_heading(objective, runs, f"{unit} by sigma and batch size"), unit=unit
    )
    if rows is not None and scale:
        rows.attrs["range"] = (-6.0, 1.0)
    return rows


def _cosine(objective: str, runs: Sequence[Run]) -> pd.DataFrame | None:
    """Cosine with grad f(x) against batch size, a panel a sigma."""
    tables = []
    for sigma in _spread(runs[0], objective, 3):
        for index, run in enumerate(runs):
            rows = _chosen(run, _at(_select(run, objective, "cosine"), sigma), objective, len(runs))
            if rows is not None:
                alive = rows.groupby(["estimator", "noise"])["value"].transform("any")
                rows = rows[alive & rows["value"].notna()]
                panel = f"sigma = {sigma:.2g}"
                tables.append(named(rows).assign(panel=panel, run=index, x=rows["batch_size"]))
    return tidy(tables, heading=_heading(objective, runs, "cosine with grad f(x)"))


def _picture(objective: str, runs: Sequence[Run]) -> Grid | None:
    """Images of the gradient of the digit classifier: rows are sigmas, columns batch sizes."""
    found = next((one for run in runs if (one := run.json("picture.json"))), None)
    if objective != "digit_classifier" or not found:
        return None
    gradient = np.asarray(found["gradient"], float)
    side = round(gradient.size**0.5)
    if side * side != gradient.size:
        return None
    sigmas, sizes = found["sigmas"][:5], found["batch_sizes"][:6]

    def tile(values: np.ndarray) -> Tile:
        length = float(np.linalg.norm(values) * np.linalg.norm(gradient))
        words = f"cos {values @ gradient / length:.2f}" if length > 0 else "no estimate"
        return Tile(values.reshape(side, side), words)

    digit = np.asarray(found["image"], float).reshape(side, side)
    rows = [
        ("the digit x, grad f(x)", [Tile(digit, "x", "Greys", (0, digit.max())), tile(gradient)])
    ]
    for name, estimates in list(found["estimates"].items())[:3]:
        for row, sigma in enumerate(sigmas):
            tiles = [tile(np.asarray(estimates[row][i], float)) for i in range(len(sizes))]
            rows.append((f"{plain(name, 30)}\nsigma {sigma:g}", tiles))
    columns = [f"N = {n}" for n in sizes]
    return Grid("digit_classifier: gradients; orange: f grows, purple: f falls", rows, columns)


def _overview(runs: Sequence[Run]) -> pd.DataFrame | None:
    """Bias of every objective, in units of its gradient and of the exact bias."""
    names = list(dict.fromkeys(name for run in runs for name in run.frame["objective"]))
    tables, shown = [], 0
    for name in names:
        drawn = False
        for index, run in enumerate(runs[: max(1, _MOST_CURVES // max(1, len(names)))]):
            rows = next(
                (r for w in _PATHWISE if len(r := _of(_select(run, name, "bias"), w))), None
            )
            if rows is None:
                continue
            rows = rows[rows["theory"] > 0]
            scale = _gradient_size(run, name)
            if not (rows["value"] > 0).any() or rows["theory"].max() <= _NO_BIAS * (scale or 0):
                continue
            own = {"curve": plain(name), "run": index, "look": [nth(shown)] * len(rows)}
            if scale is not None:
                columns = ["value", "error", "theory"]
                relative = rows.assign(**{c: rows[c] / scale for c in columns})
                tables.append(relative.assign(panel="bias / |grad f(x)|", x=rows["sigma"], **own))
            ratio, error = rows["value"] / rows["theory"], rows["error"] / rows["theory"]
            error = error.where(error < 0.5)  # else the bar alone sets the axis
            keep = (rows["theory"] > _NEGLIGIBLE * rows["theory"].max()) & (ratio < _FARTHEST)
            right = rows.assign(value=ratio, error=error, theory=np.nan, x=rows["sigma"], **own)
            tables.append(right[keep].assign(panel="measured bias / exact bias"))
            drawn = True
        shown += drawn
    rows = tidy(tables, heading="bias of the pathwise gradient, all objectives")
    if rows is None:
        return None
    one = {"panel": "measured bias / exact bias", "kind": "level", "value": 1.0, "dashes": "-"}
    return tidy([rows, pd.DataFrame([one])], heading=rows.attrs["heading"])


OVERVIEW = Lines(
    name="overview",
    title="Bias of all objectives",
    caption="Left: compare the slope in sigma with 2 where f is smooth, and look for a bend near a "
    "kink. Right: 1 is agreement with the exact bias; a curve leaves it where rounding is larger "
    "than the bias.",
    rows=_overview,
    x=SIGMA,
    y={"bias": "relative bias", "measured": "ratio"},
    theory="exact",
    height=3.0,
)

FIGURES = (
    Lines(
        name="bias",
        title="Bias and error against sigma",
        caption="Left: follow the bias along the exact line to where rounding ends it; dotted "
        "lines mark where that is predicted, dash-dotted lines where it was found. A hollow "
        "triangle is a bias not resolved from 0; it lies below. Right: what one batch gives; "
        "triangles at the foot mark the sigma below which differences of values are lost in "
        "rounding.",
        rows=_bias,
        x=SIGMA,
        y={"bias": f"bias ({UNIT})", "rms": f"error ({UNIT})"},
        theory="theory, leading order (bias: exact)",
    ),
    Lines(
        name="batch",
        title="Error against batch size",
        caption="Left: look for where the error to grad f(x), which falls as N^(-1/2), meets the "
        "bias of its sigma, a dotted level. Right: the error to the gradient of the smoothed "
        "function has no such level.",
        rows=_batch,
        x=BATCH,
        y=f"error ({UNIT})",
        height=2.3,
        guides=(Guide(slope=-0.5, text="slope −1/2"),),
    ),
    Heat(
        name="heat",
        title="Error by sigma and batch size",
        caption="Light is little error. For every batch size the dot marks the sigma with the "
        "least error and the line those hardly worse: the choice of sigma is free where the line "
        "is long.",
        rows=_heat,
        x=BATCH,
        y=SIGMA,
    ),
    Lines(
        name="variance",
        title="Variance of one sample",
        caption="What the estimators differ in. Compare the powers of sigma with the dashed "
        "theory, and look for where rounding takes over.",
        rows=_variance,
        x=SIGMA,
        y=f"variance ({UNIT})²",
        theory="theory, leading order",
    ),
    Lines(
        name="learning",
        title="Batch needed to learn sigma",
        caption="The gradient to sigma is itself of order sigma where f is smooth. Compare the "
        "slope with −2, that of noise which does not fall with it, and see which estimators "
        "escape it.",
        rows=_learning,
        x=SIGMA,
        y="batch for signal = noise (samples)",
        theory="theory, leading order",
        guides=(Guide(slope=-2, text="slope −2"),),
    ),
    Lines(
        name="cosine",
        title="Direction of the gradient",
        caption="1 is the direction of grad f(x), whatever the length; 0 is none of it. Compare "
        "the panels: a large sigma bends the gradient, a small one may lose differences in "
        "rounding.",
        rows=_cosine,
        x=BATCH,
        y="cosine with grad f(x)",
        log="x",
        columns=3,
        height=2.3,
        limits=lambda rows: (min(-0.06, 1.08 * float(rows["value"].min())), 1.06),
    ),
    Images(
        name="picture",
        title="The gradient as an image",
        caption="Each image is scaled to its own largest entry; the number under it is its cosine "
        "with grad f. Compare along a row (more samples) and down a block (smaller sigma).",
        rows=_picture,
    ),
)
