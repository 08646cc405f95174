"""`sigmaprop results`: what it takes. Like `commands`, this module imports nothing heavy."""

import dataclasses
from pathlib import Path
from typing import Literal

import tyro

Positional = tyro.conf.Positional


@dataclasses.dataclass(frozen=True)
class ResultsCheck:
    """Check records of benchmarks; exit status 1 where one is refused, with a sentence each.

    Refused are too few repeats or raw times that are missing, a load above the machine's cores,
    unequal sizes of what is called one case, numbers that the raw times do not give, checksums that
    do not fit, and names of home directories.
    """

    directory: Positional[Path]
    """Directory that `sigmaprop bench --record` wrote to."""
    json: bool = False
    """Whether to print the refusals as JSON."""


@dataclasses.dataclass(frozen=True)
class ResultsSite:
    """Show records of benchmarks as one page, which works offline and needs nothing else.

    Only comparable records are compared, as ratios with intervals; there are no ranks, and every
    number links to its record and to the command that made it. Refused records are left out, and
    named.
    """

    directory: Positional[Path]
    """Directory that `sigmaprop bench --record` wrote to."""
    out: Path = Path("site")
    """Directory for index.html."""


@dataclasses.dataclass(frozen=True)
class ResultsTable:
    """Print records of benchmarks as a table in Markdown: what has a target, with its bound beside.

    Of every benchmark on every system the latest record counts. Refused records are left out, and
    named.
    """

    directory: Positional[Path]
    """Directory that `sigmaprop bench --record` wrote to."""
    out: Path | None = None
    """Page to write it into, between <!-- speed: all --> (or first, for the main rows) and <!-- end
    of speed -->. None: print it."""


@dataclasses.dataclass(frozen=True)
class ResultsCommand:
    """Check records of benchmarks, or show them as a page.

    `sigmaprop results check DIR` refuses what cannot be believed, a sentence each, with exit status
    1. `sigmaprop results site DIR` writes one page that works offline, with ratios of comparable
    records; `sigmaprop results table DIR` prints what has a target as a table in Markdown.
    `sigmaprop bench --record` writes records.
    """

    what: Positional[Literal["check", "site", "table"]]
    """What to do."""
    directory: Positional[Path]
    """Directory that `sigmaprop bench --record` wrote to."""
    json: bool = False
    """check: whether to print the refusals as JSON."""
    out: Path | None = None
    """site: directory for index.html. None: site. table: page to write it into. None: print it."""
