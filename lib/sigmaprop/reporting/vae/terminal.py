"""The comparison of arms as a table for a terminal."""

from collections.abc import Sequence

from rich.console import Group
from rich.text import Text

from sigmaprop.generators.vae_compare import Comparison
from sigmaprop.reporting.fmt import plain, short
from sigmaprop.reporting.gan.terminal import STYLES
from sigmaprop.reporting.terminal import titled
from sigmaprop.reporting.vae.words import about_verdicts, nats

_WIDEST = 15
"""Letters of a word of a label that are not broken."""


def table(found: Sequence[Comparison]) -> Group:
    """Bounds on test examples of every cell, its sigma, and verdicts."""
    against = next((one.against for one in found if one.against), "")
    shown = titled("Test examples: bounds in nats an example, error of the mean", pad_edge=False)
    width = min(_WIDEST, max(len(word) for one in found for word in one.label.split()))
    shown.add_column("cell", overflow="fold", min_width=width)
    for heading in ("sigma", "ELBO", "IWAE"):
        shown.add_column(heading, justify="right", no_wrap=True)
    difference = f"IWAE less\nthat of\n{plain(against, 22)}" if against else ""
    shown.add_column(difference, justify="right")
    shown.add_column("verdict")
    shown.add_column("mean\nsquare\nerror", justify="right", no_wrap=True)
    for one in found:
        lost = f" ({one.diverged} of {one.seeds} diverged)" if one.diverged else ""
        shown.add_row(
            one.label + lost,
            short(one.sigma.value),
            *(f"{one.level(f'held_out_{bound}', 'test').value:.2f}" for bound in ("elbo", "iwae")),
            nats(one.difference).replace(" [", "\n[") if one.against else "",
            Text(one.verdict, style=STYLES.get(one.verdict, "")),
            short(one.level("held_out_mse", "test").value),
        )
    notes = Text("\n".join(about_verdicts(found)), style="dim")
    return Group(shown, notes)
