"""The evaluations of a run as sections of its own report."""

from collections.abc import Iterator

from sigmaprop.reporting.evaluate.report import tables
from sigmaprop.reporting.frame import Run, load
from sigmaprop.reporting.page import Section
from sigmaprop.runs import RunError, state

FOLDER = "evaluations"
"""Of a run, where `sigmaprop evaluate` puts what it finds."""


def sections(run: Run) -> Iterator[Section]:
    """A section for each evaluation that is complete, the first one first."""
    folder = run.directory / FOLDER
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    for number, directory in enumerate(found, 1):
        try:
            if not directory.is_dir() or state(directory) != "complete":
                continue
            evaluation = load(directory)
            own = [*tables(evaluation)]
        except RunError:  # a directory of something else
            continue
        config = evaluation.config
        what = ", ".join([*config.get("metrics", ()), *config.get("likelihood", ())])
        heading = f"Evaluation {directory.name}"
        question = f"{what} of {config.get('held_out', 'test')} examples"
        yield Section(f"evaluation-{number}", heading, question, tables=own)
