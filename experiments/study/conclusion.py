"""What the runs of a study say: every hypothesis with its tests, every arm with its numbers."""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sigmaprop.generators.results import floor, sigma_key
from sigmaprop.runs import configs
from sigmaprop.runs.files import read_json
from sigmaprop.statistics import central, mean_and_error
from sigmaprop.statistics.aggregates import interquartile_mean, probability_better
from sigmaprop.study import judging

from . import accounting, evidence, ledger, likelihoods
from .evidence import Evidence, Found
from .gates import Admission
from .jsonable import interval, number, numbers
from .registration import Block, Hypothesis, Preset, Registration, Test, digest, plain

_DATA = ("search", "test", "frozen")
"""Stages whose numbers treatments of sigma have made."""
_GLOBAL = ("metric", "margin", "effect", "power", "alpha", "rules")


class _Asked(NamedTuple):
    """A test with what it was admitted by and what it found."""

    admission: Admission
    judged: judging.Judged | None


def conclude(
    directory: Path,
    registration: Registration,
    preset: Preset,
    admitted: Sequence[Admission],
    places: Mapping[str, str],
) -> dict[str, Any]:
    """The study's result as JSON: it depends on the runs alone, and on no clock.

    Args:
        directory: of the study, every stage of it finished.
        registration: what was registered last.
        preset: how much of it was run.
        admitted: every test at its gate.
        places: the run that each stage has, by the stage's name.

    Raises:
        RunError: a file of a run is missing or damaged.
    """
    lines = ledger.read(directory)
    found = {}
    for name in preset.blocks:
        own = [run for stage, run in places.items() if _of(stage, name, ("test", "frozen"))]
        if own:
            block = registration.block(name)
            found[name] = evidence.gather(block, [directory / run for run in own])
    asked = _judged(registration, admitted, found)
    changed = deviating(directory, registration)
    return {
        "schema": 1,
        "preset": preset.name,
        "question": registration.question,
        "metric": registration.metric,
        "margin": registration.margin,
        "registration": ledger.standing(lines)["registration"],
        "git": ledger.standing(lines)["git"],
        "amendments": [
            {name: line[name] for name in ("registration", "reason")}
            for line in ledger.of(lines, "amended")
        ],
        "seeds": {"selection": preset.selection_seeds, "test": preset.test_seeds},
        "configurations": preset.configurations,
        "runs": accounting.accounted(directory, lines, places, found),
        "hypotheses": [
            _hypothesis(one, [own for own in asked if own.admission.hypothesis == one], changed)
            for one in registration.hypotheses
        ],
        "blocks": [_block(registration, one) for one in found.values()],
        "likelihoods": [
            likelihoods.content(registration.likelihood(name), directory / run)
            for name in preset.likelihoods
            if (run := places.get(f"{name}/likelihood")) is not None
        ],
    }


def deviating(directory: Path, registration: Registration) -> list[str]:
    """The hypotheses that were changed, or added, after runs that they are about."""
    lines = ledger.read(directory)
    found = {}
    for place, line in enumerate(lines):
        if line["event"] != "amended":
            continue
        begun = {
            run["run"].partition("/")[0]
            for run in ledger.of(lines[:place], "started")
            if _kind(run["run"]) in _DATA
        }
        before = ledger.standing(lines[:place])["registration"]
        content = read_json(directory / f"registration-{before[:12]}.json")
        for one in registration.hypotheses:
            blocks = {test.block for test in one.tests}
            now = plain(registration)
            if blocks & begun and _print_of(content, one.name, line["preset"]) != _print_of(
                now, one.name, line["preset"]
            ):
                found[one.name] = None
    return list(found)


def _print_of(content: dict[str, Any], name: str, preset: str) -> str:
    """What of a registration a hypothesis rests on, as a hash; empty where it is not in it.

    Blocks that the preset does not run are no part of it.
    """
    found = configs.from_values(Registration, content)
    whole, sizes = plain(found), found.preset(preset)
    for one in whole["hypotheses"]:
        if one["name"] == name:
            tests = [test for test in one["tests"] if test["block"] in sizes.blocks]
            blocks = {test["block"] for test in tests}
            own = [block for block in whole["blocks"] if block["name"] in blocks]
            counts = [sizes.seeds_of(block) for block in sorted(blocks)]
            more = [sizes.configurations, sizes.selection_seeds, sizes.overrides]
            return digest([one | {"tests": tests}, own, counts, more, [whole[k] for k in _GLOBAL]])
    return ""


def _kind(run: str) -> str:
    """The kind of a run's stage."""
    return run.partition("/")[2].partition("-")[0]


def _of(stage: str, folder: str, kinds: Sequence[str]) -> bool:
    """Whether a stage, or a run, is of this block and of one of these kinds."""
    return stage.startswith(f"{folder}/") and _kind(stage) in kinds


def _judged(
    registration: Registration, admitted: Sequence[Admission], found: dict[str, Evidence]
) -> list[_Asked]:
    """Every test with its answer, those of a family judged together."""
    tests = {
        place: _test(registration, one.hypothesis, one.test, found[one.test.block])
        for place, one in enumerate(admitted)
        if one.passes and one.test.block in found
    }
    answers = dict(
        zip(tests, judging.judge_tests(list(tests.values()), registration.alpha), strict=True)
    )
    return [_Asked(one, answers.get(place)) for place, one in enumerate(admitted)]


def about(test: Test) -> str:
    """A test in words."""
    what = f"{test.block}: {', '.join(test.arms)}"
    if test.compares:
        return f"{what} against {test.against}, {test.metric} of {test.of}"
    name = (test.quantity or "").replace("_", " ")
    return what + f", {name}" + (f" / {test.unit:g}" if test.unit != 1 else "")


def _test(
    registration: Registration, hypothesis: Hypothesis, test: Test, found: Evidence
) -> judging.Test:
    """A registered test with its numbers."""
    named = hypothesis.name, hypothesis.family, about(test), test.expect
    if test.compares:
        return judging.Test(*named, pair=evidence.compared(registration, found, test))
    return judging.Test(
        *named,
        values=evidence.values(found, test),
        low=-math.inf if test.low is None else test.low,
        high=math.inf if test.high is None else test.high,
        by="difference" if test.quantity == "drift" else "ratio",
    )


def _hypothesis(one: Hypothesis, asked: Sequence[_Asked], changed: Sequence[str]) -> dict[str, Any]:
    """A hypothesis with its verdict."""
    judged = [own.judged for own in asked if own.judged is not None]
    if not asked:
        verdict = "not asked"
    elif not judged:
        verdict = "INADMISSIBLE"
    else:
        verdict = judging.conclude(judged)
    found = {
        "name": one.name,
        "statement": one.statement,
        "mind": one.mind,
        "family": one.family,
        "verdict": verdict,
        "tests": [_asked(own) for own in asked],
    }
    if one.name in changed:
        found |= {"verdict": "DEVIATED", "otherwise": verdict}
    return found


def _asked(one: _Asked) -> dict[str, Any]:
    test, found = one.admission.test, one.judged
    content: dict[str, Any] = {
        "about": about(test),
        "block": test.block,
        "arms": list(test.arms),
        "against": test.against,
        "expect": test.expect,
        "low": test.low,
        "high": test.high,
        "reasons": list(one.admission.reasons),
        "power": number(one.admission.power),
    }
    if found is None:
        return content | {"answer": "not asked"}
    return content | {
        "answer": found.answer,
        "measured": interval(found.measured),
        "level": found.level,
        "adjusted": number(found.adjusted),
        "detectable": number(found.detectable),
        "by": found.test.by if found.test.pair is None else found.test.pair.scale.by,
    }


def _block(registration: Registration, found: Evidence) -> dict[str, Any]:
    """The arms of a block, each beside the baseline."""
    block = found.block
    primary = Test(block.name, (), "better", metric=registration.metric)
    first = found.arms[block.arms[0].name]
    return {
        "name": block.name,
        "text": block.text,
        "preset": block.preset,
        "weights": block.weights,
        "dataset": first.run.config["dataset"],
        "steps": first.run.steps,
        "floor": numbers(np.broadcast_to(floor(first.run), len(first.cell.seeds))),
        "arms": [
            _arm(registration, block, one, first, primary)
            for arm in block.arms
            if (one := found.arms.get(arm.name)) is not None
        ],
    }


def _arm(
    registration: Registration, block: Block, one: Found, first: Found, primary: Test
) -> dict[str, Any]:
    """An arm: its options, its seeds, and the probability that it is better than the baseline."""
    values, others = (evidence.scores(own, block, primary) for own in (one, first))
    scale = evidence.scale(registration)
    sigma = evidence.sigma(one)
    mean, error = mean_and_error(sigma[np.isfinite(sigma)])
    itself = one.cell.label == first.cell.label
    return {
        "name": one.cell.label,
        "arm": one.cell.arm,
        "options": one.cell.swept,
        "seeds": list(one.cell.seeds),
        "values": numbers(values),
        "middle": number(central(values, scale)),
        "interquartile_mean": number(interquartile_mean(values)),
        "better": None if itself else interval(probability_better(values, others, scale)),
        "sigma": {"value": number(float(mean)), "error": number(float(error))},
        "course": list(_course(one)),
        "diverged": int((~np.isfinite(values)).sum()),
    }


def _course(one: Found) -> Iterator[list[float]]:
    """Steps, and the geometric mean over seeds of sigma, at up to 40 moments."""
    series = one.run.series[sigma_key(one.run, one.cell)]
    chosen = np.unique(np.linspace(0, len(series.step) - 1, 40).round().astype(int))
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(series.value[one.cell.replicas][:, chosen])
    for step, column in zip(series.step[chosen], logs.T, strict=True):
        known = column[np.isfinite(column)]
        yield [float(step), float(np.exp(known.mean())) if known.size else 0.0]
