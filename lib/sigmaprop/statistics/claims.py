"""A claim: what theory expects, what was measured, and the verdict of `verdicts.judge`."""

import math
from typing import Any, NamedTuple

import numpy as np

from sigmaprop.statistics.intervals import Interval
from sigmaprop.statistics.verdicts import Verdict, judge

UNKNOWN = Interval(math.nan, math.nan, math.nan, math.nan)


class Claim(NamedTuple):
    """One line of the conclusions.

    Attributes:
        objective: name of the objective, or what else the claim is about.
        claim: what is claimed, in words.
        expected: what theory gives, a number.
        lowest, highest: the range that counts as agreement.
        measured: value with interval; without one where there is no sampling error.
        verdict: "holds", "fails" or "not resolved".
        sigma_low, sigma_high: where it was measured.
        study: the family of figures, or the study, that shows it: "bias", "grid", ...
        quantity: what was measured, as a program names it: "slope", "crossover", ...
        estimator: label of the estimator that it is about, with the noise scheme where that is not
            iid; empty where it is about none, or about several.
        wrt: the part of the gradient, "mean" or "scale"; empty where it is about neither.
        x: where on the axis of its study it was measured; NaN where that has none.
    """

    objective: str
    claim: str
    expected: float
    lowest: float
    highest: float
    measured: Interval
    verdict: Verdict
    sigma_low: float
    sigma_high: float
    study: str = ""
    quantity: str = ""
    estimator: str = ""
    wrt: str = ""
    x: float = math.nan


def claim(
    objective: str,
    text: str,
    expected: float,
    allowed: float | tuple[float, float],
    measured: Interval,
    sigmas: Any = math.nan,
    **about: Any,
) -> Claim:
    """A claim with its verdict; the interval of a number without sampling error is none.

    Args:
        objective: what it is about.
        text: the claim in words.
        expected: what theory gives.
        allowed: the tolerance on either side of that, or the ends of the range.
        measured: the value and its interval, at the level that the claim is judged by.
        sigmas: where it was measured: one or many, in units of x; none of them: not known.
        **about: ``study``, ``quantity``, ``estimator``, ``wrt`` and ``x`` of a `Claim`.
    """
    low, high = allowed if isinstance(allowed, tuple) else (expected - allowed, expected + allowed)
    verdict = judge(measured, low, high)
    if measured.low == measured.high:
        measured = measured._replace(low=math.nan, high=math.nan)
    where = np.atleast_1d(np.asarray(sigmas, float))
    ends = (float(where.min()), float(where.max())) if where.size else (math.nan, math.nan)
    numbers = (float(expected), float(low), float(high))
    return Claim(objective, text, *numbers, measured, verdict, *ends, **about)


def exact(value: float) -> Interval:
    """A number without sampling error: the interval that `judge` takes for one."""
    return Interval(float(value), 0.0, math.nan, math.nan)


def as_json(one: Claim) -> dict[str, Any]:
    """A claim for a JSON file; a number that is not known, or not finite, becomes null."""
    row = one._asdict() | {"measured": one.measured._asdict()}
    return {name: _known(value) for name, value in row.items()}


def from_json(row: dict[str, Any]) -> Claim:
    """What `as_json` made.

    Raises:
        KeyError, TypeError: it is something else.
    """
    numbers: dict[str, Any] = {
        name: math.nan if value is None else value for name, value in row.items()
    }
    measured = {k: math.nan if v is None else v for k, v in row["measured"].items()}
    numbers["measured"] = Interval(**measured)
    return Claim(**numbers)


def _known(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _known(one) for name, one in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
