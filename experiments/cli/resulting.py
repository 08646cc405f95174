"""`sigmaprop results`, once its words are read."""

import json
from pathlib import Path

from ..results import check as checking
from ..results import site, table
from ..terminal import Terminal, counted
from .results_commands import ResultsCommand


def check(command: ResultsCommand) -> None:
    """Refuses options of the other half.

    Raises:
        ValueError: naming the option.
    """
    if command.json and command.what != "check":
        raise ValueError("--json belongs to `sigmaprop results check`; leave it out")
    if command.out is not None and command.what == "check":
        raise ValueError("--out belongs to `sigmaprop results site` and `table`; leave it out")


def show(command: ResultsCommand) -> int:
    """Does it; 0, or 1 where `check` refuses a record.

    Raises:
        RunError: there are no records, or the page cannot be written.
    """
    found = checking.check(command.directory)
    if command.what == "site":
        return _site(command.directory, command.out or Path("site"), found)
    if command.what == "table":
        return _table(command.out, found)
    if command.json:
        print(json.dumps(_as_json(found), indent=1))
    else:
        _print(found)
    return int(bool(found.refusals))


def _print(found: checking.Checked) -> None:
    terminal = Terminal()
    for one in found.refusals:
        terminal.say(f"{one.file}: {one.why}")
    numbers = sum(len(one.points) for one in found.sound.values())
    total = len(found.files)
    if found.refusals:
        terminal.say(f"{len(found.refused)} of {counted(total, 'record')} refused")
    else:
        terminal.say(f"{counted(total, 'record')}, {counted(numbers, 'number')}: nothing refused")


def _as_json(found: checking.Checked) -> dict[str, object]:
    return {
        "records": len(found.files),
        "refused": len(found.refused),
        "refusals": [one._asdict() for one in found.refusals],
    }


def _table(page: Path | None, found: checking.Checked) -> int:
    terminal = Terminal(stderr=True)
    for one in found.refusals:
        terminal.say(f"left out: {one.file}: {one.why}")
    records = list(found.sound.values())
    if page is None:
        print(table.markdown(table.rows(records)), end="")
    else:
        table.place(page, records)
        terminal.say(f"written: {page}")
    return 0


def _site(directory: Path, out: Path, found: checking.Checked) -> int:
    terminal = Terminal()
    written = site.write(directory, out, found)
    for one in found.refusals:
        terminal.say(f"left out: {one.file}: {one.why}")
    terminal.say(f"{counted(len(found.sound), 'record')}: {written}")
    return 0
