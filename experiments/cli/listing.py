"""``sigmaprop list``: what the options can name; nothing is made, trained or measured."""

import inspect
import math
import textwrap
from collections.abc import Callable, Sequence

from rich.table import Table

from sigmaprop import estimators, noise, objectives
from sigmaprop.comparison import FAMILIES
from sigmaprop.estimators.records import FITTED
from sigmaprop.noise import schedules

from ..compile.targets import TARGETS
from ..estimators.config import ESTIMATORS_PRESETS
from ..limit.config import LIMIT_PRESETS, LimitConfig
from ..terminal import Terminal
from . import gan_listing
from .listing_tables import add, table

_GAUSSIANS = {
    "isotropic": "sigma^2 I",
    "diagonal": "scales from sigma/2 to 2 sigma, normalised to a mean square of sigma^2",
    "full": "those scales with the correlation 0.5^|i-j|; lower triangular factor",
    "low_rank": "half of sigma^2 from --rank random directions, half independent",
}


def show() -> int:
    """Prints all tables."""
    terminal = Terminal()
    for found in (
        objective_table(),
        estimator_table(),
        noise_table(),
        gaussian_table(),
        schedule_table(),
        preset_table(),
        comparison_preset_table(),
        *gan_listing.tables(),
        target_table(),
    ):
        terminal.print(found)
    terminal.say("E f: whether the smoothed function is known in closed form.")
    terminal.say("--objective also takes path/to/file.py:function, a function of your own.")
    swept = f"`sigmaprop limit` takes the estimators {', '.join(estimators.sweepable_labels())}."
    terminal.say(textwrap.fill(swept, 80))
    return 0


def objective_table() -> Table:
    """Every objective: formula, dimensions, smoothness, whether E f is known."""
    found = table("Objectives (--objective)", "name", "formula", "dim", "kind", "E f")
    for name, record in objectives.OBJECTIVES.items():
        closed = "yes" if record.closed else "no"
        add(found, name, record.formula, dims(name), record.smoothness, closed)
    return found


def dims(name: str) -> str:
    """The default dimension and those allowed."""
    entry = objectives.OBJECTIVES[name]
    if entry.smallest == entry.largest:
        return f"{entry.default_dim} only"
    largest = "" if math.isinf(entry.largest) else f", <= {entry.largest}"
    return f"{entry.default_dim}, >= {entry.smallest}{largest}"


def estimator_table() -> Table:
    """Every estimator: what it is, which gradients it gives, what a draw costs."""
    found = table("Estimators (--estimators)", "name", "gradient to", "a draw costs")
    for label in estimators.labels():
        record = estimators.record_of(label)
        text = textwrap.fill(FITTED if label.endswith("+fitted") else record.text, 44)
        add(found, f"{label}\n{textwrap.indent(text, '  ')}", record.to, record.cost)
    return found


def noise_table() -> Table:
    """Every noise scheme."""
    found = table("Noise (--noise)", "name", "what it is")
    for name, text in noise.SCHEMES.items():
        add(found, name, text)
    return found


def gaussian_table() -> Table:
    """Every family of Gaussians."""
    found = table("Gaussians (--gaussian)", "name", "covariance, as comparisons set it")
    for name in FAMILIES:
        add(found, name, _GAUSSIANS[name])
    return found


def schedule_table() -> Table:
    """Every schedule with five of its values."""
    found = table("Sigma schedules (--sigma-schedule)", "name", "what it is", "five, 1 to 1e-4")
    for name, make in schedules.SCHEDULES.items():
        values = schedules.sigmas(name, 1.0, 1e-4, 5)
        add(
            found,
            name,
            _summary(make),
            " ".join(f"{value:.2g}" for value in values),
        )
    return found


def preset_table() -> Table:
    """Every preset: what it runs."""
    found = table("Presets of limit (--preset)", "name", "objectives", "sigmas", "samples")
    for name, config in LIMIT_PRESETS.items():
        add(found, name, ", ".join(config.objective), _sigmas(config), f"{config.num_samples:,}")
    return found


def comparison_preset_table() -> Table:
    """Every preset of `sigmaprop estimators`: what its grid runs."""
    found = table("Presets of estimators (--preset)", "name", "grid", "sigmas")
    for name, config in ESTIMATORS_PRESETS.items():
        grid = f"{', '.join(config.objective)}; {len(config.estimators)} estimators; " + ", ".join(
            config.gaussian
        )
        add(found, name, grid, " ".join(f"{sigma:g}" for sigma in config.sigmas))
    return found


def target_table() -> Table:
    """Every target of `sigmaprop compile`, by chip."""
    names = ("name", "TFLOP/s", "GB/s", "GB", "$ an hour", "source of the numbers")
    found = table("Targets of compile (--target); TFLOP/s of float32, bfloat16", *names)
    for name, target in TARGETS.items():
        peaks = (f"{target.peak[dtype] / 1e12:.0f}" for dtype in list(target.peak)[:2])
        scaled = (target.bandwidth, target.memory)
        numbers = ("–" if value is None else f"{value / 1e9:,.0f}" for value in scaled)
        price = "–" if target.price is None else f"{target.price.dollars:g}"
        add(found, name, ", ".join(peaks) or "–", *numbers, price, target.source)
    return found


def _sigmas(config: LimitConfig) -> str:
    values: Sequence[float] = config.sigmas or (config.sigma_first, config.sigma_last)
    number = len(values) if config.sigmas else config.num_sigmas
    return f"{number} from {values[0]:g} to {values[-1]:g}"


def _summary(function: Callable) -> str:
    """The first line of a docstring, in lines that leave room for two more columns."""
    first = (inspect.getdoc(function) or "").partition("\n")[0].rstrip(".")
    return textwrap.fill(first, 44)
