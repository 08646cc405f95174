"""How estimators are told apart where there are many: by family, control variate and noise.

The family gives the colour, the control variate the marker, the noise scheme the filling of the
marker and the dashes: an estimator looks the same in every figure of a report.
"""

import zlib
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from sigmaprop.reporting.quantities import name_of
from sigmaprop.reporting.sheet import curve, handle
from sigmaprop.reporting.style import (
    BLUE,
    GREEN,
    INK,
    MARKERS,
    MUTED,
    ORANGE,
    PAPER,
    PURPLE,
    SKY,
    VERMILLION,
    Mark,
)

FAMILIES = {
    "pathwise": BLUE,
    "score_function": VERMILLION,
    "measure_valued": GREEN,
    "bonnet_price": PURPLE,
    "forward_difference": ORANGE,
    "antithetic_difference": ORANGE,
    "mixed": SKY,
    "inverse_variance": SKY,
    "at_mean": INK,
    "second_order": INK,
    "quadrature": INK,
}
_SECOND = ("antithetic_difference", "inverse_variance", "second_order")
"""Those that share a colour with a family of another name."""
VARIATES = {
    "": "o",
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


class Noise(NamedTuple):
    """How the curves of a noise scheme look.

    Attributes:
        fill: of a marker, as matplotlib calls it.
        dashes: of a line.
    """

    fill: str
    dashes: Any


NOISES = {
    "iid": Noise("full", "-"),
    "antithetic": Noise("none", (0, (5, 1.6))),
    "orthogonal": Noise("left", (0, (1.2, 1.2))),
    "sobol": Noise("top", (0, (6, 1.4, 1.2, 1.4))),
}
_OTHER = Noise("right", (0, (3, 1)))


def mark_of(estimator: str) -> Mark:
    """Colour and marker of an estimator's label."""
    name, _, variate = estimator.partition("+")
    colour = FAMILIES.get(name, MUTED)
    if name in _SECOND and not variate:
        return Mark(colour, "s")
    if name == "quadrature":
        return Mark(colour, "*")
    other = MARKERS[zlib.crc32(estimator.encode()) % len(MARKERS)]
    return Mark(colour, VARIATES.get(variate, other) if name in FAMILIES else other)


def noise_of(noise: str) -> Noise:
    """Filling and dashes of a noise scheme."""
    return NOISES.get(noise, _OTHER)


def marker(estimator: str, noise: str = "iid", size: float = 4.5) -> dict[str, Any]:
    """A marker as options of a line."""
    mark, fill = mark_of(estimator), noise_of(noise).fill
    return {
        "color": mark.colour,
        "marker": mark.marker,
        "markersize": size,
        "fillstyle": "full" if fill == "none" else fill,
        "markerfacecolor": PAPER if fill == "none" else mark.colour,
        "markerfacecoloralt": PAPER,
        "markeredgecolor": mark.colour,
        "markeredgewidth": 0.9,
    }


def sample(estimator: str, noise: str = "iid", **options: Any) -> Line2D:
    """A legend's sample of an estimator."""
    look = marker(estimator, noise) | {"linestyle": noise_of(noise).dashes} | options
    return handle(look.pop("color"), **look)


def draw_curve(
    axes: Axes,
    x: np.ndarray,
    value: np.ndarray,
    error: np.ndarray | None,
    estimator: str,
    noise: str = "iid",
    **options: Any,
) -> Line2D:
    """Measured points, joined, in the estimator's own look; options as those of `curve`."""
    line = curve(
        axes, x, value, error, mark_of(estimator), label=name_of((estimator, noise)), **options
    )
    if not options.get("run"):
        line.set(linestyle=noise_of(noise).dashes, zorder=2.2, **marker(estimator, noise))
    return line


def ordered(estimators: Any) -> list[str]:
    """Estimators' labels by family, then by control variate, those of no family last."""
    families, variates = list(FAMILIES), list(VARIATES)

    def place(estimator: str) -> tuple[int, int, str]:
        name, _, variate = estimator.partition("+")
        return (
            families.index(name) if name in families else len(families),
            variates.index(variate) if variate in variates else len(variates),
            estimator,
        )

    return sorted(dict.fromkeys(estimators), key=place)
