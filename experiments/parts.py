"""Runs that are measured part by part: a run that was stopped goes on behind its last part.

A part is an objective of `sigmaprop limit` or a study of `sigmaprop estimators`. Its rows lie in a
file below ``metrics/``, with its claims in the metadata: so both are there, or neither.
"""

import json
from collections.abc import Sequence

import pyarrow as pa

from sigmaprop import runs
from sigmaprop.runs.tables import read_parts
from sigmaprop.statistics import Claim
from sigmaprop.statistics.claims import as_json, from_json

_CLAIMS = b"claims"


def recorded(run: runs.Run) -> list[list[Claim]]:
    """The claims of the parts that were measured before the run was stopped, in their order.

    Raises:
        RunError: a part is damaged, was altered or is missing.
    """
    found = read_parts(run.directory)
    if sorted(found) != list(range(1, len(found) + 1)):
        raise runs.RunError(f"{run.named} lacks a part of its metrics; start the run anew")
    try:
        return [
            [from_json(row) for row in json.loads((found[number].schema.metadata or {})[_CLAIMS])]
            for number in sorted(found)
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise runs.RunError(
            f"a part of the metrics of {run.named} holds no claims; start the run anew"
        ) from error


def record(run: runs.Run, number: int, table: pa.Table, claims: Sequence[Claim]) -> None:
    """Writes a part, counted from 1.

    Raises:
        RunError: it cannot be written.
    """
    text = json.dumps([as_json(claim) for claim in claims])
    runs.append_part(run, number, table.replace_schema_metadata({_CLAIMS: text}))


def conclude(run: runs.Run, claims: Sequence[Claim]) -> None:
    """Writes the claims of all parts.

    Raises:
        RunError: they cannot be written.
    """
    path = run.directory / "conclusions.json"
    runs.write_atomic(path, json.dumps([as_json(claim) for claim in claims], indent=1))
    runs.include(run, path)
