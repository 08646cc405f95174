"""The figure of losses and logits."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from sigmaprop.reporting.charts import Lines
from sigmaprop.reporting.frame import Run
from sigmaprop.reporting.gan.series import STEP, Part, heading_of, left_out, means, rows_of
from sigmaprop.reporting.points import tidy


def _losses(runs: Sequence[Run]) -> pd.DataFrame | None:
    """Losses and logits against the step."""
    panels = {
        "discriminator_loss": "loss of the discriminator",
        "generator_loss": "loss of the generator",
        "logit_real": "logit of the discriminator at real examples",
        "logit_fake": "logit of the discriminator at generated examples",
    }
    tables = [means(rows_of(runs[0], m), band=True).assign(panel=p) for m, p in panels.items()]
    heading = heading_of(runs[0], "losses and logits by step")
    return tidy(tables, heading=heading, caption=left_out(runs[0]))


def _inner(rows: pd.DataFrame) -> tuple[float, float]:
    """An axis that a few outliers do not stretch."""
    low, high = np.nanpercentile(rows["value"].to_numpy(float), [0.5, 99.5])
    room = 0.08 * (high - low) or 0.1
    return float(low - room), float(high + room)


PART = Part(
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
)
