"""Which metrics may judge a sigma: which prefer none of their own, and which see a small change?

    sigmaprop metrics                     # Gaussian data, 192 rows in 2 and 16 dimensions
    sigmaprop metrics --preset digits     # on digits, at the sizes of `sigmaprop gan`

Expect: unbiased MMD, KID and the energy distance prefer 1.00. Precision, density, coverage and
transport prefer samples that are too close together, the more so the more dimensions there are;
recall the opposite. On mixtures an MMD sees the width of the components only where a kernel is as
narrow.
"""

import functools
import zlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np
import pyarrow as pa

from sigmaprop import data, runs
from sigmaprop.data.dataset import Dataset
from sigmaprop.metrics import features, gates
from sigmaprop.metrics.preferred import Preferred, preferred_scale
from sigmaprop.metrics.records import METRICS
from sigmaprop.metrics.sensitivities import CHANGES, Sensitivity, sensitivity
from sigmaprop.statistics import Claim, claim, exact

from .. import parts as recording
from ..forecast import COMPILING, DRAWING, Forecast
from ..terminal import counted
from ..training.records import save_json
from .config import MetricsConfig, size

KEYS = ("metric", "data", "features", "dim", "num_samples", "num_held_out", "quantity", "x")
VALUES = ("value", "error", "low", "high")
SCHEMA = pa.schema(
    [(name, pa.string()) for name in KEYS[:3]]
    + [(name, pa.int64()) for name in KEYS[3:6]]
    + [("quantity", pa.string()), ("x", pa.float64())]
    + [(name, pa.float64()) for name in VALUES]
)
"""``quantity``: "curve" (the metric where samples have x times the right scale), "preferred" (the
best of these), "grown" and "shrunk" (the power to see the finest scale changed by x), "change" (the
least that is seen with power .8)."""


class Case(NamedTuple):
    """Data of some size.

    Attributes:
        name: what to call it.
        dataset: None for Gaussian data.
        num_samples: rows of samples.
        num_held_out: rows of held-out data.
        dim: of x.
    """

    name: str
    dataset: Dataset | None
    num_samples: int
    num_held_out: int
    dim: int

    @property
    def data(self) -> str:
        """The data set's name."""
        return "gaussian" if self.dataset is None else self.dataset.name


class Plan(NamedTuple):
    """A checked configuration.

    Attributes:
        cases: the data to measure on.
        features: of the data set.
    """

    cases: tuple[Case, ...]
    features: features.FeatureMap


def prepare(config: MetricsConfig) -> Plan:
    """Loads the data set, and trains the classifier if it is asked for.

    Raises:
        ValueError: one sentence that names the option, its value and what is allowed.
    """
    cases = []
    for text in config.sizes:
        rows, dim = size(text)
        cases.append(Case(f"Gaussian, {rows} rows in {dim} dimensions", None, rows, rows, dim))
    pixels = features.FeatureMap("pixels", None, {})
    if config.dataset is None:
        return Plan(tuple(cases), pixels)
    data.check(config.dataset, config.data)
    dataset = data.load(config.dataset, config.data)
    case = _case(config, dataset)
    splits = dataset.splits
    seen = features.get(config.features, dataset.x, dataset.labels, splits.train, splits.validation)
    return Plan((*cases, case), seen)


def _case(config: MetricsConfig, dataset: Dataset) -> Case:
    """The study on the data set, at sizes that its rows allow."""
    held_out = config.num_held_out or min(config.num_samples, len(dataset.splits.validation))
    rows = len(dataset.x)
    if config.num_samples + held_out + 8 > rows:
        raise ValueError(
            f"--num-samples {config.num_samples} and {held_out} held-out rows need more than the "
            f"{rows} rows of {dataset.name}; take --num-samples {max(8, rows - held_out - 8)} or "
            "less"
        )
    return Case(dataset.name, dataset, config.num_samples, held_out, dataset.dim)


def total_work(config: MetricsConfig, plan: Plan) -> None:
    """How many draws are enough is not known beforehand."""
    del config, plan


def forecast(config: MetricsConfig, plan: Plan) -> Forecast:
    """Counts pairs of rows: so many are compared in each draw of each case."""
    pairs = sum(
        3 * case.num_samples * case.num_samples * (30 + case.dim) * 16 * 20 for case in plan.cases
    )
    programs = 3 * len(config.metrics) * len(plan.cases)
    seconds = 2e-9 * pairs * len(config.metrics) + programs * COMPILING / 4 + 4 * DRAWING
    largest = max(case.num_samples * max(case.dim, 256) for case in plan.cases)
    parts = (
        counted(len(config.metrics), "metric"),
        counted(len(plan.cases), "case"),
    )
    return Forecast(parts, programs, 4 * 8 * largest / 2**20, seconds)


def run(
    config: MetricsConfig,
    plan: Plan,
    directory: runs.Run,
    progress: Callable[[str], None] = lambda what: None,
) -> list[Claim]:
    """Measures the metrics that are left, writes metrics and conclusions, returns the claims."""
    save_json(directory, "features.json", {"name": plan.features.name} | plan.features.record)
    done = recording.recorded(directory)
    for number, name in enumerate(config.metrics, 1):
        where = f"{name}, metric {number} of {len(config.metrics)}"
        if number <= len(done):
            progress(f"{where}: measured before the run was stopped")
            continue
        rows: list[dict[str, Any]] = []
        claims: list[Claim] = []
        for case in plan.cases:
            progress(f"{where}: {case.name}")
            key = jax.random.fold_in(jax.random.key(config.seed), _number(name))
            for found in _measured(config, plan, case, name, key):
                rows += _rows(name, case, plan, found)
                claims.append(_claim(name, case, found))
        done.append(claims)
        recording.record(directory, number, pa.Table.from_pylist(rows, schema=SCHEMA), claims)
    claims = [one for of_metric in done for one in of_metric]
    recording.conclude(directory, claims)
    return claims


def _number(name: str) -> int:
    """A number that a metric's name gives, whatever others are measured."""
    return zlib.crc32(name.encode()) >> 1


def _measured(
    config: MetricsConfig, plan: Plan, case: Case, name: str, key: jax.Array
) -> Iterator[Preferred | Sensitivity]:
    """What there is to measure of a metric on a case: nothing where it has no meaning."""
    dataset = case.dataset
    measure = functools.partial(preferred_scale, name, most_repeats=config.repeats)
    if dataset is None:
        yield measure(case.dim, case.num_samples, jax.random.fold_in(key, case.dim))
        return
    see, truth = plan.features.function, dataset.truth
    if METRICS[name].needs == "mixture":
        if not isinstance(truth, data.Mixture) or see is not None:
            return
        mixture = truth
    else:
        mixture = None
    means = truth.means if isinstance(truth, data.Mixture) else None
    seen = sensitivity(
        name,
        dataset.x,
        case.num_samples,
        jax.random.fold_in(key, 0),
        finest=dataset.finest,
        means=means,
        num_held_out=case.num_held_out,
        features=see,
        num_draws=config.draws,
        mixture=mixture,
    )
    if mixture is None:
        yield measure(
            case.dim,
            min(case.num_samples, len(dataset.x) // 3),
            jax.random.fold_in(key, 1),
            dataset.x,
            noise=seen.finest,
            finest=dataset.finest,
            features=see,
        )
    yield seen


def _rows(
    name: str, case: Case, plan: Plan, found: Preferred | Sensitivity
) -> Iterator[dict[str, Any]]:
    """The rows of one measurement."""
    seen = "pixels" if case.dataset is None else plan.features.name
    about = {"metric": name, "data": case.data, "features": seen, "dim": case.dim}
    nothing = {"x": np.nan, "error": np.nan, "low": np.nan, "high": np.nan}
    if isinstance(found, Preferred):
        about |= {"num_samples": found.num_samples, "num_held_out": found.num_samples}
        about |= nothing
        for x, value, error in zip(found.scales, found.curve, found.error, strict=True):
            numbers = {"x": float(x), "value": float(value), "error": float(error)}
            yield about | {"quantity": "curve"} | numbers
        yield about | {"quantity": "preferred"} | found.measured._asdict()
        return
    about |= {"num_samples": found.num_samples, "num_held_out": found.num_held_out} | nothing
    for quantity in ("grown", "shrunk"):
        for x, value in zip(CHANGES, getattr(found, quantity), strict=True):
            yield about | {"quantity": quantity, "x": x, "value": float(value)}
    yield about | {"quantity": "change", "value": float(found.change)}


def _claim(name: str, case: Case, found: Preferred | Sensitivity) -> Claim:
    """What the gate asks of a metric."""
    title = METRICS[name].title
    if isinstance(found, Preferred):
        return claim(
            case.name,
            f"{title}: preferred scale over the right one",
            1.0,
            gates.ALLOWED,
            found.measured,
            study="preferred",
            quantity=name,
        )
    return claim(
        case.name,
        f"{title}: least change of the finest scale that is seen",
        gates.LARGEST_CHANGE,
        (0.0, gates.LARGEST_CHANGE),
        exact(min(found.change, CHANGES[-1])),
        study="sensitivity",
        quantity=name,
        x=found.finest,
    )


def headline(config: MetricsConfig, plan: Plan) -> str:
    """What is about to be done."""
    cases = ", ".join(case.name for case in plan.cases)
    return f"{counted(len(config.metrics), 'metric')} on {cases}"
