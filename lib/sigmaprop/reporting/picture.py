"""Monte Carlo gradients of a digit classifier as images, beside grad f and the digit."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sigmaprop.reporting.results import Results, plain
from sigmaprop.reporting.sheet import WIDTH, Drawing
from sigmaprop.reporting.style import INK, MUTED, SMALL, TEXT

COLOURS = "PuOr_r"
"""Diverging, and safe for every kind of colour vision."""
MOST_ESTIMATORS, MOST_SIGMAS, MOST_SIZES = 3, 5, 6
_TILE, _GAP = 1.0, 0.12
_LABEL = 0.3
"""Height under a tile for its words."""


def picture(objective: str, runs: Sequence[Results]) -> Drawing | None:
    """Images of the gradient: rows are sigmas, columns batch sizes, a block an estimator."""
    found = next((run.picture for run in runs if run.picture), None)
    if objective != "digit_classifier" or found is None:
        return None
    gradient = np.asarray(found["gradient"], float)
    side = round(gradient.size**0.5)
    if side * side != gradient.size:
        return None
    blocks = list(found["estimates"].items())[:MOST_ESTIMATORS]
    figure = _draw(found, blocks, gradient, side)
    largest = np.asarray(blocks[0][1], float)[: len(found["sigmas"]), -1] if blocks else []
    words = ", ".join(
        f"{_cosine(tile, gradient):.2f} at sigma {sigma:g}"
        for sigma, tile in zip(found["sigmas"], largest, strict=False)
    )
    return Drawing(
        "picture",
        "The gradient as an image",
        "Each image is scaled to its own largest entry; the number under it is its cosine with "
        "grad f. More samples (to the right) remove noise; a larger sigma (downwards) changes what "
        "is estimated, and no number of samples brings it back.",
        f"A digit, its gradient, and estimates of it by {', '.join(name for name, _ in blocks)}. "
        f"Cosine of the largest batch with the gradient: {words or 'none measured'}.",
        figure,
    )


def _draw(
    found: dict[str, Any], blocks: list[tuple[str, Any]], gradient: np.ndarray, side: int
) -> Figure:
    """One panel in which every image is placed by hand: far fewer parts than a panel each."""
    sigmas, sizes = found["sigmas"][:MOST_SIGMAS], found["batch_sizes"][:MOST_SIZES]
    step, tall = _TILE + _GAP, _TILE + _LABEL
    block = len(sizes) * step + 0.5
    across = _TILE + 0.75 + len(blocks) * block
    down = max(len(sigmas), 2) * tall + 0.9
    figure = Figure(figsize=(WIDTH, WIDTH * down / across))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(-0.1, across - 0.1)
    axes.set_ylim(down - 0.65, -0.65 + 0.0)
    axes.set_axis_off()
    axes.text(0, -0.45, "digit_classifier: Monte Carlo gradients", weight="bold", fontsize=TEXT + 1)
    text = "orange: f grows; purple: f falls"
    axes.text(across - 0.2, -0.45, text, ha="right", fontsize=SMALL, color=MUTED)
    axes.imshow(
        np.asarray(found["image"], float).reshape(side, side),
        cmap="Greys",
        extent=_place(0, 0.25),
        interpolation="none",
    )
    _words(axes, 0.5, 0.25, "the digit x")
    _tile(axes, gradient, side, 0, 0.25 + tall)
    _words(axes, 0.5, 0.25 + tall, "grad f(x)")
    for b, (name, estimates) in enumerate(blocks):
        left = _TILE + 0.75 + b * block
        axes.text(left, -0.12, plain(name, 40), fontsize=TEXT, color=INK)
        for column, number in enumerate(sizes):
            text = f"N = {number}"
            axes.text(left + column * step + 0.5, 0.15, text, ha="center", fontsize=SMALL)
        for row, sigma in enumerate(sigmas):
            y = 0.25 + row * tall
            axes.text(
                left - 0.08,
                y + 0.5,
                f"sigma {sigma:g}",
                rotation=90,
                ha="right",
                va="center",
                fontsize=SMALL,
            )
            for column in range(len(sizes)):
                values = np.asarray(estimates[row][column], float)
                _tile(axes, values, side, left + column * step, y)
                words = f"cos {_cosine(values, gradient):.2f}" if values.any() else "no estimate"
                _words(axes, left + column * step + 0.5, y, words.replace("-", "−"))
    # imshow sets limits of its own
    axes.set_xlim(-0.1, across - 0.1)
    axes.set_ylim(down - 0.65, -0.65)
    axes.set_aspect("auto")
    return figure


def _place(x: float, y: float) -> tuple[float, float, float, float]:
    return (x, x + _TILE, y + _TILE, y)


def _tile(axes: Axes, values: np.ndarray, side: int, x: float, y: float) -> None:
    """An image on a scale symmetric about 0, framed."""
    size = float(np.abs(values).max()) or 1.0
    axes.imshow(
        values.reshape(side, side),
        cmap=COLOURS,
        vmin=-size,
        vmax=size,
        extent=_place(x, y),
        interpolation="none",
    )
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]) * _TILE + (x, y)
    axes.plot(*corners.T, color=MUTED, linewidth=0.6)


def _words(axes: Axes, x: float, y: float, text: str) -> None:
    axes.text(x, y + _TILE + 0.04, text, ha="center", va="top", fontsize=SMALL, color=INK)


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    size = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / size if size > 0 else 0.0
