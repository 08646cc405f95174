"""How values of a metric compare; nothing here imports NumPy, for records of metrics to use."""

import math
from typing import Literal, NamedTuple, TypeAlias

Better: TypeAlias = Literal["smaller", "larger", "target"]
By: TypeAlias = Literal["difference", "ratio"]
Worst: TypeAlias = Literal["smallest", "largest"]

MARGIN = 1.25
"""Ratios from 1 / MARGIN to MARGIN count as equivalent."""


class Scale(NamedTuple):
    """How the numbers of a metric compare.

    Attributes:
        better: its good end, "smaller" or "larger", or "target": the nearer to ``target``.
        by: "difference" of two values (of their distances to the target), or their "ratio".
        target: what truth itself would score.
        margin: the largest harm that counts as none, a difference, or a factor above 1; NaN for
            metrics without one, of which none is called equivalent.
    """

    better: Better = "smaller"
    by: By = "difference"
    target: float = math.nan
    margin: float = math.nan

    @property
    def worst(self) -> Worst:
        """The bad end; of a target, that of the distance to it."""
        return "smallest" if self.better == "larger" else "largest"
