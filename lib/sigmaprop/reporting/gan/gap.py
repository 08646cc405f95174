"""The figures of Goodfellow's substitution: grad f(mu) for grad E f(mu + sigma eps)."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from sigmaprop.reporting.charts import Guide, Lines
from sigmaprop.reporting.fmt import plain
from sigmaprop.reporting.frame import Run
from sigmaprop.reporting.gan.series import MOST_CELLS, Part, heading_of
from sigmaprop.reporting.marks import nth
from sigmaprop.reporting.points import tidy

_ROUNDING = 4 * float(np.finfo(np.float32).eps)
"""A cosine this near to 1 cannot be told from 1."""


class _Gap:
    """The last measurement of the gap of Goodfellow's substitution, of each cell's first seed."""

    def __init__(self, run: Run):
        frame = run.frame
        rows = frame[(frame["sigma"] > 0) & frame["metric"].str.startswith("gap_")]
        rows = rows[rows["cell"] < MOST_CELLS]
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
        return {"heading": heading_of(self.run, f"{what}, step {self.step:,}")}


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
    if "batch_size" not in runs[0].replicas and any(len(t) for t in tables):
        level = {"kind": "level", "value": float(size), "legend": f"batch of training, {size}"}
        tables.append(pd.DataFrame([level]))
    rows = tidy(tables, **gap.heading("samples for the gradient to sigma"))
    if rows is None or (rows.get("metric", pd.Series(dtype=str)).isna()).all():
        return None
    return rows.assign(panel="variance of a sample / mean²")


PART = Part(
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
)
