"""The tests of a study in words."""

from collections.abc import Mapping
from typing import Any

from sigmaprop.generators.scores import known
from sigmaprop.reporting.fmt import short

_EXPECTED = {
    "better": "better than",
    "worse": "worse than",
    "equivalent": "equivalent to",
    "non_inferior": "not inferior to",
}


def short_test(test: Mapping[str, Any]) -> str:
    """What was expected of which arms."""
    if test["against"]:
        arms = ", ".join(test["arms"])
        return f"{test['block']}: {arms} {_EXPECTED[test['expect']]} {test['against']}"
    low, high = test["low"], test["high"]
    ends = f"{'' if low is None else f'{low:g}'} to {'' if high is None else f'{high:g}'}".strip()
    if low is None:
        ends = f"at most {high:g}"
    elif high is None:
        ends = f"at least {low:g}"
    word = "" if test["expect"] == "within" else "not "
    return f"{test['about']}: {word}{ends}"


def answer_of(test: Mapping[str, Any]) -> str:
    """The answer with the number behind it."""
    if test["answer"] == "not asked":
        return "may not be asked: " + "; ".join(test["reasons"]) if test["reasons"] else "not asked"
    return f"{test['answer']}: {measured(test)}"


def measured(test: Mapping[str, Any]) -> str:
    """The number with its interval and the effect that could have been seen."""
    found = test["measured"]
    value, low, high = (known(found[name]) for name in ("value", "low", "high"))
    unit = " x" if test["by"] == "ratio" and test["against"] else ""
    told = short(value) + unit
    if low == low and high == high:
        told += f" [{short(low)}, {short(high)}]"
    detectable = known(test["detectable"])
    if test["against"] and detectable == detectable:
        told += f"; {short(detectable)}{unit} could be seen"
    return told
