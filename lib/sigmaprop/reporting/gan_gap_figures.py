"""The gap that grad f(mu) leaves to grad E f(mu + sigma eps), with the discriminator as f.

What was measured last, of the first seed of every cell: see `sigmaprop.generators.gap`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from sigmaprop.reporting.gan_gap_results import ROUNDING, Gap, above, read
from sigmaprop.reporting.gan_gap_words import course, crossed, saved, slopes
from sigmaprop.reporting.gan_parts import explain_cells, log_scale, mark, name
from sigmaprop.reporting.parts import close, explain_zeros, sample
from sigmaprop.reporting.results import plain
from sigmaprop.reporting.sheet import BATCH, SIGMA, Drawing, Sheet, curve, curves, handle, rule
from sigmaprop.reporting.style import DASHES, INK, MUTED, PAPER, Mark, nth_mark

_MOST_SIGMAS = 8
_WIDE: dict[str, Any] = {"color": MUTED, "linewidth": 2.2, "alpha": 0.45, "linestyle": "-"}


def figures(directory: Path) -> Iterator[Drawing]:
    """The figures of a run's directory; none where the gap was not measured.

    Raises:
        RunError: a file is missing or damaged.
    """
    if (gap := read(directory)) is None:
        return
    for draw in (bias, batches, needed):
        if (drawing := draw(gap)) is not None:
            yield drawing


def bias(gap: Gap) -> Drawing | None:
    """Relative bias and 1 - cosine against sigma, a line a cell."""
    sheet = Sheet(_title(gap, "grad f(mu) against grad E f(mu + sigma eps)"), 2)
    axes = sheet.panel("relative bias", SIGMA, "|grad E f − grad f(mu)| / |grad f(mu)|")
    for place, cell in enumerate(gap.cells):
        _curve(axes, gap.sigma, gap.bias[place], gap.noise[place], mark(cell), name(cell), 0, place)
    _guide(sheet, axes, 2, "sigma²")
    axes = sheet.panel("direction", SIGMA, "1 − cosine")
    for place, cell in enumerate(gap.cells):
        error = np.where(gap.turn[place] > 0, 0, gap.least_turn[place] / 2)
        _curve(axes, gap.sigma, gap.turn[place], error, mark(cell), name(cell), 0, place)
    if not any(axes.lines for axes in sheet.panels):
        return None
    for axes in sheet.panels:
        _close(axes, gap.sigma)
    explain_cells(sheet, gap.cells)
    explain_zeros(sheet)
    return Drawing(
        "gap_bias",
        "What grad f(mu) leaves out",
        f"{gap.where} Medians over latents; f is what the generator pays for one sample. For a "
        "twice differentiable f the bias falls as sigma² (grey) and 1 − cosine as sigma⁴ as sigma "
        "goes to 0; kinks within sigma of mu make both fall more slowly. What is within two "
        "standard errors of 0 is not resolved. "
        f"Slope of the bias {slopes(gap, gap.bias)} "
        f"Slope of 1 − cosine {slopes(gap, gap.turn)}",
        f"Two log-log panels against sigma, at step {gap.step}. {course(gap, gap.bias)}",
        sheet.finish(),
    )


def batches(gap: Gap) -> Drawing | None:
    """Error and direction of a batch's gradient against its size, a line a sigma, of one cell."""
    error, turn = gap.values["batch_error"][0, :, 1:], 1 - gap.values["batch_cosine"][0, :, 1:]
    sizes, cell = gap.sizes[1:].astype(float), name(gap.cells[0])
    if not sizes.size or not (np.isfinite(error) & (error > 0)).any():
        return None
    chosen = np.linspace(0, len(gap.sigma) - 1, min(len(gap.sigma), _MOST_SIGMAS))
    sheet = Sheet(_title(gap, f"gradient of a batch, {cell}"), 2)
    left = sheet.panel("rms error to grad E f", BATCH, "error / |grad E f|")
    right = sheet.panel("direction, mean over batches", BATCH, "1 − cosine with grad f(mu)")
    crossings = {}
    for place, s in enumerate(np.unique(chosen.round().astype(int))):
        own, text = nth_mark(place), f"sigma {gap.sigma[s]:.3g}"
        _curve(left, sizes, error[s], np.zeros_like(sizes), own, text, 0, 4)
        seen = above(turn[s], ROUNDING)
        _curve(right, sizes, seen, np.where(seen > 0, 0, ROUNDING / 2), own, text, 0, 4)
        _level(left, gap.bias[0, s], own.colour)
        _level(right, gap.turn[0, s], own.colour)
        crossings[gap.sigma[s]] = _crossing(sizes, error[s], float(gap.bias[0, s]))
        _star(left, crossings[gap.sigma[s]], own.colour)
        sheet.explain(text, sample(own))
    _guide(sheet, left, -0.5, "N^(−1/2)", share=1)
    for axes in (left, right):
        _close(axes, sizes)
    _own_batch(sheet, gap, left, right, across=False)
    sheet.explain(
        "bias (left), 1 − cosine of grad E f (right)", handle(MUTED, linestyle=":", linewidth=1.3)
    )
    if any(crossings.values()):
        star = handle(marker="*", markersize=10, markerfacecolor=PAPER, markeredgecolor=MUTED)
        sheet.explain("bias is larger from here on", star)
    explain_zeros(sheet)
    return Drawing(
        "gap_batch",
        "Batch or bias",
        f"Cell {cell}, the first that is drawn, first seed, at step {gap.step:,}; medians over "
        "latents. "
        "Left: a batch's error around grad E f falls as N^(−1/2) (grey); dotted is the bias of "
        "grad f(mu) at the same sigma. Beyond the star a batch tells more of grad E f than "
        f"grad f(mu) does. {crossed(crossings)}",
        f"Two log-log panels against batch size at {len(crossings)} sigmas for {cell}, at step "
        f"{gap.step}. {crossed(crossings)}",
        sheet.finish(),
    )


def needed(gap: Gap) -> Drawing | None:
    """The batch for which the gradient to sigma has a signal-to-noise ratio of 1, against sigma."""
    plain_batch, reduced = gap.of("sigma_batch"), gap.of("sigma_batch_at_mean")
    if not (np.isfinite(plain_batch) | np.isfinite(reduced)).any():
        return None
    sheet = Sheet(_title(gap, "samples for the gradient to sigma"), 1, height=3.4)
    axes = sheet.panel("variance of a sample / mean²", SIGMA, "samples for a ratio of 1")
    with np.errstate(all="ignore"):
        ratio = plain_batch / reduced
    for run, values in enumerate((plain_batch, reduced)):
        for place, cell in enumerate(gap.cells):
            own = mark(cell)
            _curve(axes, gap.sigma, values[place], None, own, name(cell), run, place)
            _endless(sheet, axes, gap.sigma[np.isposinf(values[place])], own, run)
        if run == 0:
            _guide(sheet, axes, -2, "1 / sigma²")
    _close(axes, gap.sigma)
    _own_batch(sheet, gap, axes, across=True)
    explain_cells(sheet, gap.cells)
    hollow: dict[str, Any] = {"linestyle": DASHES[1], "marker": "o", "markerfacecolor": PAPER}
    sheet.explain("less grad f(mu)·eps", handle(INK, markersize=4, **hollow))
    return Drawing(
        "gap_sigma",
        "Samples that the gradient to sigma takes",
        f"{gap.where} Draws for a signal-to-noise ratio of 1, variance and mean over latents. For "
        "a smooth f the gradient to sigma falls with sigma and its noise does not: the plain "
        "pathwise gradient (solid) takes samples as 1/sigma² (grey). Dashed: the same less "
        "grad f(mu)·eps, whose expectation is 0. "
        f"Slope of the plain one {slopes(gap, plain_batch)} "
        f"Less grad f(mu)·eps {slopes(gap, reduced)} {saved(gap, ratio)}",
        f"Log-log panel of samples against sigma, at step {gap.step}. {course(gap, plain_batch)}",
        sheet.finish(),
    )


def _title(gap: Gap, what: str) -> str:
    return f"{plain(str(gap.config['dataset']))}: {what}, step {gap.step:,}"


def _curve(
    axes: Axes,
    x: np.ndarray,
    value: np.ndarray,
    error: np.ndarray | None,
    own: Mark,
    label: str,
    run: int = 0,
    place: int = 0,
) -> None:
    """What is finite of a curve, thinner than those before it, which are seen where they agree."""
    value = np.where(np.isfinite(value), value, np.nan)
    if np.isfinite(value).any():
        line = curve(axes, x, value, error, own, label=label, run=run)
        thick = max(0.0, 1 - 0.25 * place)
        line.set(linewidth=1.2 + 1.2 * thick, markersize=3.8 + 2.4 * thick)


def _close(axes: Axes, x: np.ndarray) -> None:
    """Scales a panel around its values, with all of x on its axis."""
    close(axes)
    if curves(axes, "limit: "):
        log_scale(axes, float(x.min()), float(x.max()), x=True)


def _guide(sheet: Sheet, axes: Axes, slope: float, text: str, share: float = 0.5) -> None:
    """A wide line of a slope below the curves if it rises, else above; over a share of their x."""
    points = [np.asarray(line.get_xydata(), float) for line in curves(axes)]
    x, y = np.concatenate([np.empty((0, 2)), *points]).T
    x, y = x[y > 0], y[y > 0]
    if np.unique(x).size < 2:
        return
    low = x <= np.quantile(np.unique(x), share, method="higher")
    levels, ends = (y / x**slope)[low], np.array([x.min(), x[low].max()])
    level = np.min(levels) / 1.6 if slope > 0 else np.max(levels) * 1.6
    axes.plot(ends, level * ends**slope, zorder=1.2, label=f"theory: {text}", **_WIDE)
    sheet.explain(text, handle(**{"colour": MUTED} | _WIDE))


def _own_batch(sheet: Sheet, gap: Gap, *panels: Axes, across: bool) -> None:
    """The batch size of training, where it is one and on the axis."""
    size = gap.config["batch_size"]
    if (gap.config.get("sweep") or {}).get("batch_size"):
        return
    look: dict[str, Any] = {"color": INK, "linewidth": 0.9, "linestyle": DASHES[3], "zorder": 1.5}
    for axes in panels:
        low, high = axes.get_ylim() if across else axes.get_xlim()
        if low < size < high:
            draw = axes.axhline if across else axes.axvline
            draw(size, label="level: batch of training", **look)
            line = handle(INK, linewidth=0.9, linestyle=DASHES[3])
            sheet.explain(f"batch of training, {size}", line)


def _endless(sheet: Sheet, axes: Axes, x: np.ndarray, own: Mark, run: int) -> None:
    """Marks at the top where no number of samples was enough to see a signal."""
    if not x.size:
        return
    look: dict[str, Any] = {"marker": "^", "linestyle": "none", "markersize": 5}
    face = own.colour if run == 0 else PAPER
    axes.plot(
        x, np.full(len(x), 0.98), color=own.colour, markerfacecolor=face, label="zero: no signal",
        transform=axes.get_xaxis_transform(), clip_on=False, **look,
    )  # fmt: skip
    sheet.explain("no signal seen (at the top)", handle(MUTED, **look))


def _level(axes: Axes, value: float, colour: str) -> None:
    """A dotted line, where there is something to draw."""
    if np.isfinite(value) and value > 0:
        rule(axes, float(value), colour)


def _star(axes: Axes, at: tuple[float, float] | None, colour: str) -> None:
    """Marks a point, if there is one."""
    if at is not None:
        axes.plot(
            *at, marker="*", markersize=10, markerfacecolor=PAPER, markeredgecolor=colour,
            markeredgewidth=1.1, linestyle="none", zorder=4, label="edge: bias",
        )  # fmt: skip


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
