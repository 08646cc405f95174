"""What a study says of the likelihood of arms: as trained and refitted, with the gap."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sigmaprop.reporting.evaluate.values import Value, values
from sigmaprop.reporting.frame import load

from .jsonable import interval, number
from .registration import Likelihood

KINDS = {"trained": "x", "refitted": "refitted"}
"""What is estimated of every arm, as `sigmaprop evaluate` calls it."""
_SETTINGS = ("num_examples", "num_chains", "num_temperatures", "schedule", "held_out", "weights")


def content(one: Likelihood, directory: Path) -> dict[str, Any]:
    """Its arms, in nats an example; nothing where a density does not exist, as without noise.

    Args:
        one: as registered.
        directory: of the finished `sigmaprop evaluate`.

    Raises:
        RunError: a file of it is missing or damaged.
    """
    run = load(directory)
    found: dict[str, dict[tuple[str, str], Value]] = {}
    for value in values(run):
        found.setdefault(value.label, {})[value.metric, value.of] = value
    return {
        **{"name": one.name, "text": one.text, "block": one.block, "seeds": one.seeds},
        "settings": {name: run.config[name] for name in _SETTINGS},
        "arms": [{"name": label, **_arm(own)} for label, own in found.items()],
    }


def _arm(own: Mapping[tuple[str, str], Value]) -> dict[str, Any]:
    each: dict[str, Any] = {
        name: {
            "log_likelihood": interval(own["ais", of].level),
            "gap": number(own["bdmc", of].level.value),
        }
        for name, of in KINDS.items()
    }
    return each | {"sigma": number(own["refitted_sigma", "refitted"].level.value)}
