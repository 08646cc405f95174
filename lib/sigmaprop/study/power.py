"""What a registered test can find: how often simulated seeds answer as expected.

Everything is in the unit of the paired differences: that of the metric, or logarithms of a ratio,
where an effect of .22 is a factor of 1.25. An effect counts towards what is expected: how much
better, or worse. Of "equivalent" and "non_inferior" it is the true harm, usually 0.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from sigmaprop.statistics import ALPHA, FEWEST, Interval, Pair, Scale, smallest_detectable
from sigmaprop.study.judging import Expect, Test, judge_tests

DRAWS = 2000
GOAL = 0.8
"""Power that a registered test must have."""
_PRECISION = 0.004
"""Relative width at which a bisection ends."""
_MOST = 64
"""Multiple of the first guess beyond which a bisection gives up."""
_FLOOR = 1e-300
_TOP = 600.0
"""Largest difference of logarithms that has an exponential."""
_FAMILY = "simulated"


def power(
    expect: Expect,
    num_seeds: int,
    spread: float,
    effect: float,
    family_size: int,
    scale: Scale,
    draws: int = DRAWS,
    seed: int = 0,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    divergence: float = 0.0,
    alpha: float = ALPHA,
) -> Interval:
    """The probability that a test answers "as expected", by simulation through `judge_tests`.

    The test's paired differences are normal; the other members of its family are independent
    comparisons of the same spread whose arms do not differ, so what Holm's later steps add is
    counted (at most by ``alpha``). No run lies below a floor.

    Args:
        expect: what the test expects.
        num_seeds: pairs.
        spread: std of the differences between paired runs, > 0; for "within" and "outside" that
            of the values.
        effect: true mean of the differences towards the expectation; of "equivalent" and
            "non_inferior" the true harm; of "within" and "outside" the true mean of the values
            (of their logarithms for a ratio).
        family_size: members of the family, this one included.
        scale: how the arms compare, with the margin where one is needed.
        draws: simulated studies.
        seed: of the generator; equal seeds share their draws, so power then grows smoothly with
            the effect.
        low, high: the range of "within" and "outside", as in `Test`.
        divergence: probability of each run of the test to diverge, alike in both arms.
        alpha: level of the family.

    Returns:
        The share, its standard error and its exact binomial interval (95%).

    Raises:
        ValueError: fewer than one draw, seed or member, a spread that is not positive, a
            divergence that is no probability, or a test that cannot be judged.

    Source: Clopper, Pearson 1934, for the interval.
    """
    setting = _Setting(expect, num_seeds, float(spread), scale, (low, high), alpha)
    noise = _noise(setting, family_size, draws, seed, divergence)
    found = setting.found(effect, noise, np.arange(draws))
    return _binomial(int(found.sum()), draws)


def smallest_effect(
    expect: Expect,
    num_seeds: int,
    spread: float,
    family_size: int,
    scale: Scale,
    goal: float = GOAL,
    draws: int = DRAWS,
    seed: int = 0,
    *,
    divergence: float = 0.0,
    alpha: float = ALPHA,
) -> float:
    """The effect at which a test for "better" or "worse" has a power of ``goal``.

    Args:
        expect: "better" or "worse".
        num_seeds, spread, family_size, scale, draws, seed, divergence, alpha: as in `power`.
        goal: the power.

    Returns:
        The effect, > 0, in the unit of the spread (exp of it is the factor of a ratio), by
        bisection to 0.4%; NaN where no effect is found so often: of fewer than 3 seeds, or
        where runs diverge in too many studies.

    Raises:
        ValueError: another expectation, or as in `power`.
    """
    if expect not in ("better", "worse"):
        raise ValueError(f"{expect!r} has no smallest effect; ask for 'better' or 'worse'")
    setting = _Setting(expect, num_seeds, float(spread), scale, (-math.inf, math.inf), alpha)
    noise = _noise(setting, family_size, draws, seed, divergence)
    guess = smallest_detectable(spread, num_seeds, 1 - alpha / family_size, goal)
    return _bisect(lambda effect, rows: setting.found(effect, noise, rows), guess, goal, draws)


def smallest_margin(
    expect: Expect,
    num_seeds: int,
    spread: float,
    family_size: int,
    scale: Scale,
    goal: float = GOAL,
    draws: int = DRAWS,
    seed: int = 0,
    *,
    effect: float = 0.0,
    alpha: float = ALPHA,
) -> float:
    """The margin at which arms of the true harm ``effect`` are shown to lie within, ``goal`` often.

    Args:
        expect: "equivalent" or "non_inferior".
        num_seeds, spread, family_size, scale, draws, seed, alpha: as in `power`; the margin of
            the scale is not used.
        goal: the power.
        effect: the true harm.

    Returns:
        The margin, > 0, in the unit of the spread (exp of it is the margin of a ratio), by
        bisection to 0.4%; NaN for fewer than 3 seeds.

    Raises:
        ValueError: another expectation, or as in `power`.
    """
    if expect not in ("equivalent", "non_inferior"):
        raise ValueError(
            f"{expect!r} has no smallest margin; ask for 'equivalent' or 'non_inferior'"
        )
    setting = _Setting(expect, num_seeds, float(spread), scale, (-math.inf, math.inf), alpha)
    noise = _noise(setting, family_size, draws, seed)

    def found(margin: float, rows: np.ndarray) -> np.ndarray:
        factor = math.exp(min(margin, _TOP)) if scale.by == "ratio" else margin
        wide = setting._replace(scale=scale._replace(margin=factor))
        return wide.found(effect, noise, rows)

    guess = smallest_detectable(spread, num_seeds, 1 - alpha / family_size, goal)
    return _bisect(found, abs(effect) + guess, goal, draws)


class _Noise(NamedTuple):
    """Standard normal differences of a test [N, S] and which runs diverged [N, 2, S]; the same of
    the others of its family [N, K, S], and their p-values [N, K]."""

    own: np.ndarray
    lost: np.ndarray
    others: np.ndarray
    p_values: np.ndarray


class _Setting(NamedTuple):
    """A test without its runs."""

    expect: Expect
    num_seeds: int
    spread: float
    scale: Scale
    ends: tuple[float, float]
    alpha: float

    def found(self, effect: float, noise: _Noise, rows: np.ndarray) -> np.ndarray:
        """In which of the simulated studies ``rows`` the test answers as expected.

        Members of the family that are not decided count in its size alone. None is before some
        p-value lies below alpha / k, and none ever with one above alpha: the others are judged
        with the test.
        """
        size = noise.others.shape[1] + 1
        found = np.zeros(len(rows), bool)
        for place, row in enumerate(rows):
            p_values = noise.p_values[row]
            may_be = (p_values < self.alpha) & (p_values.min(initial=1) < self.alpha / size)
            others = noise.others[row][may_be]
            family = [self.test(effect, noise.own[row], noise.lost[row]), *map(self.null, others)]
            judged = judge_tests(family, self.alpha, sizes={_FAMILY: size})
            found[place] = judged[0].answer == "as expected"
        return found

    def test(self, effect: float, noise: np.ndarray, lost: np.ndarray) -> Test:
        """The test with simulated runs, some of which diverged."""
        by = self.scale.by
        if self.expect in ("within", "outside"):
            values = effect + self.spread * noise
            values = np.exp(np.clip(values, -_TOP, _TOP)) if by == "ratio" else values
            values = np.where(lost[0], np.nan, values)
            low, high = self.ends
            return Test("", _FAMILY, "power", self.expect, None, values, low, high, by)
        harmful = 1 if self.scale.better != "larger" else -1
        towards = -harmful if self.expect == "better" else harmful
        pair = self.pair(towards * effect + self.spread * noise)
        a, b = (np.where(one, np.nan, arm) for one, arm in zip(lost, pair[:2], strict=True))
        return Test("", _FAMILY, "power", self.expect, pair._replace(a=a, b=b))

    def null(self, noise: np.ndarray) -> Test:
        """Another comparison of the family, whose arms do not differ."""
        return Test("", _FAMILY, "power", "better", self.pair(self.spread * noise))

    def pair(self, differences: np.ndarray) -> Pair:
        """Arms of which ``a`` differs by so much from ``b``, and from the target by more."""
        zeros = np.zeros_like(differences)
        scale, floor = self.scale, math.nan
        if scale.by == "ratio":
            a, b = np.exp(np.clip(differences, -_TOP, _TOP)), zeros + 1
            floor = _FLOOR
        else:
            # Distances to a target are not negative, so both arms start far from it.
            far = 2 * np.abs(differences).max() if scale.better == "target" else 0.0
            a, b = far + differences, far + zeros
        if scale.better == "target":
            a, b = a + scale.target, b + scale.target
        return Pair(a, b, scale, floor)


def _noise(setting: _Setting, size: int, draws: int, seed: int, divergence: float = 0.0) -> _Noise:
    """The draws of one simulation; refuses what cannot be simulated."""
    for name, num in (("draws", draws), ("num_seeds", setting.num_seeds), ("family_size", size)):
        if num < 1:
            raise ValueError(f"{name} = {num} is none; take at least 1")
    if not 0 < setting.spread < math.inf:
        raise ValueError(f"spread = {setting.spread:g} is none; take a positive number")
    if not 0 <= divergence < 1:
        raise ValueError(f"divergence = {divergence:g} is no probability; take one below 1")
    generator = np.random.default_rng(seed)
    own = generator.normal(size=(draws, setting.num_seeds))
    others = generator.normal(size=(draws, size - 1, setting.num_seeds))
    lost = generator.uniform(size=(draws, 2, setting.num_seeds)) < divergence
    return _Noise(own, lost, others, _p_values(others))


def _p_values(noise: np.ndarray) -> np.ndarray:
    """Two-sided p-values of the t tests of differences [..., S]; 1 where there is no test."""
    from scipy.special import stdtr

    num = noise.shape[-1]
    if num < FEWEST:
        return np.ones(noise.shape[:-1])
    sizes = np.abs(noise.mean(axis=-1)) / (noise.std(axis=-1, ddof=1) / math.sqrt(num))
    return 2 * stdtr(num - 1, -sizes)


def _bisect(
    found: Callable[[float, np.ndarray], np.ndarray], guess: float, goal: float, draws: int
) -> float:
    """Where the share of ``found(x, rows)`` reaches the goal, from above; NaN where it does not.

    A row that is found at some x is found at all larger ones, so only rows between are asked.
    """
    if not guess > 0:
        return math.nan
    low, high = 0.0, guess
    below, above = np.zeros(draws, bool), found(high, np.arange(draws))
    while above.mean() < goal:
        low, below, high = high, above, 2 * high
        if high > _MOST * guess:
            return math.nan
        above = above | _again(found, high, ~above)
    between = 0.9 * high
    while high - low > _PRECISION * high:
        now = below | _again(found, between, above & ~below)
        if now.mean() >= goal:
            high, above = between, now
        else:
            low, below = between, now
        between = (low + high) / 2
    return high


def _again(
    found: Callable[[float, np.ndarray], np.ndarray], value: float, asked: np.ndarray
) -> np.ndarray:
    """``found`` for the rows that are asked, False for the others."""
    answer = np.zeros(len(asked), bool)
    answer[asked] = found(value, np.flatnonzero(asked))
    return answer


def _binomial(found: int, draws: int, level: float = 0.95) -> Interval:
    """A share with the interval of Clopper and Pearson."""
    from scipy.special import betaincinv

    share, tail = found / draws, (1 - level) / 2
    low = float(betaincinv(found, draws - found + 1, tail)) if found else 0.0
    high = float(betaincinv(found + 1, draws - found, 1 - tail)) if found < draws else 1.0
    return Interval(share, math.sqrt(share * (1 - share) / draws), low, high)
