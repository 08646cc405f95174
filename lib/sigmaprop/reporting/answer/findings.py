"""What a study found, read for its answer: verdicts, arms beside the baseline, and its ledger."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from sigmaprop.generators.arms import ARMS
from sigmaprop.generators.scores import known
from sigmaprop.statistics import Comparison, Pair, Scale, compare

NOT_ASKED = "not asked"
BASELINE = "zero"
"""The arm without noise, the first of a block that compares."""
_OF_ARMS = ("search", "test", "frozen")
"""Beginnings of the names of runs that treat sigma; the others are what gates go by."""
_NEAR = 0.05
"""A sigma whose log moves by more in the last fifth of a run is not at rest."""


class Hypothesis(NamedTuple):
    """A hypothesis with its verdict.

    Attributes:
        name: such as L1.
        statement, mind: as registered; what would have changed our mind.
        verdict: supported, refuted, equivalent, undecided, INADMISSIBLE, DEVIATED or not asked.
        otherwise: of DEVIATED the verdict but for the deviation; else the verdict.
        tests: each as ``study.json`` has it.
    """

    name: str
    statement: str = ""
    mind: str = ""
    verdict: str = NOT_ASKED
    otherwise: str = NOT_ASKED
    tests: Sequence[Mapping[str, Any]] = ()

    @property
    def asked(self) -> list[Mapping[str, Any]]:
        """The tests that passed their gate."""
        return [test for test in self.tests if test["answer"] != NOT_ASKED]


class Arm(NamedTuple):
    """An arm of a block.

    Attributes:
        name: of it.
        learns: whether its sigma is learned.
        options: that were registered or chosen for it.
        values: the primary metric, one a seed; NaN where a run diverged. [S]
        middle: their interquartile mean.
        better: probability that it is better than the baseline, with its interval.
        sigma: over the last fifth, mean over seeds and standard error.
        course: steps and sigma, each a row. [T, 2]
        diverged: runs.
    """

    name: str
    learns: bool
    options: Mapping[str, Any]
    values: np.ndarray
    middle: float
    better: tuple[float, float, float]
    sigma: tuple[float, float]
    course: np.ndarray
    diverged: int

    @property
    def moves(self) -> str:
        """Whether sigma rose or fell in the last fifth of the run."""
        late = self.course[self.course[:, 0] >= 0.8 * self.course[-1, 0]]
        if len(late) < 2 or not (late[[0, -1], 1] > 0).all():
            return ""
        way = math.log(late[-1, 1] / late[0, 1])
        return "" if abs(way) <= _NEAR else "rising" if way > 0 else "falling"


class Block(NamedTuple):
    """Arms on one data set with one baseline.

    Attributes:
        name, text: as registered.
        dataset: of it.
        steps: of every run.
        floor: values of the primary metric below it do not differ from it, one a seed. [S]
        arms: the first is the baseline.
    """

    name: str
    text: str
    dataset: str
    steps: int
    floor: np.ndarray
    arms: Sequence[Arm]

    @property
    def compares(self) -> bool:
        """Whether its first arm has no noise."""
        return self.arms[0].name == BASELINE and len(self.arms) > 1

    @property
    def of_samples(self) -> bool:
        """Whether it asks how good samples are, on data without noise that was put in."""
        return self.compares and self.dataset != "linear_gaussian"

    @property
    def shared(self) -> dict[str, Any]:
        """The options that all arms have alike, but for those of which nothing was chosen."""
        return {
            name: value
            for name, value in self.arms[0].options.items()
            if all(arm.options.get(name, value) == value for arm in self.arms)
        }

    def ratios(self) -> list[Comparison]:
        """The primary metric of every further arm over the baseline's, each at 95% for itself."""
        scale = Scale(by="ratio")
        first = self.arms[0].values
        return [compare([Pair(one.values, first, scale, self.floor)])[0] for one in self.arms[1:]]


class Findings(NamedTuple):
    """Everything that the answer is made from.

    Attributes:
        result: ``study.json``.
        registration: as it was registered last.
        environment: of the study.
        ledger: its lines.
        limit: the claims of the sweep of sigma to 0.
        changes: by the hash of an amended registration what it changed, a line each.
        place: of the study's files, below the checkout.
    """

    result: Mapping[str, Any]
    registration: Mapping[str, Any]
    environment: Mapping[str, Any]
    ledger: Sequence[Mapping[str, Any]]
    limit: Sequence[Mapping[str, Any]]
    changes: Mapping[str, Sequence[str]] = {}  # never changed
    place: str = ""

    def hypothesis(self, name: str) -> Hypothesis:
        """The hypothesis of this name; one that the study does not have was not asked."""
        return next((one for one in self.hypotheses if one.name == name), Hypothesis(name))

    @property
    def hypotheses(self) -> list[Hypothesis]:
        """All, as registered."""
        return [
            Hypothesis(
                one["name"],
                one["statement"],
                one["mind"],
                one["verdict"],
                one.get("otherwise", one["verdict"]),
                one["tests"],
            )
            for one in self.result["hypotheses"]
        ]

    @property
    def blocks(self) -> list[Block]:
        """All that were run, those of samples first."""
        found = [
            Block(
                one["name"],
                one["text"],
                one["dataset"],
                one["steps"],
                numbers(one["floor"]),
                [_arm(arm, self._own(one["name"], arm["name"])) for arm in one["arms"]],
            )
            for one in self.result["blocks"]
        ]
        return sorted(found, key=lambda one: (not one.of_samples, not one.compares))

    def searched(self, block: str) -> bool:
        """Whether configurations of its arms were drawn and chosen from."""
        registered = self.registered(block)
        return any(one.get("search") for one in (registered, *registered["arms"]))

    def tests(self, hypothesis: str | None = None) -> list[Mapping[str, Any]]:
        """The tests as registered, of other presets too: of one hypothesis, or all."""
        return [
            test
            for one in self.registration["hypotheses"]
            if hypothesis in (None, one["name"])
            for test in one["tests"]
        ]

    def registered(self, block: str) -> Mapping[str, Any]:
        """A block as registered."""
        return next(one for one in self.registration["blocks"] if one["name"] == block)

    def _own(self, block: str, arm: str) -> set[str]:
        """The options that an arm was given, or that were chosen for it."""
        registered = self.registered(block)
        own = next(one for one in registered["arms"] if one["name"] == arm)
        lists = {**registered.get("search", {}), **own.get("search", {})}
        return {*own.get("options", {}), *lists} - {"arm"}

    @property
    def preset(self) -> Mapping[str, Any]:
        """What of the registration was run."""
        name = self.result["preset"]
        return next(one for one in self.registration["presets"] if one["name"] == name)

    def levels(self, block: str) -> list[float]:
        """The noise in the data of a block, as its tests of sigma know it."""
        found = [
            test.get("unit", 1.0)
            for test in self.tests()
            if test["block"] == block and test.get("quantity") in ("sigma", "total_noise")
        ]
        return sorted({unit for unit in found if unit != 1})

    def events(self, kind: str) -> list[Mapping[str, Any]]:
        """The lines of the ledger of one kind."""
        return [line for line in self.ledger if line["event"] == kind]

    def begun(self, line: Mapping[str, Any]) -> list[str]:
        """The runs of arms that had begun before a line of the ledger."""
        before = self.ledger[: self.ledger.index(line)]
        runs = [one["run"] for one in before if one["event"] == "started"]
        return [run for run in runs if run.partition("/")[2].startswith(_OF_ARMS)]

    def claim(self, objective: str, claim: str) -> Mapping[str, Any]:
        """A claim of the sweep."""
        return next(
            one for one in self.limit if (one["objective"], one["claim"]) == (objective, claim)
        )


def numbers(values: Sequence[float | str | None]) -> np.ndarray:
    """Numbers as JSON has them."""
    return np.array([known(value) for value in values], np.float64)


def changed(before: Any, after: Any, path: str = "") -> Iterator[str]:
    """In what two registrations differ: the path of each value, with what it was and is."""
    old, new = _parts(before), _parts(after)
    if old is None or new is None:
        if before != after:
            yield f"{path}: {_shown(before)} → {_shown(after)}"
        return
    for key in dict.fromkeys((*old, *new)):
        inner = f"{path}.{key}" if path else key
        if key in old and key in new:
            yield from changed(old[key], new[key], inner)
        else:
            kind, value = ("removed", old[key]) if key in old else ("added", new[key])
            yield f"{inner}: {kind}" + ("" if _parts(value) is not None else f", {_shown(value)}")


def _parts(value: Any) -> dict[str, Any] | None:
    """What JSON consists of by name, of a list of things by their names or places; else None."""
    if isinstance(value, dict):
        return {key: one for key, one in value.items() if key != "name"}
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return {str(one.get("name", place)): one for place, one in enumerate(value)}
    return None


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _arm(one: Mapping[str, Any], own: set[str]) -> Arm:
    better = one["better"] or {}
    return Arm(
        one["name"],
        one["arm"] in ARMS and ARMS[one["arm"]].learns,
        {name: value for name, value in one["options"].items() if name in own},
        numbers(one["values"]),
        known(one["interquartile_mean"]),
        (known(better.get("value")), known(better.get("low")), known(better.get("high"))),
        (known(one["sigma"]["value"]), known(one["sigma"]["error"])),
        np.array(one["course"], np.float64).reshape(-1, 2),
        one["diverged"],
    )
