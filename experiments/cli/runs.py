"""``sigmaprop runs`` and ``sigmaprop compare``: what runs there are, and how they differ."""

import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from sigmaprop import runs
from sigmaprop.generators import vae_compare
from sigmaprop.generators.scores import from_json
from sigmaprop.names import shortened
from sigmaprop.reporting import fmt, frame, page
from sigmaprop.reporting.gan.words import ranged, ratio
from sigmaprop.reporting.terminal import MARKS, plural
from sigmaprop.runs.files import RunError

from ..options import flag
from ..terminal import Terminal

_STYLES = {"complete": "green", "running": "cyan", "interrupted": "yellow", "failed": "red"}
_MOST_CLAIMS = 40
"""Claims on which runs differ that are listed."""


def show(root: Path) -> int:
    """Lists the runs below a directory, the latest first; 0, the exit status.

    Args:
        root: a directory of runs, or of directories of runs, as `sigmaprop demo` makes them.

    Raises:
        RunError: it is no directory.
    """
    if not root.is_dir():
        raise RunError(f"{root} is no directory; name one that holds runs")
    terminal = Terminal()
    found = sorted(_directories(root), key=_age)
    if not found:
        terminal.say(f"{root} holds no runs; `sigmaprop demo` makes two")
        return 0
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("run", overflow="fold", min_width=14)
    table.add_column("status", no_wrap=True)
    table.add_column("command", no_wrap=True)
    table.add_column("main number", overflow="fold", ratio=1)
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("age", justify="right", no_wrap=True)
    for directory in found:
        table.add_row(*_row(root, directory))
    terminal.print(table)
    return 0


def _directories(root: Path) -> Iterator[Path]:
    """Directories that hold a config or a status, one or two levels below the root, or itself."""
    for pattern in ("", "*", "*/*"):
        for path in [root] if not pattern else sorted(root.glob(pattern)):
            if (path / "config.json").is_file() or (path / "status.json").is_file():
                yield path


def _row(root: Path, directory: Path) -> Iterator[str | Text]:
    """One run; what cannot be read is told in its line."""
    yield str(directory.relative_to(root)) if directory != root else directory.name
    try:
        status = runs.state(directory)
        yield Text(status, _STYLES.get(status, ""))
        yield runs.load_command(directory)
        yield _main_number(frame.load(directory))
    except (RunError, OSError) as error:
        yield from (Text("unreadable", "red"), "", shortened(str(error), 120))
    yield _size(sum(path.stat().st_size for path in directory.rglob("*") if path.is_file()))
    yield _ago(_age(directory))


def _main_number(run: frame.Run) -> str:
    """How many claims hold, or what the arms' verdicts are."""
    if run.notice:
        return run.notice.split(": go on")[0].removeprefix(f"{run.name} ")
    if run.command == "gan":
        pairs = [(one, one.primary) for one in from_json(run.claims) if one.against]
        judged = [(one.label, score) for one, score in pairs if score is not None]
        if not judged:
            return "one arm, nothing to compare"
        label, best = min(judged, key=lambda pair: pair[1].against.value)
        return f"MMD² of x, {label} / zero: {ratio(best)}, {best.verdict}"
    if run.command == "vae":
        cells = [
            (one.level(*vae_compare.PRIMARY), one) for one in vae_compare.from_json(run.claims)
        ]
        known = [(level, one) for level, one in cells if math.isfinite(level.value)]
        if not known:
            return "no replica ended with a finite likelihood"
        level, best = max(known, key=lambda pair: pair[0].value)
        told = f"best test likelihood, {best.label}: {ranged(level)} nats"
        return f"{told}, {best.verdict}" if best.verdict else told
    kinds = [claim["verdict"] for claim in run.claims]
    counts = (f"{kinds.count(kind)} {plural(kind, kinds.count(kind))}" for kind in MARKS)
    return f"{fmt.count(len(kinds), 'claim')}: {', '.join(counts)}"


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.0f} {unit}" if count >= 10 or unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError


def _age(directory: Path) -> float:
    """Seconds since its status last changed."""
    path = directory / "status.json"
    return time.time() - (path if path.exists() else directory).stat().st_mtime


def _ago(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def compare(directories: Sequence[Path]) -> int:
    """Prints the options that differ, then the main numbers, a column a run; 0, the exit status.

    Raises:
        RunError: there are fewer than two runs, they are of different commands, or one of them is
            damaged or has no numbers to compare yet.
    """
    if len(directories) < 2:
        raise RunError(f"compare takes two runs or more, not {len(directories)}; name another")
    found = frame.load_all(directories)
    commands = list(dict.fromkeys(run.command for run in found))
    if len(commands) > 1:
        raise RunError(
            f"runs of {' and '.join(commands)} have no numbers in common; compare runs of one "
            "command"
        )
    for run, directory in zip(found, directories, strict=True):
        if run.notice or not run.claims:
            raise RunError(f"{directory} has nothing to compare: {run.notice or 'no claims'}")
    terminal = Terminal()
    names = [str(directory) for directory in directories]
    configs = [frame.flat(run.config) for run in found]
    rows = [
        [flag(name), *(page.word(config.get(name)) for config in configs)]
        for name in frame.differences(configs)
    ]
    if rows:
        terminal.say("Options that differ")
        terminal.print(_table(["option", *names], rows))
    else:
        terminal.say("All options are equal.")
    numbers = {"gan": _of_arms, "vae": _of_bounds}.get(commands[0], _of_claims)
    for title, heading, rows in numbers(found):
        terminal.say(title)
        terminal.print(_table([heading, *names], rows))
    return 0


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def _of_claims(found: Sequence[frame.Run]) -> Iterator[tuple[str, str, list[list[str]]]]:
    """Verdicts in all, then the claims in which runs differ, failing ones first."""
    counts = [[claim["verdict"] for claim in run.claims] for run in found]
    rows = [[kind, *(str(own.count(kind)) for own in counts)] for kind in MARKS]
    yield "Claims by verdict", "verdict", rows
    own = [{(c["objective"], c["claim"]): c for c in run.claims} for run in found]
    keys = list(dict.fromkeys(key for claims in own for key in claims))
    rank = {"fails": 0, "not resolved": 1, "holds": 2}
    differ = [key for key in keys if len({c[key]["verdict"] for c in own if key in c}) > 1]
    differ += [key for key in keys if key not in differ and _apart(own, key)]
    differ.sort(key=lambda key: min(rank[c[key]["verdict"]] for c in own if key in c))
    rows = [
        [f"{key[0]}: {key[1]}", *(_measured(claims.get(key)) for claims in own)]
        for key in differ[:_MOST_CLAIMS]
    ]
    more = f", the first {_MOST_CLAIMS} of {len(differ)}" if len(differ) > _MOST_CLAIMS else ""
    if rows:
        yield (
            f"Claims that differ: in their verdict, or beyond their intervals{more}",
            "claim",
            rows,
        )


def _apart(own: Sequence[dict[Any, Any]], key: Any) -> bool:
    """Whether intervals of a claim do not meet."""
    ends = [(c[key]["measured"]["low"], c[key]["measured"]["high"]) for c in own if key in c]
    return max(low for low, _ in ends) > min(high for _, high in ends)


def _measured(claim: dict[str, Any] | None) -> str:
    if claim is None:
        return "–"
    found = claim["measured"]
    text = fmt.interval(found["low"], found["high"])
    value = fmt.number(found["value"]) + ("" if text == "–" else f" {text}")
    return f"{value}\n{MARKS[claim['verdict']]} {claim['verdict']}"


def _of_arms(found: Sequence[frame.Run]) -> Iterator[tuple[str, str, list[list[str]]]]:
    """MMD^2 of x and sigma of every cell, with intervals and verdicts."""
    own = [{one.label: one for one in from_json(run.claims)} for run in found]
    labels = list(dict.fromkeys(label for cells in own for label in cells))

    def scores(label: str) -> Iterator[str]:
        for cells in own:
            one = cells.get(label)
            if one is None or one.primary is None:
                yield "–"
                continue
            text = ranged(one.primary.level)
            if one.against:
                text += f"\nratio {ratio(one.primary)}\n{one.primary.verdict}"
            yield text

    yield "MMD² of x, ratio to the arm zero, verdict", "cell", [[la, *scores(la)] for la in labels]
    yield (
        "Sigma over the last fifth of the run",
        "cell",
        [
            [
                label,
                *(
                    f"{ranged(cells[label].sigma)} {cells[label].direction}".strip()
                    if label in cells
                    else "–"
                    for cells in own
                ),
            ]
            for label in labels
        ],
    )


def _of_bounds(found: Sequence[frame.Run]) -> Iterator[tuple[str, str, list[list[str]]]]:
    """Test likelihood and sigma of every cell, with intervals and verdicts."""
    own = [{one.label: one for one in vae_compare.from_json(run.claims)} for run in found]
    labels = list(dict.fromkeys(label for cells in own for label in cells))

    def likelihood(one: vae_compare.Comparison | None) -> str:
        if one is None:
            return "–"
        text = ranged(one.level(*vae_compare.PRIMARY))
        if not one.against:
            return text
        return f"{text}\n{ranged(one.difference)} to {one.against}\n{one.verdict}"

    rows = [[label, *(likelihood(cells.get(label)) for cells in own)] for label in labels]
    yield "Test likelihood (IWAE bound, nats an example), difference, verdict", "cell", rows
    rows = [
        [label, *(ranged(cells[label].sigma) if label in cells else "–" for cells in own)]
        for label in labels
    ]
    yield "Sigma over the last fifth of the run", "cell", rows
