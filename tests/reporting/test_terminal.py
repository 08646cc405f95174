"""Conclusions in a terminal, wide or narrow."""

import io

import pytest
from rich.console import Console

from sigmaprop.reporting import fmt
from sigmaprop.reporting import terminal as tables
from sigmaprop.statistics import Claim, Interval

LONG = (
    "precision floor of score_function+leave_one_out: sigma where it is lost / predicted (within "
    "a factor of 10)"
)
NAN = float("nan")
CLAIMS = [
    Claim("quartic", "slope [bold]in[/bold] sigma", 2.0, 1.98, 2.02,
          Interval(2.0, 0.01, 1.99, 2.01), "holds", 0.1, 1.0),
    Claim("quartic", LONG, 1.0, 0.1, 10.0, Interval(15.0, 0.0, NAN, NAN), "fails", 0.1, 1.0),
    Claim("sine", "bias", 1.0, 0.95, 1.05, Interval(NAN, NAN, NAN, NAN), "not resolved", NAN, NAN),
]  # fmt: skip


def printed(width, encoding="utf-8"):
    buffer = io.BytesIO()
    file = io.TextIOWrapper(buffer, encoding=encoding)
    console = Console(file=file, width=width)
    for table in tables.claims_by_objective(CLAIMS):
        console.print(table)
    console.print(tables.summary(CLAIMS), soft_wrap=True)
    file.flush()
    return buffer.getvalue().decode(encoding)


def test_a_wide_terminal_has_a_line_a_claim():
    lines = printed(180).splitlines()
    found = next(line for line in lines if LONG in line)
    assert found.split()[-6:] == ["to", "10", "15", "–", "✗", "fails"]
    found = next(line for line in lines if "slope" in line)
    assert "2   1.98 to 2.02          2   [1.99, 2.01]   ✓ holds" in found


def test_a_narrow_terminal_has_the_claim_on_lines_of_its_own():
    lines = [line.rstrip() for line in printed(80).splitlines()]
    assert max(map(len, lines[:-1])) <= 80
    at = next(i for i, line in enumerate(lines) if line.startswith("✗"))
    assert lines[at : at + 4] == [
        "✗ precision floor of score_function+leave_one_out: sigma where it is lost /",
        "  predicted (within a factor of 10)",
        "    expected 1, allowed 0.1 to 10, measured 15, no interval: fails",
        "",
    ]
    at = next(i for i, line in enumerate(lines) if line.startswith("✓"))
    assert (
        lines[at + 1] == "    expected 2, allowed 1.98 to 2.02, measured 2, 99% [1.99, 2.01]: holds"
    )


def test_what_does_not_fit_on_a_line_is_broken_before_what_was_measured():
    claim = CLAIMS[0]._replace(measured=Interval(2.00123, 0.01, 1.98123, 2.02123))
    console = Console(file=io.StringIO(), width=80)
    (table,) = tables.claims_by_objective([claim._replace(claim="x" * 60)])
    console.print(table)
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]
    assert "    expected 2, allowed 1.98 to 2.02," in lines
    assert "    measured 2.0012, 99% [1.9812, 2.0212]: holds" in lines


def test_no_interval_without_width():
    assert fmt.interval(-1.4163, -1.4163) == "–"
    assert fmt.interval(2 - 3e-9, 2 + 3e-9) == "±3e-09"
    assert fmt.allowed(0.1, 10) == "0.1 to 10"
    assert fmt.allowed(NAN, NAN) == "–"


def test_brackets_in_claims_are_no_markup():
    assert "slope [bold]in[/bold] sigma" in printed(180)
    assert "slope [bold]in[/bold] sigma" in printed(80)


@pytest.mark.parametrize("width", [80, 180])
def test_a_terminal_without_unicode(width):
    text = printed(width, "ascii")
    assert "+ " in text
    assert "x " in text


def test_what_was_not_measured():
    assert "expected 1, allowed 0.95 to 1.05," in printed(50)
    assert "not measured: not resolved" in printed(50)
    assert fmt.number(NAN) == fmt.interval(NAN, 1.0) == "–"


def test_the_summary_counts_and_names_failures():
    text = tables.summary(CLAIMS).plain
    assert text.startswith("3 claims: 1 holds, 1 fails, 1 not resolved")
    assert f"fails: quartic: {LONG}" in text
    assert tables.summary([]).plain == "0 claims: 0 hold, 0 fail, 0 not resolved"
