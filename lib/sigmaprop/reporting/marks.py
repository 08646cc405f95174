"""How curves are told apart: an estimator looks the same in every figure of every report.

The family that its record names gives the colour, the control variate the marker, the noise scheme
the filling of the marker and the dashes. What is no estimator is told apart by its number.
"""

import zlib
from typing import Any, NamedTuple

from sigmaprop.estimators.records import ESTIMATORS, names
from sigmaprop.reporting.style import (
    BLUE,
    COLOURS,
    GREEN,
    INK,
    MARKERS,
    MUTED,
    ORANGE,
    PAPER,
    PURPLE,
    SKY,
    VERMILLION,
)


class Mark(NamedTuple):
    """The look of a curve.

    Attributes:
        colour: of line and marker.
        marker: as matplotlib calls it; empty for none.
        fill: of the marker, "full", "none", "left" or "top".
        dashes: of the line.
    """

    colour: str
    marker: str = ""
    fill: str = "full"
    dashes: Any = "-"

    def line(self, run: int = 0, size: float = 4.0) -> dict[str, Any]:
        """The options of a matplotlib line; an overlaid run has its own dashes, hollow markers."""
        hollow = self.fill == "none" or run > 0
        return {
            "color": self.colour,
            "marker": self.marker,
            "markersize": size,
            "fillstyle": "full" if hollow else self.fill,
            "markerfacecolor": PAPER if hollow else self.colour,
            "markerfacecoloralt": PAPER,
            "markeredgecolor": self.colour,
            "markeredgewidth": 0.8,
            "linestyle": RUNS[run % len(RUNS)] if run else self.dashes,
        }


RUNS = ("-", (0, (7, 2)), (0, (1.2, 1.2)), (0, (7, 1.5, 1.2, 1.5)))
"""Dashes of the runs of an overlay; theory is thinner and bears no markers."""
FAMILIES = {
    "pathwise": BLUE,
    "score_function": VERMILLION,
    "measure_valued": GREEN,
    "curvature": PURPLE,
    "difference": ORANGE,
    "mixture": SKY,
    "deterministic": INK,
}
"""The colour of each family of estimators."""
_MEMBERS = ("o", "s", "*")
"""Markers of a family's names, in the order of their records."""
_VARIATES = {
    "mean": "s",
    "leave_one_out": "^",
    "at_mean": "D",
    "delta": "v",
    "moving_average": "P",
    "optimal": "h",
    "uncoupled": "X",
    "mean+fitted": "p",
    "leave_one_out+fitted": "<",
    "at_mean+fitted": "d",
    "delta+fitted": ">",
}
_NOISES: dict[str, tuple[str, Any]] = {
    "iid": ("full", "-"),
    "antithetic": ("none", (0, (5, 1.6))),
    "orthogonal": ("left", (0, (1.2, 1.2))),
    "sobol": ("top", (0, (6, 1.4, 1.2, 1.4))),
}
NOISES = tuple(_NOISES)
_OTHER = ("right", (0, (3, 1)))


def mark(estimator: str, noise: str = "iid") -> Mark:
    """The look of an estimator's label under a noise scheme."""
    name, _, variate = estimator.partition("+")
    shape = MARKERS[zlib.crc32(estimator.encode()) % len(MARKERS)]
    record = ESTIMATORS.get(name)
    if record is None:
        return Mark(MUTED, shape, *_NOISES.get(noise, _OTHER))
    members = [one for one in names() if ESTIMATORS[one].family == record.family]
    if variate:
        shape = _VARIATES.get(variate, shape)
    elif members.index(name) < len(_MEMBERS):
        shape = _MEMBERS[members.index(name)]
    return Mark(FAMILIES.get(record.family, MUTED), shape, *_NOISES.get(noise, _OTHER))


def nth(index: int) -> Mark:
    """The look of the index-th of several like curves; the looks repeat after many."""
    return Mark(COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)])


def rank(estimator: str) -> tuple[int, int, str]:
    """Sorts labels by family, then by control variate, those of no family last."""
    known, variates = names(), ("", *_VARIATES)
    name, _, variate = estimator.partition("+")
    return (
        known.index(name) if name in known else len(known),
        variates.index(variate) if variate in variates else len(variates),
        estimator,
    )
