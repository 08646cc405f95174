"""What a run of generators found, in sentences that are made of its numbers."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sigmaprop.generators import bars
from sigmaprop.generators.results import LAST, Cell, Key, Measured, pair
from sigmaprop.generators.scores import FEWEST_SEEDS, VERDICTS, Comparison, Score
from sigmaprop.metrics import METRICS as SCORES
from sigmaprop.reporting.fmt import count, near_one, percent, short
from sigmaprop.statistics import ALPHA, MARGIN, Interval, Pair, compare, fewest_seeds

_LAST = "the last fifth of the run"
_PLACEMENTS = {
    "model": (
        "Model noise: the discriminator sees real examples as they are, and generated ones as "
        "mu(z) + sigma eps. A sigma above 0 survives only if the data have spread that the mean "
        "does not make."
    ),
    "shared": (
        "Shared noise: real and generated examples get noise of the same scale, so noise hides "
        "what the two differ in. This game has no level of sigma to settle at; only the sign of "
        "its drift means something."
    ),
}
_SEEDS_FOR_HELP = 10
_MOST_TOLD = 12
"""Cells whose sigma has a sentence of its own."""


def setting(run: Measured) -> Iterator[str]:
    """What was trained, which game was played, what scores compare with."""
    config = run.config
    seeds = len(run.cells[0].seeds)
    yield (
        f"{data_name(config)}: {count(len(run.cells), 'cell')} x {count(seeds, 'seed')}, "
        f"{run.steps:,} steps with batches of {_any(run, 'batch_size')}, loss "
        f"{_any(run, 'loss')}, generator {_any(run, 'generator')}, discriminator "
        f"{_any(run, 'discriminator')}."
    )
    for placement in placements(run):
        yield _PLACEMENTS.get(placement, f"Placement {placement}.")
    split = config["held_out"]
    kept = " The test split was not touched." if split == "validation" else ""
    yield (
        f"Held-out examples are the {split} split, {config['eval_samples']:,} generated ones "
        f"stand against them, and every score is the mean over the evaluations in {_LAST}.{kept}"
    )


def _any(run: Measured, option: str) -> str:
    """The values that an option takes in the cells."""
    return " or ".join(map(str, run.taken(option)))


def data_name(config: dict[str, Any]) -> str:
    """The data set, of a file its name without the path."""
    name = str(config["dataset"])
    return Path(name).name if name.endswith(".npz") else name


def placements(run: Measured) -> tuple[str, ...]:
    """The games that were played."""
    return tuple(map(str, run.taken("placement")))


def found(run: Measured, comparisons: Sequence[Comparison]) -> Iterator[str]:
    """Divergence, verdicts and where sigma went."""
    yield from _diverged(comparisons)
    yield from _verdicts(comparisons)
    yield from _noise(run, comparisons)
    pairs = zip(run.cells, comparisons, strict=True)
    learned = [(cell, one) for cell, one in pairs if cell.learns and one.sigma.value > 0]
    for cell, one in learned[:_MOST_TOLD]:
        yield _sigma(run, cell, one)
    if len(learned) > _MOST_TOLD:
        yield f"The sigmas of {len(learned) - _MOST_TOLD} further cells are in the table."


def baselines(run: Measured) -> Iterator[str]:
    """How the arm without noise stands to the bar of its data, a sentence for each cell of it."""
    for one in bars.judged(run):
        verdict = {
            "passed": "passes the bar for baselines",
            "not passed": "does not pass the bar for baselines",
            "not judged": f"cannot be judged as a baseline without --kernel {one.bar.kernel}",
            "too few seeds": f"cannot be judged as a baseline, which takes {bars.FEWEST_SEEDS} "
            f"seeds and not {one.seeds}",
        }[one.verdict]
        conditions = ", ".join(map(_condition, one.found))
        yield f"{one.label} {verdict}; medians of x: {conditions}."


def _condition(found: bars.Found) -> str:
    """One condition with what was measured, and what is asked."""
    wanted = found.wanted
    what = SCORES[wanted.metric].title
    value = short(found.median)
    if wanted.metric == "mmd2":
        value += " x real against real's 95th percentile"
    asked = "" if wanted.side == "shown" else f" ({wanted.side} {wanted.limit:g})"
    return f"{what} {value}{asked}"


def _diverged(comparisons: Sequence[Comparison]) -> Iterator[str]:
    total = sum(one.diverged for one in comparisons)
    if not total:
        yield "No replica diverged."
        return
    cells = ", ".join(
        f"{one.label}: {one.diverged} of {one.seeds}" for one in comparisons if one.diverged
    )
    yield (
        f"{count(total, 'replica')} diverged ({cells}). Each ranks behind every run that ended, "
        "of its own cell and of the other: comparisons with its cell are medians without an "
        "interval, tested by ranks."
    )


def _verdicts(found: Sequence[Comparison]) -> Iterator[str]:
    """What the primary comparison says in all, and how it was judged."""
    pairs = [(one, one.primary) for one in found if one.against]
    judged = [(one, score) for one, score in pairs if score is not None]
    if not judged:
        yield "There is one cell, and nothing to compare it with."
        return
    what = against([one for one, _ in judged], "the arm zero")
    verdicts = []
    for verdict in VERDICTS:
        own = [(one, score) for one, score in judged if score.verdict == verdict]
        if own:
            names = _and([f"{one.label} {ratio(score)}" for one, score in own])
            verdicts.append(f"{verdict.capitalize()}: {names}.")
    scores = [score for _, score in judged]
    yield f"MMD² of x, as a ratio to that of {what}. {' '.join(verdicts)}"
    about = [about_intervals(found[0].seeds, scores), *about_verdicts([one for one, _ in judged])]
    if FEWEST_SEEDS <= found[0].seeds < _SEEDS_FOR_HELP:
        about.append(f"Whether sigma helps is a question for {_SEEDS_FOR_HELP} seeds or more")
    yield " ".join(f"{sentence}." for sentence in about)


def _noise(run: Measured, comparisons: Sequence[Comparison]) -> Iterator[str]:
    """Whether examples are better with their noise or without: one family, of all cells."""
    cells: dict[str, Pair] = {}
    for cell, one in zip(run.cells, comparisons, strict=True):
        if one.sigma.value > 0 and one.primary is not None and one.seeds >= FEWEST_SEEDS:
            x, mean = (run.late(Key("mmd2", of, "last"), cell) for of in ("x", "mean"))
            if (both := pair(run, "mmd2", x, mean)) is not None:
                cells[one.label] = both
    found = compare(list(cells.values()))
    by_verdict: dict[str, list[str]] = {"better": [], "worse": [], "equivalent": [], "": []}
    for name, one in zip(cells, found, strict=True):
        text = f"{name} {ranged(one.measured, one.bound)}"
        text += " (too few seeds)" if one.verdict == "too few seeds" else ""
        by_verdict[one.verdict if one.verdict in by_verdict else ""].append(text)
    levels = " and ".join(percent(one) for one in sorted({o.level for o in found}, reverse=True))
    what = f"MMD² of x as a ratio to that of the mean, intervals at {levels} for {len(found)} cells"
    for verdict, words in (("better", "brings x nearer to"), ("worse", "takes x farther from")):
        if by_verdict[verdict]:
            names = _and(by_verdict[verdict])
            yield f"Its noise {words} the data than the mean is, {what}: {names}."
    if by_verdict["equivalent"]:
        yield (
            f"With its noise x is as near to the data as the mean is, within a factor of "
            f"{MARGIN:g}, {what}: {_and(by_verdict['equivalent'])}."
        )
    if by_verdict[""]:
        yield f"Whether the noise helps x is not resolved, {what}: {_and(by_verdict[''])}."


def _sigma(run: Measured, cell: Cell, one: Comparison) -> str:
    """Where the sigma of one cell went."""
    options = run.config | cell.swept
    start = float(options["sigma_start"])
    text = f"{cell.label}: sigma started at {short(start)} and is {ranged(one.sigma)} over {_LAST}"
    text += f", {_course(run, one)}."
    text += _speed(options, one)
    std = noise_std(run.config)
    if std is not None:
        text += f" The data hold noise of {std:g}: the ratio is {short(one.sigma.value / std)}."
    return text


def _speed(options: dict[str, Any], one: Comparison) -> str:
    """How fast log sigma moves beside what Adam allows, where it is what Adam moves."""
    adam = options.get("sigma_optimizer", "adam") == "adam"
    if not adam or options.get("parameterisation", "log") != "log":
        return ""
    if one.direction not in ("falling", "rising") or one.arm not in ("global", "per_pixel"):
        return ""
    rate = options.get("sigma_learning_rate") or options["learning_rate"]
    share = abs(one.trend.value) / 1000 / float(rate)
    return f" Log sigma moves by {share:.0%} of its learning rate a step; Adam allows about 100%."


def _course(run: Measured, one: Comparison) -> str:
    """What sigma does at the end, in words."""
    factor = math.exp(one.trend.value * LAST * run.steps / 1000)
    match one.direction:
        case "at floor" | "at ceiling":
            share = one.at_floor if one.direction == "at floor" else one.at_ceiling
            return f"{share:.0%} of scales {one.direction.replace(' ', ' the ')}"
        case "falling" | "rising":
            return f"still {one.direction}, by a factor of {short(factor)} over that fifth"
        case "settled":
            return one.settling or "where it has settled"
        case "at rest":
            return f"at rest, but {one.settling}"
    return "with no clear trend" + (f"; {one.settling}" if one.settling else "")


def against(found: Sequence[Comparison], zero: str) -> str:
    """What cells are compared with, ``zero`` where that is the arm zero for all of them."""
    if all(one.to_zero for one in found):
        return zero
    return " or ".join(dict.fromkeys(one.against for one in found))


def _and(names: Sequence[str]) -> str:
    """A list in words; labels that hold commas are told apart by semicolons."""
    mark = "; " if any("," in name for name in names) else ", "
    return mark.join(names)


def ranged(value: Interval, bound: str = "") -> str:
    """A value with its interval, if there is one; a bound with its sign."""
    text = {"<=": "≤ ", ">=": "≥ ", "?": "≈ "}.get(bound, "") + near_one(value.value)
    if math.isnan(value.low) or value.low == value.high:
        return text
    low, high = near_one(value.low), near_one(value.high)
    if low == high:  # narrower than the digits shown
        return f"{text} [±{short((value.high - value.low) / 2)}]"
    return f"{text} [{low}, {high}]"


def level(one: Comparison, metric: str, of: str, weights: str = "last") -> str:
    """The mean of a score, a dash where it was not measured."""
    score = one.score(metric, of, weights)
    return "–" if score is None else middle(score)


def ratio(score: Score) -> str:
    """How a cell compares: with an interval, or a median without one."""
    text = ranged(score.against, score.bound)
    return f"{text} (median)" if any(score.diverged) else text


def middle(score: Score) -> str:
    """The mean over seeds, or the median where runs diverged."""
    if math.isinf(score.level.value):
        return "diverged"
    return short(score.level.value)


def about_intervals(seeds: int, scores: Sequence[Score]) -> str:
    """What means, intervals and verdicts of the primary comparisons are."""
    means = f"Means over {seeds} seed{'' if seeds == 1 else 's'}"
    if seeds < FEWEST_SEEDS:
        return f"{means}; intervals and verdicts need {FEWEST_SEEDS}"
    if not scores:
        return means
    num = len(scores)
    levels = " and ".join(
        percent(one) for one in sorted({s.coverage for s in scores}, reverse=True)
    )
    family = f"{num} comparison{'' if num == 1 else 's'}"
    if max(score.coverage for score in scores) < 1 - ALPHA / num - 1e-9:  # of an older run
        return (
            f"{means}, {levels} intervals of paired ratios; verdicts by Holm's method for {family}"
        )
    return (
        f"{means}; paired ratios with intervals at {levels}, verdicts by Holm's method for "
        f"{family}: an interval excludes 1 exactly where the verdict is better or worse"
    )


def about_verdicts(compared: Sequence[Comparison]) -> Iterator[str]:
    """What was floored, what could not be judged, what margins are, and what may be missed."""
    pairs = [(one, one.primary) for one in compared if one.primary is not None]
    scores = [score for _, score in pairs]
    if any(any(score.floored) for score in scores):
        floored = "; ".join(
            f"{one.label} {score.floored[0]} of {one.seeds}, {one.against} {score.floored[1]}"
            for one, score in pairs
            if any(score.floored)
        )
        yield (
            f"Below what tells examples from real ones, and counted as there: {floored}. Their "
            "ratios are bounds (≤, ≥; ≈ where both have some), not estimates"
        )
    if any(any(score.diverged) for score in scores):
        yield (
            "A run that diverged ranks behind all others: ratios of its cell are medians, without "
            "an interval, and ranks decide"
        )
    if any(score.verdict == "too few seeds" for score in scores):
        yield (
            f"Too few seeds: no outcome could have been resolved; ranks need {fewest_seeds(1)} "
            f"seeds for one comparison, {fewest_seeds(len(scores))} for these {len(scores)}"
        )
    if any(score.verdict in ("equivalent", "non-inferior") for score in scores):
        yield (
            f"Equivalent: the interval lies between 1/{MARGIN:g} and {MARGIN:g}; non-inferior: "
            f"below {MARGIN:g}"
        )
    known = [score.missed for score in scores if math.isfinite(score.missed)]
    if known:
        yield missed(compared[0].seeds, known)


def missed(seeds: int, factors: Sequence[float]) -> str:
    """What so many seeds could have missed."""
    return (
        f"With {seeds} seeds a true ratio of {short(max(factors))} (or 1/{short(max(factors))}) is "
        "found at least 4 times of 5 in every comparison, a smaller one may be missed: the upper "
        "95% limit, for the spread is that of the same seeds"
    )


def noise_std(config: dict[str, Any]) -> float | None:
    """The std of the noise that was put into the data, None where that is nothing."""
    given = (config.get("data") or {}).get("noise_std")
    if given is None and config.get("dataset") == "linear_gaussian":
        return 0.1
    return float(given) if given else None
