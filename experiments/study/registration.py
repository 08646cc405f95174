"""What a study registers before any run: questions, arms, budgets, seeds and rules, as JSON.

Like every ``config.py``, this module imports nothing heavy.
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from sigmaprop.names import shown, unknown

Expect = Literal["better", "worse", "equivalent", "non_inferior", "within", "outside"]
Quantity = Literal["sigma", "total_noise", "spread_of_ends", "drift"]
OWN = Path(__file__).with_name("registration.json")
"""The study that this package is about."""
_BASELINE_SEED = 10_000
_COMPARISONS = ("better", "worse", "equivalent", "non_inferior")


@dataclasses.dataclass(frozen=True)
class Arm:
    """One treatment of sigma in a block."""

    name: str
    """What tests call it."""
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Options of `sigmaprop gan` that it has of its own."""
    search: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Lists that configurations are drawn from, beside those of the block."""
    frozen: str = ""
    """The arm of this block whose learned noise it is given, seed by seed, as constants."""


@dataclasses.dataclass(frozen=True)
class Block:
    """Arms on one data set with one baseline: what is compared with each other."""

    name: str
    """What tests call it."""
    text: str
    """What it is, in one line."""
    preset: str
    """Of `sigmaprop gan`: the baseline."""
    arms: tuple[Arm, ...]
    """The treatments; the first is the baseline itself."""
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Options of `sigmaprop gan` beside the preset's."""
    search: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Lists that every arm's configurations are drawn from, of the options that concern it. None:
    no search, every arm as registered."""
    weights: Literal["last", "average"] = "last"
    """Whose scores count: of the last iterate, or of the moving average."""
    bar: bool = True
    """Whether comparisons wait for the baseline to pass its bar."""
    test_seed: int | None = None
    """First seed of the comparison, where not the registration's: seeds that nothing was seen of,
    for what another block suggested."""


@dataclasses.dataclass(frozen=True)
class Test:
    """One comparison of two arms, or one quantity of an arm and the range that is expected."""

    block: str
    """Where."""
    arms: tuple[str, ...]
    """Of which arm; of a quantity that spans arms, of which."""
    expect: Expect
    """What the hypothesis says."""
    against: str = ""
    """The arm that it is compared with."""
    metric: str = "mmd2"
    """By which metric they are compared."""
    weights: Literal["", "last", "average"] = ""
    """Whose scores count here; empty: as the block has it."""
    of: str = "x"
    """Of what: x, mean; of data with known noise "x to clean" and "mean to clean"."""
    quantity: Quantity | None = None
    """sigma: mean over the last fifth. total_noise: of linear_gaussian, the root of sigma^2 and the
    mean's variance off the plane. spread_of_ends: the largest sigma of the arms over the smallest.
    drift: the slope of log sigma times the sign of (data's spread - means' spread)."""
    unit: float = 1.0
    """What the quantity is divided by."""
    low: float | None = None
    """Least of the range; None: none."""
    high: float | None = None
    """Greatest of the range; None: none."""

    @property
    def compares(self) -> bool:
        """Whether two arms are compared."""
        return self.expect in _COMPARISONS


@dataclasses.dataclass(frozen=True)
class Hypothesis:
    """A statement that the study supports or refutes."""

    name: str
    """Such as H6."""
    statement: str
    """What it says."""
    mind: str
    """What would have changed our mind."""
    family: str
    """Hypotheses of one family are corrected together."""
    tests: tuple[Test, ...]
    """All of them must come out as expected."""


@dataclasses.dataclass(frozen=True)
class Likelihood:
    """Log-likelihoods as trained and refitted: shown beside the verdicts, and judged by none."""

    name: str
    """Of the directory of its runs."""
    text: str
    """What it is, in one line."""
    block: str = ""
    """Whose compared arms; empty: decoders that are trained for it."""
    preset: str = "digits"
    """Of `sigmaprop vae`, where decoders are trained."""
    arms: tuple[Arm, ...] = ()
    """Those decoders."""
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Of `sigmaprop vae`, beside the preset's."""
    evaluate: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Of `sigmaprop evaluate`."""
    seeds: int = 3
    """Of the comparison, its first so many."""


@dataclasses.dataclass(frozen=True)
class Preset:
    """How much of it is run."""

    name: str
    """As `--preset` takes it."""
    text: str
    """How long it takes, on what."""
    blocks: tuple[str, ...]
    """Which; tests on others are not asked."""
    configurations: int
    """Of every arm, the registered one included, in the search."""
    selection_seeds: int
    """Of the search."""
    test_seeds: int
    """Of the comparison."""
    seeds: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Of the comparison in a block, by its name, where not `test_seeds`."""
    overrides: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Options of a block, by its name, in place of the registered ones; of "*" those of all."""
    likelihoods: tuple[str, ...] = ()
    """Which are estimated."""
    vae: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Options of `sigmaprop vae` in place of the registered ones."""
    evaluate: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Options of `sigmaprop evaluate` in place of the registered ones."""
    gate: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Options of `sigmaprop metrics`, where the primary metric's gate is measured."""

    def seeds_of(self, block: str) -> int:
        """How many seeds the arms of a block are compared with."""
        return int(self.seeds.get(block, self.test_seeds))


@dataclasses.dataclass(frozen=True)
class Registration:
    """A study before it is run."""

    question: str
    """What it is to answer."""
    hypotheses: tuple[Hypothesis, ...]
    """What it asks."""
    blocks: tuple[Block, ...]
    """Where it asks."""
    presets: tuple[Preset, ...]
    """How much of it is run."""
    rules: dict[str, Any]
    """Selection, exclusion, divergence, stopping: in words, for the reader."""
    likelihoods: tuple[Likelihood, ...] = ()
    """What is estimated beside, once all verdicts have their runs."""
    metric: str = "mmd2"
    """The primary metric: configurations are selected by it."""
    margin: float = 1.15
    """Factor of the primary metric within which arms are equivalent."""
    effect: float = 1.5
    """Factor of the primary metric that a test of better must find with `power`."""
    power: float = 0.8
    """Least power of a test that may be asked."""
    alpha: float = 0.05
    """Level of a family."""
    selection_seed: int = 0
    """First seed of the search."""
    test_seed: int = 100
    """First seed of the comparison."""
    baseline_seed: int = _BASELINE_SEED
    """First seed of the baselines' bars."""
    baseline_seeds: int = 10
    """Seeds of the baselines' bars."""

    def block(self, name: str) -> Block:
        """The block of this name.

        Raises:
            ValueError: unknown; the nearest is named.
        """
        return _named(self.blocks, name, "block")

    def likelihood(self, name: str) -> Likelihood:
        """The estimate of this name.

        Raises:
            ValueError: unknown; the nearest is named.
        """
        return _named(self.likelihoods, name, "likelihood")

    def preset(self, name: str) -> Preset:
        """The preset of this name.

        Raises:
            ValueError: unknown; the nearest is named.
        """
        return _named(self.presets, name, "preset")

    def seeds(self, preset: Preset, block: Block) -> range:
        """Those that the arms of a block are compared with."""
        first = self.test_seed if block.test_seed is None else block.test_seed
        return range(first, first + preset.seeds_of(block.name))

    def asked(self, preset: Preset) -> Iterator[tuple[Hypothesis, Test]]:
        """The tests of a preset, with their hypotheses, in order."""
        for hypothesis in self.hypotheses:
            for test in hypothesis.tests:
                if test.block in preset.blocks:
                    yield hypothesis, test


def read(path: Path = OWN) -> tuple[Registration, str]:
    """A registration and the SHA-256 of its content, whatever its layout.

    Raises:
        ValueError: one sentence that names the file, what is wrong, and what is allowed.
    """
    from sigmaprop.runs import configs  # which --help can do without
    from sigmaprop.runs.files import read_json

    content = read_json(path)
    try:
        found = configs.from_values(Registration, content)
        check(found)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: {error}") from error
    return found, digest(content)


def digest(content: Any) -> str:
    """The SHA-256 of JSON: keys in order, no blanks."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def plain(value: Any) -> Any:
    """A part of a registration as JSON."""
    return json.loads(json.dumps(dataclasses.asdict(value)))


def check(found: Registration) -> None:
    """Refuses names that lead nowhere, and seeds that select and test.

    Raises:
        ValueError: naming what is wrong, and what is allowed.
    """
    for kind in ("blocks", "hypotheses", "presets", "likelihoods"):
        names = [one.name for one in getattr(found, kind)]
        if twice := [name for place, name in enumerate(names) if name in names[:place]]:
            raise ValueError(
                f"two {kind} are called {shown(twice[0])}; give each a name of its own"
            )
    for block in found.blocks:
        _check_block(block)
    for hypothesis in found.hypotheses:
        for test in hypothesis.tests:
            _check_test(found, hypothesis, test)
    for one in found.likelihoods:
        _check_likelihood(found, one)
    for preset in found.presets:
        for name in (*preset.blocks, *preset.seeds):
            found.block(name)
        for name in preset.likelihoods:
            if (block := found.likelihood(name).block) and block not in preset.blocks:
                raise unknown(
                    f"block of likelihood {name} in preset {preset.name}", block, preset.blocks
                )
        _check_seeds(found, preset)


def _check_block(block: Block) -> None:
    names = [arm.name for arm in block.arms]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"block {block.name} needs arms of different names, one or more")
    for arm in block.arms:
        if arm.frozen and arm.frozen not in names:
            raise unknown(f"arm of block {block.name}", arm.frozen, names)


def _check_likelihood(found: Registration, one: Likelihood) -> None:
    if one.name in [block.name for block in found.blocks]:
        raise ValueError(f"likelihood {one.name} is called as a block is; give it another name")
    if bool(one.block) == bool(one.arms):
        raise ValueError(f"likelihood {one.name} takes a block, or arms of its own; give one")
    if one.block:
        found.block(one.block)


def _check_test(found: Registration, hypothesis: Hypothesis, test: Test) -> None:
    block = found.block(test.block)
    names = [arm.name for arm in block.arms]
    for arm in (*test.arms, *((test.against,) if test.against else ())):
        if arm not in names:
            raise unknown(f"arm of block {block.name}", arm, names)
    if test.compares != bool(test.against) or test.compares == (test.quantity is not None):
        raise ValueError(
            f"a test of {hypothesis.name} expects {test.expect}: a comparison names the arm "
            "against, a range a quantity"
        )
    if not test.arms or (len(test.arms) > 1 and test.quantity != "spread_of_ends"):
        raise ValueError(f"a test of {hypothesis.name} is of {len(test.arms)} arms; name one")


def _check_seeds(found: Registration, preset: Preset) -> None:
    """No seed may both select and test, or prove a baseline and be compared."""
    tested = {seed for name in preset.blocks for seed in found.seeds(preset, found.block(name))}
    ranges = {
        "selection": {*range(found.selection_seed, found.selection_seed + preset.selection_seeds)},
        "test": tested,
        "baseline": {*range(found.baseline_seed, found.baseline_seed + found.baseline_seeds)},
    }
    names = list(ranges)
    for place, one in enumerate(names):
        for other in names[place + 1 :]:
            if common := ranges[one] & ranges[other]:
                raise ValueError(
                    f"preset {preset.name}: seed {min(common)} is of both {one} and {other}; keep "
                    "them apart"
                )


def _named(found: tuple[Any, ...], name: str, kind: str) -> Any:
    for one in found:
        if one.name == name:
            return one
    raise unknown(kind, name, [one.name for one in found])
