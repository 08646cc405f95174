"""Does learning the variance help? The pages that say so, from the committed results of the study.

    python -m sigmaprop.experiments.study.answer            # in the checkout; `make answer` does it
    python -m sigmaprop.experiments.study.answer DIRECTORY  # of another study

writes docs/answer.md, docs/answer.html, their figures, and the beginning of README.md, from
results/study-digits-cpu and results/limit-full-cpu. The same results give the same bytes.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from sigmaprop.reporting.answer.document import Document, document
from sigmaprop.reporting.answer.findings import Findings, changed
from sigmaprop.runs.files import RunError, read_json, write_atomic

from . import ledger
from .registration import digest

RESULTS = "results/study-digits-cpu"
LIMIT = "results/limit-full-cpu/conclusions.json"


def read(study: Path, limit: Path, place: str = RESULTS) -> Findings:
    """The files of a study, once it is sure that they belong together.

    Args:
        study: with study.json, registration.json, environment.json and ledger.jsonl, and where it
            was amended with the registrations of before.
        limit: the claims of the sweep of sigma to 0.
        place: of the study, as the page names it.

    Raises:
        RunError: a file is missing, damaged, or not what the ledger sealed.
    """
    lines = ledger.read(study)
    result, registered = read_json(study / "study.json"), read_json(study / "registration.json")
    concluded = ledger.of(lines, "concluded")
    if not concluded or concluded[-1]["result"] != digest(result):
        raise RunError(f"{study / 'study.json'} is not what the ledger concluded; restore it")
    if result["registration"] != digest(registered):
        raise RunError(f"{study / 'registration.json'} is not what was registered; restore it")
    environment = read_json(study / "environment.json")
    changes = dict(_changes(study, lines, registered))
    return Findings(result, registered, environment, lines, read_json(limit), changes, place)


def _changes(
    study: Path, lines: Sequence[dict[str, Any]], last: dict[str, Any]
) -> Iterator[tuple[str, list[str]]]:
    """What every amendment changed, from the registrations that it left behind."""
    hashes = [line["registration"] for line in lines if line["event"] in ("registered", "amended")]
    for before, after in pairwise(hashes):
        files = [study / f"registration-{one[:12]}.json" for one in (before, after)]
        if after != hashes[-1] and not files[1].exists():
            continue
        if files[0].exists():
            new = last if after == hashes[-1] else read_json(files[1])
            yield after, list(changed(read_json(files[0]), new))


def make(root: Path, study: Path) -> Document:
    """The pages, as they belong into the checkout.

    Raises:
        RunError: as in `read`.
        ValueError: as in `document`.
    """
    inside = study.resolve().is_relative_to(root.resolve())
    place = study.resolve().relative_to(root.resolve()).as_posix() if inside else RESULTS
    return document(read(study, root / LIMIT, place), root)


def write(made: Document, root: Path) -> list[Path]:
    """Writes them below the checkout, and says where."""
    files = made.files()
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        write_atomic(root / path, text)
    return [root / path for path in files]


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("study", type=Path, nargs="?", help=f"directory; default: {RESULTS}")
    parser.add_argument(
        "root", type=Path, nargs="?", default=Path(), help="the checkout; default: ."
    )
    given = parser.parse_args()
    try:
        made = make(given.root, given.study or given.root / RESULTS)
    except (RunError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for path in write(made, given.root):
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
