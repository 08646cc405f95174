"""The figures of `sigmaprop estimators`."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd

from sigmaprop.comparison import choice
from sigmaprop.reporting.charts import Guide, Lines
from sigmaprop.reporting.estimators.scores import ends_of, scores, sigmas_of, study_rows, told
from sigmaprop.reporting.fmt import few, plain, with_noise
from sigmaprop.reporting.frame import Run
from sigmaprop.reporting.limit.figures import SIGMA, UNIT
from sigmaprop.reporting.marks import NOISES, Mark, mark, rank
from sigmaprop.reporting.points import named, tidy
from sigmaprop.reporting.rows import Intervals
from sigmaprop.reporting.style import BLUE, MUTED, ORANGE, VERMILLION
from sigmaprop.statistics import interval

_PARTS = {"mean": Mark(BLUE, "o"), "scale": Mark(VERMILLION, "D"), "factor": Mark(ORANGE, "s")}

_FARTHEST = 100.0
"""Efficiencies so many times the best are drawn at the edge."""

_COSTS = {
    "quadratic": "f(x) = (x − k)²",
    "exponential": "f(x) = exp(−k x²)",
    "cosine": "f(x) = cos(k x)",
}

_DEEPEST = 1e-4
"""Share of a panel's median below which a variance leaves it: it may vanish at one k."""


def _efficiency(run: Run, objective: str, gaussian: str) -> pd.DataFrame | None:
    """A row an estimator, the best at the top, at the largest and the smallest sigma."""
    rows, counts = [], set()
    for sigma in ends_of(sigmas_of(run, objective, gaussian)):
        panel, found = f"sigma = {sigma:g}", scores(run, objective, gaussian, sigma)
        counts |= {score.num_samples for score in found}
        ranked = [row for row in choice.rank(found) if any(r > 0 for r in row.ratios.values())]
        first = next((i for i, row in enumerate(ranked) if row.biased), 0)
        for place, row in enumerate(ranked):
            own = [s for s in row.scores.values() if told(s) and s.biased == row.biased]
            worst = max(own, key=lambda s: abs(np.nan_to_num(s.bias)), default=None)
            name = with_noise(*row.which) + (f", {told(worst)}" if worst else "")
            if place == first > 0:
                rows.append({"panel": panel, "row": name, "kind": "below"})
            for part, ratio in row.ratios.items():
                look = _PARTS.get(part, Mark(MUTED, "^"))
                dot = {"panel": panel, "row": name, "series": f"gradient to the {part}"}
                biased = row.scores[part].biased
                value = max(ratio, 1e-30) if ratio > 0 else np.nan
                rows.append(
                    dot | {"value": value, "look": look, "hollow": biased, "struck": biased}
                )
        rows.append({"panel": panel, "kind": "line", "value": 1.0})
    if not any(row.get("kind") is None for row in rows):
        return None
    what = f"efficiency of every estimator, {few(sorted(counts))} samples each"
    table = pd.DataFrame(rows)
    table.attrs = {"heading": f"{plain(objective)}, {gaussian}: {what}", "gaussian": gaussian}
    return table


def _biases(run: Run, objective: str, gaussian: str) -> pd.DataFrame | None:
    """Relative bias of every estimator with its 99% interval, at the largest sigma."""
    sigmas = sigmas_of(run, objective, gaussian)
    found = scores(run, objective, gaussian, sigmas[0]) if sigmas else []
    found = [score for score in found if np.isfinite(score.bias)]
    order = {name: i for i, name in enumerate((*NOISES, "?"))}
    found.sort(key=lambda s: (rank(s.estimator), order.get(s.noise, 9)))
    rows = []
    for part in choice.parts_of(found):
        panel = f"gradient to the {part}"
        band = {"kind": "band", "low": -choice.LEAST_BIAS, "high": choice.LEAST_BIAS}
        rows += [{"panel": panel, "look": Mark(MUTED)} | band]
        rows += [{"panel": panel, "kind": "line", "value": 0.0}]
        for score in found:
            if score.wrt == part:
                ends = interval(score.bias, score.error, int(run.config.get("replicates") or 2))
                dot = {"panel": panel, "row": with_noise(*score.which), "value": score.bias}
                look = {"look": mark(*score.which), "struck": score.biased}
                rows.append(dot | {"low": ends.low, "high": ends.high} | look)
    if not found:
        return None
    table = pd.DataFrame(rows)
    what = f"bias at sigma = {sigmas[0]:g}, with 99% intervals"
    table.attrs = {"heading": f"{plain(objective)}, {gaussian}: {what}", "gaussian": gaussian}
    return table


def _grid(run: Run, objective: str, gaussian: str, x: str) -> pd.DataFrame | None:
    """Variances of a grid by noise scheme and part; what is but rounding is 0."""
    sigmas = sigmas_of(run, objective, gaussian)
    grid = study_rows(run, "grid", objective=objective, gaussian=gaussian)
    rows = grid[grid["metric"] == "variance"]
    if (x == "sigma" and len(sigmas) < 3) or rows.empty:
        return None
    names = ["estimator", "noise", "wrt"]
    if x == "sigma":
        rows = rows[rows["num_samples"] == rows.groupby(names)["num_samples"].transform("max")]
    else:
        rows = rows[rows["sigma"] == sigmas[0]]
        if (rows.groupby(names)["num_samples"].nunique() < 2).all():
            return None
    keys = [*names, "sigma", "num_samples"]
    bias = grid[grid["metric"] == "bias"][[*keys, "error"]]
    rows = rows.merge(bias, on=keys, how="left", suffixes=("", "_of_bias"))
    replicates, dtype = run.config.get("replicates") or 1, str(run.config.get("dtype"))
    noisy = ~choice.is_rounding(rows["error_of_bias"].to_numpy(float), dtype, replicates)
    rows = rows.assign(value=rows["value"] * noisy, error=rows["error"] * noisy, theory=np.nan)
    panel = "to the " + rows["wrt"].astype(str) + ", " + rows["noise"].astype(str) + " noise"
    parts = [part for part in choice.PARTS if (rows["wrt"] == part).any()]
    places = rows["noise"].map({n: i for i, n in enumerate(NOISES)}).fillna(9)
    rows = named(rows).assign(panel=panel, x=rows[x].astype(float), place=places)
    rows["part"] = rows["wrt"].map({p: i for i, p in enumerate(choice.PARTS)})
    rows["family"] = rows["estimator"].map(rank)
    rows = rows.sort_values(["place", "part", "family", "x"], kind="stable")
    rows["curve"] = rows["estimator"]
    rows["look"] = [mark(str(name)) for name in rows["estimator"]]
    what = f"variance of one sample, ({UNIT})²" if x == "sigma" else "N × variance of an estimate"
    rows.attrs = {"heading": f"{plain(objective)}, {gaussian}: {what}", "gaussian": gaussian}
    rows.attrs |= {"columns": len(parts)}
    return rows


def _exact(run: Run, study: str) -> pd.DataFrame | None:
    """Exact variances, what was sampled on top of them, and where curves cross."""
    found = study_rows(run, study)
    exact = found[found["metric"] == "exact_variance"]
    if exact.empty:
        return None
    costs = list(dict.fromkeys(exact["objective"]))
    tables = []
    for cost in costs:
        for wrt in ("mean", "scale"):
            text = f"{_COSTS.get(cost, plain(cost))}: " if study == "variance_curves" else ""
            panel = {"panel": f"{text}gradient to the {wrt}"}
            own = exact[(exact["objective"] == cost) & (exact["wrt"] == wrt)]
            own = own.sort_values("estimator", key=lambda c: c.map(rank), kind="stable")
            least = _DEEPEST * float(own["value"].median())
            shown = own["value"].where(own["value"] > least)
            dashed = {"mean": (0, (5, 1.6)), "optimal": (0, (1.4, 1.2)), "uncoupled": (0, (5, 1.6))}
            looks = [
                mark(n)._replace(dashes=dashed.get(n.partition("+")[2], "-"))
                for n in own["estimator"].astype(str)
            ]
            tables.append(own.assign(curve=own["estimator"], look=looks, value=shown, **panel))
            sampled = found[(found["objective"] == cost) & (found["wrt"] == wrt)]
            sampled = named(sampled[sampled["metric"] == "variance"])
            points = {"kind": "sampled", "legend": "sampled, ± 2 standard errors"}
            tables.append(
                sampled.assign(theory=np.nan, curve=sampled["estimator"], **points, **panel)
            )
            tables.append(_crossings(run, study, cost, wrt, own).assign(**panel))
    heading = {
        "variance_curves": "variance of one sample of x ~ N(1, 1) against k",
        "coupling": "measure-valued gradient of (x − k)², x ~ N(m, s²): to couple or not",
    }
    return tidy(tables, heading=heading[study])


def _crossings(run: Run, study: str, cost: str, wrt: str, exact: pd.DataFrame) -> pd.DataFrame:
    """Where curves cross: the claims know it to more digits than the points of a curve."""
    rows = []
    for claim in run.claims:
        about = (claim["study"], claim["quantity"], claim["wrt"])
        own = claim["objective"] == cost or study == "coupling"
        if about != (study, "crossover", wrt) or not own or np.isnan(claim["x"]):
            continue
        name = claim["estimator"].partition(" and ")[0] or "measure_valued"
        curve = exact[exact["estimator"] == name].sort_values("x")
        if len(curve) and curve["x"].iloc[0] <= claim["x"] <= curve["x"].iloc[-1]:
            logs = np.log(np.maximum(curve["value"], 1e-300))
            y = float(np.exp(np.interp(claim["x"], curve["x"], logs)))
            rows.append({"x": claim["x"], "value": y, "kind": "cross", "legend": "equal variance"})
    return pd.DataFrame(rows)


_DIMENSION = (
    ("variance to the mean", "mean", "variance"),
    ("variance to the scale", "scale", "variance"),
    ("evaluations for a sample", "all", "evaluations"),
    ("efficiency to the mean", "mean", "efficiency"),
    ("efficiency to the scale", "scale", "efficiency"),
    ("seconds for a sample", "all", "seconds"),
)


def _dimension(runs: Sequence[Run]) -> pd.DataFrame | None:
    """Variance, cost and efficiency against the dimension."""
    tables = []
    for panel, wrt, metric in _DIMENSION:
        for index, run in enumerate(runs):
            rows = study_rows(run, "dimension", wrt=wrt, metric=metric).sort_values("dim")
            own = named(rows).assign(panel=panel, run=index, x=rows["dim"].astype(float))
            tables.append(own.assign(theory=np.nan))
    return tidy(tables, heading="what the dimension does")


def _learning(runs: Sequence[Run]) -> pd.DataFrame | None:
    """Samples needed against sigma, and a level at one sample."""
    rows = study_rows(runs[0], "learning_sigma", metric="samples_needed").sort_values("sigma")
    if rows.empty:
        return None
    panel = {"panel": "samples at which the gradient to sigma equals its standard error"}
    one = pd.DataFrame([{"kind": "level", "value": 1.0, "dashes": "-"} | panel])
    return tidy([named(rows).assign(x=rows["sigma"], **panel), one])


def _piecewise(runs: Sequence[Run]) -> pd.DataFrame | None:
    """The gradient to sigma by three rules, on a network with kinks and a smooth one."""
    found = study_rows(runs[0], "piecewise_linear", metric="gradient")
    rows, count = [], int(runs[0].config.get("replicates") or 2)
    numbers = found[["sigma", "value", "error"]].to_numpy(float)
    for row, (sigma, value, error) in zip(found.itertuples(), numbers, strict=True):
        panel = f"{plain(str(row.objective))}, sigma {sigma:g}"
        ends = interval(value, error, count)
        look = mark(str(row.estimator), str(row.noise))
        dot = {"panel": panel, "row": with_noise(str(row.estimator), str(row.noise)), "look": look}
        rows.append(dot | {"value": value, "low": ends.low, "high": ends.high})
        rows.append({"panel": panel, "kind": "line", "value": 0.0})
    return pd.DataFrame(rows) if rows else None


def _logistic(runs: Sequence[Run]) -> pd.DataFrame | None:
    """ELBO against steps and seconds, and the variance of a step's gradient."""
    tables = []
    for index, run in enumerate(runs):
        rows = named(study_rows(run, "logistic"))
        rows = rows.sort_values("estimator", key=lambda c: c.map(rank), kind="stable")
        rows = rows.assign(run=index, theory=np.nan)
        seconds = rows[rows["metric"] == "seconds"].set_index("curve")["value"]
        elbo, step = rows[rows["metric"] == "elbo"], rows[rows["metric"] == "variance_of_step"]
        for panel, wrt in (("mean", "mean"), ("log scale", "scale")):
            own = step[step["wrt"] == wrt]
            known = (own["value"] > 0) & (own["error"] >= 0)
            factor = np.exp((2 * own["error"] / own["value"]).clip(upper=20.0)).where(known)
            ends = {"low": own["value"] / factor, "high": own["value"] * factor}
            title = f"variance of a step's gradient to the {panel}"
            tables.append(own.assign(panel=title, error=np.nan, **(ends if index == 0 else {})))
        ends = {"low": elbo["value"] - 2 * elbo["error"], "high": elbo["value"] + 2 * elbo["error"]}
        elbo = elbo.assign(error=np.nan, **(ends if index == 0 else {}))
        clock = elbo["x"] * elbo["curve"].map(seconds)
        for place, (panel, x) in enumerate((("steps", elbo["x"]), ("seconds", clock))):
            tables.insert(2 * index + place, elbo.assign(panel=f"ELBO against {panel}", x=x))
    if not any(np.isfinite(t["value"].to_numpy(float)).any() for t in tables):
        return None
    tables.sort(key=lambda t: str(t["panel"].iloc[0]) if len(t) else "")
    seeds = runs[0].config.get("seeds", "several")
    return tidy(tables, heading=f"Bayesian logistic regression, mean of {seeds} seeds")


def _late(rows: pd.DataFrame) -> tuple[float, float]:
    """The axis that the later part of training needs, without curves that end far below."""
    curves = [own.sort_values("x") for _, own in rows.groupby(["run", "curve"])]
    ends = np.array([float(own["value"].iloc[-1]) for own in curves])
    best = np.nanmax(ends) if np.isfinite(ends).any() else np.nan
    gaps = best - ends
    far = 5 * max(float(np.nanmedian(gaps)) if np.isfinite(gaps).any() else 0, 1e-3 * abs(best))
    late = [
        own["value"][own["x"] >= 0.3 * own["x"].max()]
        for own, gap in zip(curves, gaps, strict=True)
        if not gap > far
    ]
    values = pd.concat(late or [rows["value"]]).dropna()
    values = values if len(values) else rows["value"].dropna()
    low, high = float(values.min()), float(values.max())
    room = max(0.06 * (high - low), 1e-3 * abs(high), 1e-3)
    return low - room, high + room


GRID = (
    Intervals(
        name="efficiency",
        title="Which estimator: efficiency, {gaussian} Gaussian",
        caption="Choose from the top. Efficiency is 1 / (variance of a sample × its seconds), over "
        "that of the best unbiased estimator of the same part: 10⁻² means a hundred times the "
        "computing time for the same accuracy. Steps of less than a factor of two are within the "
        "noise of a clock. Below the line, struck through, are estimators that miss the gradient.",
        rows=_efficiency,
        x="efficiency / best unbiased",
        join=True,
        each=True,
        edge=_FARTHEST,
    ),
    Lines(
        name="variance",
        title="Variance against sigma, {gaussian} Gaussian",
        caption="Panels of a column share their axis: down a column the noise scheme changes, and "
        "nothing else. Look for what grows, stays level and falls as sigma falls.",
        rows=partial(_grid, x="sigma"),
        x=SIGMA,
        y="variance",
        height=2.0,
        share="column",
    ),
    Lines(
        name="samples",
        title="What more samples buy, {gaussian} Gaussian",
        caption="Level is the rate of Monte Carlo, variance 1 / N. A curve that falls does better.",
        rows=partial(_grid, x="num_samples"),
        x="samples N",
        y="N × variance",
        height=2.0,
        share="column",
    ),
    Intervals(
        name="bias",
        title="Bias of every estimator, {gaussian} Gaussian",
        caption="An unbiased estimator's interval holds 0. The axis is linear inside ± 0.01, "
        "logarithmic outside; the grey band is ± 0.05, and −1 is a gradient that is missed "
        "altogether. An interval that reaches beyond the band cannot tell.",
        rows=_biases,
        x="bias / exact gradient",
        log="sym",
        ticks={-10: "−10", -1: "−1", -0.1: "−0.1", 0: "0", 0.1: "0.1", 1: "1", 10: "10"},
        columns=3,
    ),
)

STUDIES = {
    "variance_curves": (
        "One dimension",
        "What is the variance of every rule for three functions of one x, where do the curves "
        "cross, and does sampling agree with the exact numbers?",
        Lines(
            name="variance_curves",
            title="Variance of every rule in one dimension",
            caption="Look for where curves cross, marked by a tick with its k: which rule is best "
            "changes there. Lines are exact; points with a rim were sampled.",
            rows=lambda runs: _exact(runs[0], "variance_curves"),
            x="k",
            y="variance",
            log={"f(x) = (x": "y", "f(x)": "xy"},
            height=2.35,
        ),
    ),
    "coupling": (
        "Coupling",
        "Should the two sides of a measure-valued gradient share their random numbers?",
        Lines(
            name="coupling",
            title="What coupling is worth",
            caption="Coupled, both sides of a sample share their random numbers. The tick marks "
            "where that stops to pay. Lines are exact; points with a rim were sampled.",
            rows=lambda runs: _exact(runs[0], "coupling"),
            x="|m − k| / s",
            y="variance (s = 1)",
            log="y",
        ),
    ),
    "dimension": (
        "Dimension",
        "What does the dimension do to variance, cost and efficiency?",
        Lines(
            name="dimension",
            title="What the dimension does",
            caption="Compare the slopes above with the grey one: a variance that grows as D is the "
            "price of a value where a gradient would show D numbers. Evaluations and seconds are "
            "the price of the others; efficiency takes both together.",
            rows=_dimension,
            x="dimension D",
            y={"var": "variance", "eval": "evaluations", "eff": "1 / (variance × s)", "s": "s"},
            columns=3,
            height=2.1,
            guides=(Guide(slope=1, text="slope 1", panel="variance to the mean", above=True),),
        ),
    ),
    "learning_sigma": (
        "Learning sigma",
        "How many samples does the gradient to sigma take as sigma falls, and what avoids it?",
        Lines(
            name="learning_sigma",
            title="Samples that learning sigma takes",
            caption="Compare the slopes with −2: a curve that is level, or falls with sigma, has "
            "escaped. Below the line at 1 a single sample is enough.",
            rows=_learning,
            x=SIGMA,
            y="samples",
            guides=(Guide(slope=-2, text="slope −2"),),
        ),
    ),
    "piecewise_linear": (
        "Piecewise-linear networks",
        "Which rules give the gradient to sigma where all curvature lies in kinks?",
        Intervals(
            name="piecewise_linear",
            title="Where Price's rule fails",
            caption="All rules estimate one number, with 99% intervals. Where all curvature lies "
            "in kinks no sample sees a second derivative: compare Price's rule with the others.",
            rows=_piecewise,
            x="gradient to sigma",
            log="",
            row=0.34,
            numbers=True,
        ),
    ),
    "logistic": (
        "Logistic regression",
        "Does less variance train a Bayesian logistic regression faster, in steps and in seconds?",
        Lines(
            name="logistic",
            title="Training with each estimator",
            caption="Above: the evidence lower bound of the whole data set, higher is better, from "
            "where the curves can be told apart. Compare steps with seconds: what a step costs "
            "moves them. Below: the variance behind it. Bands are two standard errors over seeds.",
            rows=_logistic,
            x={"ELBO against sec": "seconds", "": "steps"},
            y={"ELBO": "ELBO (nats)", "variance": "variance (nats²)"},
            log={"ELBO against sec": "x", "ELBO": "", "variance": "y"},
            height=2.5,
            limits=_late,
        ),
    ),
}
"""Every study but the grid: heading, question and figure, in the order of the page."""
