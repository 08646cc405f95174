"""The preferences and sensitivities that were measured, to stand beside the metrics' names.

``registered.json`` is made from runs of `sigmaprop metrics` by
``python -m sigmaprop.experiments.metrics.table RUN...``. It says what a metric is like at the sizes
of these runs; what decides about a study is `gates.gate` at the study's own. Nothing here imports
JAX.
"""

import functools
import importlib.resources
import json
import math
from typing import Any, NamedTuple


class Registered(NamedTuple):
    """What was measured of one metric.

    Attributes:
        metric: its name.
        data: "gaussian" or the name of a data set.
        features: what it was measured in.
        dim: of an example.
        num_samples: rows of the samples of the preferred scale.
        value: the preferred scale, NaN where it prefers none.
        low, high: its 99% interval.
        change: the least change of the finest scale that is seen, infinite where none is that was
            tried; NaN on Gaussian data.
    """

    metric: str
    data: str
    features: str
    dim: int
    num_samples: int
    value: float
    low: float
    high: float
    change: float


@functools.cache
def table() -> tuple[Registered, ...]:
    """Everything that is registered."""
    text = importlib.resources.files("sigmaprop.metrics").joinpath("registered.json").read_text()
    return tuple(Registered(**{k: _number(v) for k, v in row.items()}) for row in json.loads(text))


def find(name: str, data: str = "gaussian", dim: int = 1) -> Registered | None:
    """What is registered of a metric on a data set, or on Gaussian data of the nearest dimension.

    None where nothing is.
    """
    own = [one for one in table() if (one.metric, one.features) == (name, "pixels")]
    on_data = [one for one in own if one.data == data]
    if data != "gaussian" and on_data:
        return on_data[0]
    gaussian = [one for one in own if one.data == "gaussian"]
    return min(gaussian, key=lambda one: abs(math.log(one.dim / max(dim, 1))), default=None)


def told(name: str, data: str = "gaussian", dim: int = 1) -> str:
    """It in a few words, such as "prefers 0.98 [0.97, 0.99] sigma, sees 9%"; empty for nothing."""
    one = find(name, data, dim)
    if one is None:
        return ""
    parts = []
    if math.isfinite(one.value):
        parts.append(f"prefers {one.value:.2f} [{one.low:.2f}, {one.high:.2f}] sigma")
    if not math.isnan(one.change):
        parts.append(f"sees {one.change:.0%}" if math.isfinite(one.change) else "sees no change")
    if not parts:
        return "prefers no sigma"
    where = one.data if one.data != "gaussian" else f"Gaussian, {one.num_samples} x {one.dim}"
    return f"{', '.join(parts)} ({where})"


def _number(value: Any) -> Any:
    """JSON has neither NaN nor infinity."""
    return {None: math.nan, "inf": math.inf}.get(value, value)
