"""The figures of `sigmaprop gan`: where sigma goes, scores, examples, losses, and the gap."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from sigmaprop.generators.arms import ARMS
from sigmaprop.generators.results import Measured, measured
from sigmaprop.generators.scores import Comparison, from_json
from sigmaprop.metrics import METRICS as SCORES
from sigmaprop.metrics import distances, mixture_scores
from sigmaprop.reporting.charts import Guide, Lines, tidy
from sigmaprop.reporting.fmt import plain
from sigmaprop.reporting.frame import Run, odd, read_arrays
from sigmaprop.reporting.gan_words import noise_std
from sigmaprop.reporting.images import Grid, Images, Tile, sheet
from sigmaprop.reporting.marks import Mark, nth
from sigmaprop.reporting.rows import Intervals
from sigmaprop.reporting.style import MUTED, SKY, VERMILLION

STEP, SIGMA = "step", "sigma (std, units of x)"
_MOST_CELLS = 32
"""Cells told apart in a figure."""
_UNITS = {SCORES[name].title: SCORES[name].unit for name in distances()}
_DRAWN = tuple(name for name in mixture_scores() if name != "reverse_kl")
"""Of a mixture: the divergence says little beside the number of modes."""
_MOST_SEEDS = 8
"""Seeds of a cell that are drawn line by line."""
WEIGHTS = {"last": "last iterate", "average": "moving average of the weights"}
_ROUNDING = 4 * float(np.finfo(np.float32).eps)
"""A cosine this near to 1 cannot be told from 1."""


def _rows(run: Run, metric: str, of: str = "", weights: str = "") -> pd.DataFrame:
    """A metric of every replica that is drawn, without what follows its divergence."""
    frame = run.frame
    rows = frame[
        (frame["metric"] == metric) & (frame["sigma"] == 0) & (frame["cell"] < _MOST_CELLS)
    ]
    rows = rows[(rows["of"].fillna("") == of) & (rows["weights"].fillna("") == weights)]
    stops = frame[frame["metric"] == "diverged_at"].groupby("replica")["value"].last()
    stop = rows["replica"].map(stops).fillna(-1)
    looks = [nth(int(cell)) for cell in rows["cell"]]
    curve = [plain(str(label), 44) for label in rows["label"]]
    return rows[(stop < 0) | (rows["step"] <= stop)].assign(
        curve=pd.Series(curve, rows.index), look=pd.Series(looks, rows.index), x=rows["step"]
    )


def _means(rows: pd.DataFrame, *, band: bool = False) -> pd.DataFrame:
    """The mean over seeds that are alive, and the range that they span."""
    rows = rows[np.isfinite(rows["value"].to_numpy(float))].sort_values(["cell", "step"])
    keys = ["cell", "curve", "x"]
    found = rows.groupby(keys, sort=False, as_index=False).agg(
        value=("value", "mean"), low=("value", "min"), high=("value", "max"), look=("look", "first")
    )
    return found if band else found.drop(columns=["low", "high"])


def _seeds(rows: pd.DataFrame) -> pd.DataFrame:
    """A thin line a seed: seeds of a cell behind each other, with gaps between them."""
    rows = rows[rows["seed"] < _MOST_SEEDS].sort_values(["cell", "seed", "step"])
    gaps = rows.groupby(["cell", "seed"], sort=False).tail(1).assign(value=np.nan)
    joined = pd.concat([rows, gaps]).sort_values(["cell", "seed", "step"], kind="stable")
    return joined[["cell", "curve", "look", "x", "value"]].assign(kind="ghost")


def _title(run: Run, what: str) -> str:
    return f"{plain(str(run.config['dataset']))}: {what}"


def _left_out(run: Run) -> str:
    """A sentence on the cells that figures do not show."""
    more = run.replicas["cell"].nunique() - _MOST_CELLS
    return f" {more} further cells are in the tables alone." if more > 0 else ""


def _trajectories(runs: Sequence[Run]) -> pd.DataFrame | None:
    """Sigma against the step: means, and every seed."""
    tables = []
    for index, run in enumerate(runs):
        rows = _rows(run, "sigma")
        alive = rows.groupby("cell")["value"].transform("max") > 0
        rows = rows[alive]
        tables += [_means(rows).assign(run=index), _seeds(rows).assign(run=index)]
    rows = tidy(tables)
    if rows is None:
        return None
    extra, values = [], rows["value"][rows["value"] > 0]
    ends = {name: float(runs[0].config[f"sigma_{name}"]) for name in ("floor", "ceiling")}
    near = {
        "floor": values.min() < 3 * ends["floor"],
        "ceiling": values.max() > ends["ceiling"] / 3,
    }
    extra += [
        {"kind": "level", "value": ends[name], "legend": "floor, ceiling"}
        for name, close in near.items()
        if close
    ]
    if (std := noise_std(runs[0].config)) is not None:
        look = {"curve": "noise in the data", "look": Mark(VERMILLION), "dashes": "-."}
        extra.append(
            {"kind": "level", "value": std, "legend": f"noise in the data, {std:g}"} | look
        )
    attrs = {"heading": _title(runs[0], "sigma by step"), "caption": _left_out(runs[0])}
    return tidy([rows, pd.DataFrame(extra)], **attrs).assign(panel="sigma, mean over seeds")  # pyright: ignore


def _bounds(runs: Sequence[Run]) -> pd.DataFrame | None:
    """The share of learned scales at floor and ceiling, where there is any."""
    run, tables = runs[0], []
    for key, bound in (("at_floor", "sigma_floor"), ("at_ceiling", "sigma_ceiling")):
        rows = _rows(run, key)
        panel = f"{key.replace('_', ' the ')}, {run.config[bound]:g}"
        tables.append(_means(rows[rows["learns"].astype(bool)]).assign(panel=panel))
    rows = tidy(tables, heading=_title(run, "share of scales at a bound"))
    return rows if rows is not None and rows["value"].max() > 0.01 else None


def _losses(runs: Sequence[Run]) -> pd.DataFrame | None:
    """Losses and logits against the step."""
    panels = {
        "discriminator_loss": "loss of the discriminator",
        "generator_loss": "loss of the generator",
        "logit_real": "logit of the discriminator at real examples",
        "logit_fake": "logit of the discriminator at generated examples",
    }
    tables = [_means(_rows(runs[0], m), band=True).assign(panel=p) for m, p in panels.items()]
    heading = _title(runs[0], "losses and logits by step")
    return tidy(tables, heading=heading, caption=_left_out(runs[0]))


def _inner(rows: pd.DataFrame) -> tuple[float, float]:
    """An axis that a few outliers do not stretch."""
    low, high = np.nanpercentile(rows["value"].to_numpy(float), [0.5, 99.5])
    room = 0.08 * (high - low) or 0.1
    return float(low - room), float(high + room)


def _lowest(run: Measured, metric: str) -> float:
    """What is not drawn below: an MMD^2 may be below 0."""
    real = run.real.get(metric, {}).get("percentile_95", np.nan)
    return 0.3 * real if metric == "mmd2" and real > 0 else 1e-300


def _along(runs: Sequence[Run]) -> pd.DataFrame | None:
    """Distances against the step, of the mean and of x; last iterate and moving average."""
    run, numbers, tables = runs[0], measured(runs[0].directory), []
    for metric in distances():
        for of, text in (("mean", "the mean"), ("x", "x")):
            panel = {"panel": f"{SCORES[metric].title} of {text}"}
            for weights in WEIGHTS:
                rows = _rows(run, metric, of, weights)
                low = _lowest(numbers, metric)
                rows = rows.assign(value=rows["value"].clip(lower=low if low > 0 else 1e-300))
                kind = {"kind": "ghost"} if weights == "average" else {}
                tables.append(_means(rows).assign(**panel, **kind))
            if (real := numbers.real.get(metric)) is not None:
                legend = "real against real: 95% of draws are below"
                look = {"curve": "real", "look": Mark(SKY), "dashes": "-", "legend": legend}
                row = {"kind": "level", "value": real["percentile_95"]} | look | panel
                tables.append(pd.DataFrame([row]))
    heading = _title(run, "distance to held-out data by step; thin: moving average")
    rows = tidy(tables, heading=heading, caption=_left_out(run))
    return rows if rows is not None and (rows.get("kind") != "level").any() else None


def _scores(runs: Sequence[Run], metrics: Sequence[str], weights: str) -> pd.DataFrame | None:
    """Scores of every cell: of the mean and of x, with seeds and interval, the real or the "
    "truth."""
    run, rows = measured(runs[0].directory), []
    found = comparisons_of(runs[0])[:_MOST_CELLS]
    if not any(one.score(metrics[0], "x", weights) for one in found):
        return None
    for metric in metrics:
        panel = {"panel": SCORES[metric].title}
        low = _lowest(run, metric) if metric in distances() else -np.inf
        for one, cell in zip(found, run.cells, strict=False):
            for key in (k for k in run.scores() if (k.metric, k.weights) == (metric, weights)):
                score = one.score(*key)
                if score is None:
                    continue
                series = "x, with its noise" if key.of == "x" else "its mean"
                own = {"row": one.label, "series": series, "look": nth(cell.number)} | panel
                seeds = run.late(key, cell)
                rows += [
                    own | {"kind": "seed", "value": max(v, low), "legend": "a seed"}
                    for v in seeds[np.isfinite(seeds)]
                ]
                level = score.level
                value = max(level.value, low) if np.isfinite(level.value) else np.nan
                ends = {"low": max(level.low, low), "high": max(level.high, low)}
                rows.append(own | ends | {"value": value, "hollow": key.of == "mean"})
        if (real := run.real.get(metric)) is not None:
            legend = "real against real: median to 95th percentile"
            band = {"low": max(real["median"], low), "high": real["percentile_95"]}
            rows.append({"kind": "band", "look": Mark(SKY), "legend": legend} | band | panel)
        if metric in run.ideal:
            ideal = {"kind": "line", "value": run.ideal[metric], "dashes": "--"}
            rows.append(ideal | {"legend": "the truth itself"} | panel)
    table = pd.DataFrame(rows)
    told = "modes and quality" if metrics[0] in mixture_scores() else "distance to held-out data"
    table.attrs = {"heading": _title(runs[0], f"{told}, {WEIGHTS[weights]}")}
    table.attrs |= {"weights": WEIGHTS[weights], "caption": _left_out(runs[0])}
    return table


def _real(run: Run) -> tuple[np.ndarray, list[int]]:
    """Training examples and the shape of one."""
    path = run.directory / "real.npz"
    arrays = read_arrays(path)
    try:
        x, shape = arrays["x"], [int(size) for size in arrays["shape"]]
        return x.reshape(len(x), -1).astype(np.float32), shape
    except (KeyError, TypeError, ValueError) as error:
        raise odd(path, error) from error


def _cells(run: Run) -> list[tuple[int, str, str, int]]:
    """Number, label, arm and first replica of the cells that are drawn and have examples."""
    firsts = run.replicas.reset_index().sort_values(["cell", "seed"]).groupby("cell").first()
    known = run.samples.get("mean")
    return [
        (int(cell), str(row["label"]), str(row["arm"]), int(row["replica"]))
        for cell, row in zip(firsts.index.tolist(), firsts.to_dict("records"), strict=True)
        if known is not None and np.isfinite(known[int(row["replica"])]).all()
    ][:_MOST_CELLS]


_DOWN, _ACROSS = 2, 10
"""Images in a block."""


def _samples(runs: Sequence[Run]) -> Grid | None:
    """A row for the real images and one for every cell: a block of means, a block of x."""
    run = runs[0]
    real, shape = _real(run)
    if len(shape) < 2 or not (cells := _cells(run)):
        return None
    ends = tuple(float(v) for v in np.percentile(real, [1.0, 99.0]))

    def block(values: np.ndarray) -> Tile:
        return Tile(sheet(values.reshape(-1, *shape), _DOWN, _ACROSS), "", "Greys", ends)  # pyright: ignore

    count = _DOWN * _ACROSS
    rows = [("real", [block(real[:count]), block(real[count : 2 * count])])]
    for _, label, _, first in cells:
        pair = [block(run.samples[of][first]) for of in ("mean", "x")]
        rows.append((plain(label.replace(", ", "\n"), 60), pair))
    wide = _ACROSS * shape[1] / (_DOWN * shape[0])
    heading = _title(run, "examples at the end of training")
    words = {"caption": _left_out(run)}
    return Grid(heading, rows, ("mean mu(z)", "x = mu(z) + noise"), wide, None, words)


def _points(runs: Sequence[Run]) -> pd.DataFrame | None:
    """Examples in the plane of the first two coordinates, or their densities on a line."""
    run = runs[0]
    real, shape = _real(run)
    if len(shape) > 1 or not (cells := _cells(run)):
        return None
    low, high = real.min(axis=0), real.max(axis=0)
    room = 0.25 * np.maximum(high - low, 1e-6)
    low, high, tables = low - room, high + room, []
    grey, dots = Mark(MUTED, "o", "full", "none"), "none"
    for number, label, _, first in cells:
        replicas = run.replicas[run.replicas["cell"] == number].index
        for of in ("mean", "x"):
            values = run.samples[of][first] if shape[0] > 1 else run.samples[of][replicas]
            panel = {"panel": f"{plain(label, 30)}: {of}"}
            for name, own, look in (
                ("real", real, grey if shape[0] > 1 else Mark(MUTED)),
                ("generated", values.reshape(-1, shape[0]), nth(number)._replace(dashes=dots)),
            ):
                if shape[0] > 1:
                    own = own[((own >= low) & (own <= high)).all(axis=1)]
                    columns = {"x": own[:, 0], "value": own[:, 1]}
                else:
                    density, edges = np.histogram(own, 40, (low[0], high[0]), density=True)
                    columns = {"x": (edges[1:] + edges[:-1]) / 2, "value": density}
                    look = look._replace(dashes="-", marker="")
                looks = [look] * len(columns["x"])
                curve = name if name == "real" else plain(label, 30)
                tables.append(pd.DataFrame(columns | {"curve": curve, "look": looks} | panel))
    return tidy(tables, heading=_title(run, "examples at the end of training"))


def _maps(runs: Sequence[Run]) -> list[tuple[int, str, np.ndarray]]:
    """Sigma of every coordinate at the end, of the first seed of each arm that has a map."""
    run, found = runs[0], []
    for number, label, arm, first in _cells(run):
        scale = run.samples["scale"][first].astype(float)
        value = np.sqrt(np.mean(scale**2, axis=0))
        if arm in ARMS and ARMS[arm].maps and (value > 0).any():
            found.append((number, label, np.where(value > 0, value, np.nan)))
    return found[:12]


def _pixels(runs: Sequence[Run]) -> Grid | None:
    """Sigma of every pixel as a picture, all on one scale."""
    _, shape = _real(runs[0])
    found = _maps(runs)
    if len(shape) < 2 or not found:
        return None
    values = np.stack([value for *_, value in found])
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    if high < 1.05 * low:
        low, high = low / 1.5, high * 1.5
    ends = (math.log10(low), math.log10(high))
    tiles = []
    for _, label, value in found:
        image = value.reshape(shape)
        image = np.sqrt(np.mean(image**2, axis=-1)) if image.ndim == 3 else image
        tiles.append(Tile(np.log10(image), plain(label, 24), "viridis", ends))
    rows = [("", tiles[start : start + 4]) for start in range(0, len(tiles), 4)]
    heading = _title(runs[0], "sigma by pixel, at the end")
    return Grid(heading, rows, (), shape[1] / shape[0], ("viridis", *ends, SIGMA))


def _coordinates(runs: Sequence[Run]) -> pd.DataFrame | None:
    """Sigma of every coordinate, where an example is a vector of some length."""
    _, shape = _real(runs[0])
    if len(shape) > 1 or shape[0] < 3:
        return None
    tables = [
        pd.DataFrame(
            {"x": np.arange(value.size), "value": value, "curve": plain(label, 40)}
        ).assign(
            look=pd.Series([nth(number)] * value.size, dtype=object),
            panel="root mean square over latents",
        )
        for number, label, value in _maps(runs)
    ]
    return tidy(tables, heading=_title(runs[0], "sigma by coordinate, at the end"))


def comparisons_of(run: Run) -> list[Comparison]:
    """The comparison of a complete run, in the order of its cells.

    Raises:
        RunError: ``comparison.json`` does not hold what a run writes.
    """
    try:
        return from_json(run.claims)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise odd(run.directory / "comparison.json", error) from error


class _Gap:
    """The last measurement of the gap of Goodfellow's substitution, of each cell's first seed."""

    def __init__(self, run: Run):
        frame = run.frame
        rows = frame[(frame["sigma"] > 0) & frame["metric"].str.startswith("gap_")]
        rows = rows[rows["cell"] < _MOST_CELLS]
        self.step = int(rows["step"].max()) if len(rows) else 0
        rows = rows[rows["step"] == self.step]
        self.rows = rows[rows["seed"] == rows.groupby("cell")["seed"].transform("min")]
        self.run = run

    def of(self, metric: str, cell: int | None = None) -> pd.DataFrame:
        """A metric by cell, sigma and batch size."""
        rows = self.rows[self.rows["metric"] == f"gap_{metric}"]
        rows = rows if cell is None else rows[rows["cell"] == cell]
        looks = [nth(int(number)) for number in rows["cell"]]
        curve = [plain(str(label), 44) for label in rows["label"]]
        return rows.sort_values(["cell", "sigma", "batch_size"]).assign(
            look=pd.Series(looks, rows.index), curve=pd.Series(curve, rows.index), x=rows["sigma"]
        )

    def noise(self) -> pd.Series:
        """Standard error of the bias at one latent, over |grad E f|, by cell and sigma."""
        rows = self.of("batch_error")
        last = rows[rows["batch_size"] == rows["batch_size"].max()]
        share = last["batch_size"] / float(self.run.config["gap_samples"])
        values = (last["value"] * np.sqrt(share)).replace(np.inf, 0.0).fillna(0.0)
        return pd.Series(values.to_numpy(), pd.MultiIndex.from_frame(last[["cell", "sigma"]]))

    def resolved(self, metric: str, cell: int | None = None) -> pd.DataFrame:
        """The relative bias, or 1 - cosine: 0 where it is no more than noise or rounding."""
        rows, noise = self.of(metric, cell), self.noise()
        keys = pd.MultiIndex.from_frame(rows[["cell", "sigma"]])
        noise = noise.reindex(keys).fillna(0.0).to_numpy(float)
        value = rows["value"].to_numpy(float)
        value, least = (value, 2 * noise)
        if metric == "cosine":
            value, least = 1 - value, np.maximum(noise**2, _ROUNDING)
        seen = value > least
        known = np.where(np.isfinite(value), np.where(seen, value, 0.0), np.nan)
        error = np.where(seen, noise if metric != "cosine" else 0.0, least / 2)
        return rows.assign(value=known, error=error)

    def heading(self, what: str) -> dict[str, str]:
        """Of a figure, with the step that it is about."""
        return {"heading": _title(self.run, f"{what}, step {self.step:,}")}


def _gap_bias(runs: Sequence[Run]) -> pd.DataFrame | None:
    """Relative bias and 1 - cosine against sigma, a line a cell."""
    gap = _Gap(runs[0])
    if gap.rows.empty:
        return None
    tables = [
        gap.resolved("bias_relative").assign(panel="relative bias"),
        gap.resolved("cosine").assign(panel="direction"),
    ]
    return tidy(tables, **gap.heading("grad f(mu) against grad E f(mu + sigma eps)"))


def _gap_batch(runs: Sequence[Run]) -> pd.DataFrame | None:
    """Error and direction of a batch's gradient against its size, a line a sigma, of one cell."""
    gap = _Gap(runs[0])
    if gap.rows.empty:
        return None
    error = gap.of("batch_error")
    if not (error["value"] > 0).any():
        return None
    cell = int(error["cell"].iloc[0])
    error, turn = gap.of("batch_error", cell), gap.of("batch_cosine", cell)
    sigmas = np.unique(error["sigma"])
    chosen = sigmas[np.unique(np.linspace(0, len(sigmas) - 1, min(len(sigmas), 8)).astype(int))]
    bias, angle = gap.resolved("bias_relative", cell), gap.resolved("cosine", cell)
    tables, left, right = [], "rms error to grad E f", "direction, mean over batches"
    for place, sigma in enumerate(chosen):
        look = nth(place)
        own = error[error["sigma"] == sigma]
        value = 1 - turn[turn["sigma"] == sigma]["value"]
        seen = value.where(value > _ROUNDING, 0.0)
        half = np.where(seen > 0, 0.0, _ROUNDING / 2)
        level = float(bias[bias["sigma"] == sigma]["value"].iloc[0])
        names = {"curve": f"sigma {sigma:.3g}"}
        for panel, rows, values, bars, marked in (
            (left, own, own["value"], np.nan, level),
            (
                right,
                own,
                seen.to_numpy(),
                half,
                float(angle[angle["sigma"] == sigma]["value"].iloc[0]),
            ),
        ):
            looks = [look] * len(rows)
            points = {"x": rows["batch_size"].astype(float), "value": values, "error": bars}
            tables.append(rows.assign(panel=panel, look=looks, **points, **names))
            legend = "bias (left), 1 − cosine of grad E f (right)"
            row = {"kind": "level", "value": marked, "legend": legend, "panel": panel, "look": look}
            tables.append(pd.DataFrame([row | names]))
        if at := _crossing(own["batch_size"].to_numpy(float), own["value"].to_numpy(float), level):
            star = {"kind": "star", "x": at[0], "value": at[1], "look": look, "panel": left}
            tables.append(pd.DataFrame([star | names | {"legend": "bias is larger from here on"}]))
    label = plain(str(error["label"].iloc[0]), 40)
    return tidy(tables, **gap.heading(f"gradient of a batch, {label}"))


def _crossing(sizes: np.ndarray, error: np.ndarray, bias: float) -> tuple[float, float] | None:
    """Batch size from which the bias is larger than the error, and the height there."""
    known = np.isfinite(error) & (error > 0)
    sizes, error = sizes[known], error[known]
    below = np.flatnonzero(error < bias)
    if not below.size:
        return None
    if below[0] == 0:
        return float(sizes[0]), float(error[0])
    pair = slice(below[0] - 1, below[0] + 1)
    logs = np.log(error[pair])[::-1], np.log(sizes[pair])[::-1]
    return float(np.exp(np.interp(np.log(bias), *logs))), bias


def _gap_sigma(runs: Sequence[Run]) -> pd.DataFrame | None:
    """The samples for which the gradient to sigma has a signal-to-noise ratio of 1."""
    gap, tables = _Gap(runs[0]), []
    if gap.rows.empty:
        return None
    for place, metric in enumerate(("sigma_batch", "sigma_batch_at_mean")):
        rows = gap.of(metric)
        endless = rows[np.isposinf(rows["value"].to_numpy(float))]
        rows = rows[np.isfinite(rows["value"].to_numpy(float))]
        text = " less grad f(mu)·eps" if place else ""
        looks = [
            look._replace(fill="none", dashes=(0, (5, 2))) if place else look
            for look in rows["look"]
        ]
        tables.append(rows.assign(curve=rows["curve"] + text, look=looks))
        top = {"kind": "top", "value": float(place == 0), "legend": "no signal seen (at the top)"}
        tables.append(endless.assign(**top, curve=endless["curve"] + text))
    size = runs[0].config["batch_size"]
    if not (runs[0].config.get("sweep") or {}).get("batch_size") and any(len(t) for t in tables):
        level = {"kind": "level", "value": float(size), "legend": f"batch of training, {size}"}
        tables.append(pd.DataFrame([level]))
    rows = tidy(tables, **gap.heading("samples for the gradient to sigma"))
    if rows is None or (rows.get("metric", pd.Series(dtype=str)).isna()).all():
        return None
    return rows.assign(panel="variance of a sample / mean²")


SECTIONS: tuple[tuple[str, str, str, tuple[Any, ...]], ...] = (
    (
        "about-sigma",
        "Sigma",
        "Where does sigma go, how fast, and is it the same for every coordinate?",
        (
            Lines(
                name="sigma",
                title="Where sigma goes",
                caption="The root mean square over coordinates and latents; thin lines are seeds. "
                "Under Adam the log of sigma moves by about its learning rate a step at most: ask "
                "of a straight line whether it tells of a level, or of the time given.",
                rows=_trajectories,
                x=STEP,
                y=SIGMA,
                log="y",
                columns=1,
                height=3.2,
                steps=True,
            ),
            Images(
                name="sigma_maps",
                title="Sigma of every pixel",
                caption="At the end of training, first seed; where sigma depends on the latent, "
                "the root mean square over latents; of colours, over the channels.",
                rows=_pixels,
            ),
            Lines(
                name="sigma_coordinates",
                title="Sigma of every coordinate",
                caption="At the end of training, first seed; the root mean square over latents.",
                rows=_coordinates,
                x="coordinate",
                y=SIGMA,
                log="y",
            ),
            Lines(
                name="bounds",
                title="Time at floor and ceiling",
                caption="Mean over seeds of the share of learned scales at their smallest or "
                "largest allowed value. What stands at a bound does not say where it would have "
                "gone.",
                rows=_bounds,
                x=STEP,
                y="share of scales",
                log="",
                height=2.2,
                steps=True,
                limits=lambda rows: (-0.03, 1.03),
            ),
        ),
    ),
    (
        "about-scores",
        "Scores",
        "Are the examples of one arm nearer to held-out data than those of another, and is that "
        "the mean's doing or the noise's?",
        (
            *(
                Intervals(
                    name="scores" if weights == "last" else f"scores_{weights}",
                    title="Distance to held-out data: {weights}",
                    caption="Mean over the evaluations in the last fifth of the run; left is "
                    "better. What lies in the band, or left of it, cannot be told from real data "
                    "with this many examples. Where seeds diverged the dot is a median without "
                    "an interval.",
                    rows=partial(_scores, metrics=distances(), weights=weights),
                    x=_UNITS,
                    row=0.34,
                    shift=True,
                )
                for weights in WEIGHTS
            ),
            Intervals(
                name="coverage",
                title="Modes and quality",
                caption="High quality is within 3 std of the nearest mode. Log-likelihood and "
                "variance ratio are best where they equal the truth's own, a dashed line: collapse "
                "onto the modes scores more.",
                rows=partial(_scores, metrics=_DRAWN, weights="last"),
                x="",
                log="",
                row=0.34,
                shift=True,
            ),
            Lines(
                name="along",
                title="Distance along the run",
                caption="Mean over seeds; panels of a row share their axis. Comparisons use the "
                "last fifth of the run alone.",
                rows=_along,
                x=STEP,
                y=_UNITS,
                log="y",
                height=2.2,
                share="row",
                steps=True,
            ),
        ),
    ),
    (
        "about-examples",
        "Examples",
        "What do the mean and the sample look like?",
        (
            Images(
                name="samples",
                title="Examples: the mean, and x with its noise",
                caption="Last iterate, first seed, the same latents left and right and in every "
                "arm. Colours are those of the real images; values beyond them are cut.",
                rows=_samples,
            ),
            Lines(
                name="points",
                title="Examples: the mean, and x with its noise",
                caption="Last iterate; grey are real examples. Points beyond the frame are not "
                "drawn.",
                rows=_points,
                x="first coordinate",
                y="",
                log="",
                columns=4,
                height=1.5,
                sparse=False,
            ),
        ),
    ),
    (
        "about-training",
        "Training",
        "How did the two players fare?",
        (
            Lines(
                name="losses",
                title="Losses and logits",
                caption="Means over seeds and over windows of steps; bands are the range of the "
                "seeds. A loss that stands still is no sign of samples that do.",
                rows=_losses,
                x=STEP,
                y={"loss": "loss", "logit": "logit"},
                log="",
                height=2.0,
                steps=True,
                limits=_inner,
            ),
        ),
    ),
    (
        "about-gap",
        "Goodfellow's substitution",
        "How far is the gradient at the mean, grad f(mu), from the gradient of the smoothed loss, "
        "grad E f(mu + sigma eps), with the discriminator as f?",
        (
            Lines(
                name="gap_bias",
                title="What grad f(mu) leaves out",
                caption="First seed of each cell at the last measurement, medians over latents; "
                "f is what the generator pays for one sample. Compare with the grey slope of a "
                "twice differentiable f; kinks within sigma of mu make the bias fall more slowly.",
                rows=_gap_bias,
                x="sigma (units of x)",
                y={"rel": "|grad E f − grad f(mu)| / |grad f(mu)|", "dir": "1 − cosine"},
                guides=(Guide(slope=2, text="sigma²", panel="relative", share=0.5),),
            ),
            Lines(
                name="gap_batch",
                title="Batch or bias",
                caption="Of one cell, first seed; medians over latents. Left: follow the error "
                "of a batch around grad E f down to the dotted bias of grad f(mu) at the same "
                "sigma. Beyond the star a batch tells more of grad E f than grad f(mu) does.",
                rows=_gap_batch,
                x="batch size N (samples)",
                y={"rms": "error / |grad E f|", "dir": "1 − cosine with grad f(mu)"},
                guides=(Guide(slope=-0.5, text="N^(−1/2)", panel="rms"),),
            ),
            Lines(
                name="gap_sigma",
                title="Samples that the gradient to sigma takes",
                caption="Draws for a signal-to-noise ratio of 1. Compare the plain pathwise "
                "gradient with the grey slope, and with the same less grad f(mu)·eps (dashed, "
                "hollow), whose expectation is 0.",
                rows=_gap_sigma,
                x="sigma (units of x)",
                y="samples for a ratio of 1",
                columns=1,
                height=3.2,
                guides=(Guide(slope=-2, text="1 / sigma²", share=0.5),),
            ),
        ),
    ),
)
