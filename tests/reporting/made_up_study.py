"""The files of a study that nobody ran: every verdict, every kind of number, a whole ledger."""

import json
import math
import random
from pathlib import Path
from typing import Any

from sigmaprop.experiments.study import ledger, registration

from sigmaprop.reporting.answer.advice import VERDICTS

_ANSWERS = {
    "supported": ("as expected", "as expected"),
    "refuted": ("contrary", "not resolved"),
    "equivalent": ("equivalent", "equivalent"),
    "undecided": ("not resolved", "as expected"),
    "INADMISSIBLE": ("not asked", "not asked"),
    "DEVIATED": ("not resolved", "not resolved"),
}
_NO_SEED = "the power: 10 seeds show a factor of 1.5 with probability 0.61, where 0.8 is asked"


def write(directory: Path, verdicts: dict[str, str] | None = None, *, seed: int = 0) -> Path:
    """A study of the preset digits, as `sigmaprop.experiments.study.answer` reads it.

    Args:
        directory: for the files.
        verdicts: by hypothesis; the others go through all verdicts in turn.
        seed: of the numbers.
    """
    directory.mkdir(parents=True, exist_ok=True)
    content = json.loads(registration.OWN.read_text())
    found = result(content, verdicts or {}, random.Random(seed))
    environment = {
        "versions": {"sigmaprop": "0.1.0", "jax": "0.10.2", "python": "3.11.7"},
        "device": {"backend": "cpu", "kind": "cpu", "count": 2},
        "cpu": {"model": "made up", "cores": 2},
    }
    for name, value in (("study", found), ("registration", content), ("environment", environment)):
        (directory / f"{name}.json").write_text(json.dumps(value, indent=1))
    before = json.dumps(content | {"margin": 1.3})
    (directory / f"registration-{'1' * 12}.json").write_text(before)
    git = {"commit": "0" * 40, "dirty": False}
    ledger.add(directory, "registered", registration="1" * 64, preset="digits", git=git)
    ledger.add(
        directory,
        "amended",
        registration=found["registration"],
        preset="digits",
        reason="The rate of sigma was too small for its way.",
        git=git,
    )
    for run in (one for kind in ("used", "superseded", "repeated") for one in found["runs"][kind]):
        ledger.add(directory, "started", run=run, command="gan")
        ledger.add(directory, "finished", run=run, manifest="2" * 64)
    ledger.add(directory, "concluded", result=registration.digest(found))
    return directory


def result(content: dict[str, Any], verdicts: dict[str, str], draw: random.Random) -> dict:
    """The content of ``study.json``."""
    preset = next(one for one in content["presets"] if one["name"] == "digits")
    blocks = [one for one in content["blocks"] if one["name"] in preset["blocks"]]
    hypotheses = [
        _hypothesis(
            one, preset["blocks"], verdicts.get(one["name"], VERDICTS[place % len(VERDICTS)]), draw
        )
        for place, one in enumerate(content["hypotheses"])
    ]
    return {
        "schema": 1,
        "preset": "digits",
        "question": content["question"],
        "metric": "mmd2",
        "margin": content["margin"],
        "registration": registration.digest(content),
        "git": {"commit": "0" * 40, "dirty": False},
        "amendments": [],
        "seeds": {"selection": 2, "test": 10},
        "configurations": 4,
        "runs": {
            "used": [f"{one['name']}/test" for one in blocks],
            "superseded": ["plane_05/search"],
            "repeated": ["digits_2018/frozen-frozen global-2"],
            "unfinished": [],
            "replicas": 10 * sum(len(one["arms"]) for one in blocks),
            "diverged": 1,
        },
        "hypotheses": hypotheses,
        "blocks": [_block(one, draw) for one in blocks],
        "likelihoods": [
            _likelihood(one, draw)
            for one in content["likelihoods"]
            if one["name"] in preset["likelihoods"]
        ],
    }


def _likelihood(one: dict[str, Any], draw: random.Random) -> dict[str, Any]:
    """Two arms, one of which has no noise."""

    def arm(name: str, trained: float | None) -> dict[str, Any]:
        nats = 20 + draw.gauss(0, 2)
        own = {"error": 1.0, "low": nats - 2, "high": nats + 2}
        none = dict.fromkeys(("value", "error", "low", "high"))
        return {
            "name": name,
            "trained": {
                "log_likelihood": none if trained is None else own | {"value": trained},
                "gap": None if trained is None else 0.4,
            },
            "refitted": {"log_likelihood": own | {"value": nats}, "gap": 0.2},
            "sigma": 0.15,
        }

    settings = {"num_examples": 16, "num_chains": 8, "num_temperatures": 200}
    more = {"block": one.get("block", ""), "seeds": 3, "settings": settings}
    named = {name: one[name] for name in ("name", "text")}
    return named | more | {"arms": [arm("zero", None), arm("global", -3000.0)]}


def _hypothesis(
    one: dict[str, Any], blocks: list[str], verdict: str, draw: random.Random
) -> dict[str, Any]:
    answers = _ANSWERS.get(verdict, ())
    tests = [test for test in one["tests"] if answers and test["block"] in blocks]
    found = {name: one[name] for name in ("name", "statement", "mind", "family")}
    found |= {
        "verdict": verdict,
        "tests": [_test(t, answers[min(i, 1)], draw) for i, t in enumerate(tests)],
    }
    return found | ({"otherwise": "undecided"} if verdict == "DEVIATED" else {})


def _test(test: dict[str, Any], answer: str, draw: random.Random) -> dict[str, Any]:
    """One of two tests that agree with the verdict."""
    found = {
        "about": f"{test['block']}: {', '.join(test['arms'])}",
        "block": test["block"],
        "arms": test["arms"],
        "against": test.get("against", ""),
        "expect": test["expect"],
        "low": test.get("low"),
        "high": test.get("high"),
        "reasons": [_NO_SEED] if answer == "not asked" else [],
        "power": 0.61 if answer == "not asked" else 0.93,
        "answer": answer,
    }
    if answer == "not asked":
        return found
    centre = {"as expected": 0.6, "contrary": 1.7}.get(answer, 1.0) * math.exp(draw.gauss(0, 0.03))
    interval = {"value": centre, "error": 0.05, "low": centre / 1.14, "high": centre * 1.12}
    by = "difference" if test.get("quantity") == "drift" else "ratio"
    more = {"measured": interval, "level": 0.9875, "adjusted": 0.2, "detectable": 1.3, "by": by}
    return found | more


def _block(one: dict[str, Any], draw: random.Random) -> dict[str, Any]:
    return {
        "name": one["name"],
        "text": one["text"],
        "preset": one["preset"],
        "weights": one.get("weights", "last"),
        "dataset": one["options"].get("dataset", one["name"].partition("_")[0]),
        "steps": 5000,
        "floor": [0.002] * 10,
        "arms": [_arm(arm, place, draw) for place, arm in enumerate(one["arms"])],
    }


def _arm(one: dict[str, Any], place: int, draw: random.Random) -> dict[str, Any]:
    values: list[float | None] = [
        0.01 * math.exp(0.1 * math.sin(place) + draw.gauss(0, 0.12)) for _ in range(10)
    ]
    if one["name"] == "low rank":
        values[3] = None
    options = {"learning_rate": 0.002} | one["options"]
    start = options.get("sigma_start", options.get("sigma", 0.0 if place == 0 else 0.1))
    course = [[125.0 * i, start * math.exp(-0.004 * i * (place % 3))] for i in range(1, 41)]
    better = {"value": 0.55, "error": 0.1, "low": 0.35, "high": 0.74}
    return {
        "name": one["name"],
        "arm": options["arm"],
        "options": options,
        "seeds": list(range(100, 110)),
        "values": values,
        "middle": 0.01,
        "interquartile_mean": 0.01,
        "better": None if place == 0 else better,
        "sigma": {"value": course[-1][1], "error": 0.0},
        "course": course,
        "diverged": sum(value is None for value in values),
    }
