"""What a run of `sigmaprop vae` found, in sentences."""

import math
from collections.abc import Iterator, Sequence

from sigmaprop.generators.results import Measured
from sigmaprop.generators.vae_compare import MARGIN, PRIMARY, Comparison
from sigmaprop.reporting.fmt import count, percent, short
from sigmaprop.reporting.gan.words import data_name, ranged
from sigmaprop.statistics import Interval


def setting(run: Measured) -> Iterator[str]:
    """What was trained."""
    config = run.config
    seeds = max(len(cell.seeds) for cell in run.cells)
    yield (
        f"{data_name(config)}: {count(len(run.cells), 'cell')} with {count(seeds, 'seed')} each, "
        f"{config['steps']:,} steps of {config['batch_size']} examples; decoder "
        f"{config['generator']} of {config['latent_dim']} latents. Bounds take "
        f"{config['eval_draws']} draws of z for each held-out example"
    )


def found(run: Measured, comparisons: Sequence[Comparison]) -> Iterator[str]:
    """The answer: the best arm with its interval, the verdicts, and where sigma ended."""
    known = [one for one in comparisons if math.isfinite(one.level(*PRIMARY).value)]
    if not known:
        yield "No replica ended with a finite likelihood."
        return
    best = max(known, key=lambda one: one.level(*PRIMARY).value)
    sentence = (
        f"The best test likelihood is that of {best.label}: "
        f"{nats(best.level(*PRIMARY))} nats an example (IWAE bound)"
    )
    if best.against:
        sentence += f", {nats(best.difference)} more than {best.against} ({best.verdict})"
    yield sentence + "."
    judged = [one for one in comparisons if one.against and one is not best]
    if judged:
        texts = (f"{one.label} {nats(one.difference)} ({one.verdict})" for one in judged)
        yield f"Differences to {judged[0].against}, in nats an example: {'; '.join(texts)}."
    sigmas = (f"{one.label} {ranged(one.sigma)}" for one in comparisons)
    yield f"Sigma over the last fifth of the run: {'; '.join(sigmas)}."
    by_rule: dict[str, list[str]] = {}
    for one in comparisons:
        by_rule.setdefault(one.settling, []).append(one.label)
    by_rule.pop("", None)
    if by_rule:
        rules = (f"{' and '.join(labels)}: {rule}" for rule, labels in by_rule.items())
        yield f"Whether a learned sigma has settled: {'; '.join(rules)}."
    if "held_out_iwae" in run.ideal:
        yield (
            f"The density that made the data gives its test examples "
            f"{short(run.ideal['held_out_iwae'])} nats each."
        )
    lost = [f"{one.label} {one.diverged} of {one.seeds}" for one in comparisons if one.diverged]
    if lost:
        yield f"Diverged, and ranked behind all others: {'; '.join(lost)}."
    yield from about_verdicts(comparisons)


def about_verdicts(comparisons: Sequence[Comparison]) -> Iterator[str]:
    """How the verdicts were come by, and what they may have missed."""
    judged = [one for one in comparisons if one.against]
    if not judged:
        return
    levels = " and ".join(
        percent(one) for one in sorted({j.coverage for j in judged}, reverse=True)
    )
    yield (
        f"Verdicts by Holm's method for {count(len(judged), 'comparison')} together, with "
        f"intervals at {levels}; equivalent: within {MARGIN:g} nat."
    )
    missed = [one.missed for one in judged if math.isfinite(one.missed)]
    if missed:
        yield (
            f"With {count(judged[0].seeds, 'seed')} a true difference of {short(max(missed))} nats "
            "is found at least 4 times of 5 in every comparison, a smaller one may be missed: the "
            "upper 95% limit, for the spread is that of the same seeds."
        )


def nats(value: Interval) -> str:
    """A number of nats with its interval, to two decimals."""
    text = f"{value.value:.2f}"
    if math.isnan(value.low):
        return text
    return f"{text} [{value.low:.2f}, {value.high:.2f}]"
