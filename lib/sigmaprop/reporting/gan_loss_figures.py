"""The game: losses of both players and what the discriminator says."""

import numpy as np
from matplotlib.axes import Axes

from sigmaprop.reporting.gan_parts import STEP, explain_cells, left_out, mean_line, shown, step_axis
from sigmaprop.reporting.gan_results import GanRun
from sigmaprop.reporting.gan_series import Key
from sigmaprop.reporting.results import plain
from sigmaprop.reporting.sheet import Drawing, Sheet

_PANELS = {
    "discriminator_loss": ("loss of the discriminator", "loss"),
    "generator_loss": ("loss of the generator", "loss"),
    "logit_real": ("output of the discriminator at real examples", "logit"),
    "logit_fake": ("output of the discriminator at generated examples", "logit"),
}
_CUT = 0.5
"""Percent of the values at either end that may leave a panel."""


def losses(run: GanRun) -> Drawing:
    """Losses and logits against the step."""
    sheet = Sheet(f"{plain(str(run.config['dataset']))}: losses and logits by step", 2, 2.0)
    words = []
    for metric, (title, label) in _PANELS.items():
        axes = sheet.panel(title, STEP, label)
        series = run.measured.series[Key(metric)]
        for cell in shown(run):
            mean_line(axes, cell, series, band=True)
        step_axis(axes, run.measured.steps)
        _limits(axes, series.value)
        last = series.value[:, -1]
        if np.isfinite(last).any():
            words.append(f"{title}: {np.nanmean(last):.2g} at the end.")
    explain_cells(sheet, shown(run))
    return Drawing(
        "losses",
        "Losses and logits",
        f"Averages over windows of {run.config['metrics_every']} steps; lines are means over "
        "seeds, bands the range of the seeds. A loss that stands still is no sign of samples that "
        "do." + left_out(run),
        "Four panels by step, means over cells. " + " ".join(words),
        sheet.finish(),
    )


def _limits(axes: Axes, values: np.ndarray) -> None:
    """An axis that a few outliers do not stretch."""
    known = values[np.isfinite(values)]
    if known.size:
        low, high = np.percentile(known, [_CUT, 100 - _CUT])
        room = 0.08 * (high - low) or 0.1
        axes.set_ylim(low - room, high + room)
