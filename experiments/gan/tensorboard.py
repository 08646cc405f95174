"""Scalars of every replica for TensorBoard, beside the tables: the same numbers, no others."""

import importlib.util
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from sigmaprop.extras import install

from ..training.sweep import Replica

if TYPE_CHECKING:
    from tensorboardX import SummaryWriter

FOLDER = "tensorboard"
_SKIPPED = ("diverged_at",)
_NEVER = 86_400
"""Seconds between flushes by a clock: rows are flushed as they come."""


def check(wanted: bool) -> None:
    """Refuses an output that what is installed cannot write.

    Raises:
        ValueError: tensorboardX is missing.
    """
    if wanted and importlib.util.find_spec("tensorboardX") is None:
        raise ValueError(
            "--tensorboard needs the package tensorboardX; install it with "
            f"`{install('tensorboard')}` or leave the option out"
        )


def writer(directory: Path, replicas: Sequence[Replica]) -> "Writer":
    """A writer of event files below a run directory, one folder a replica.

    Args:
        directory: of the run.
        replicas: whose rows will come.
    """
    return Writer(directory / FOLDER, replicas)


class Writer:
    """Writes rows of the metrics as scalars; a context that closes its files.

    Files are opened with the first rows, and what older files hold of later steps, written by a
    process that was killed, is marked as outdated.
    """

    def __init__(self, folder: Path, replicas: Sequence[Replica]):
        self._folders = {one.number: folder / _name(one) for one in replicas}
        self._open: dict[int, SummaryWriter] = {}

    def __enter__(self) -> "Writer":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def add(self, table: pa.Table) -> None:
        """Writes rows of the schema of metrics.parquet, and flushes them to disk."""
        rows = sorted(_scalars(table), key=lambda row: row[1])
        for replica, step, tag, value in rows:
            self._of(replica, step).add_scalar(tag, value, step)
        for one in self._open.values():
            one.flush()

    def close(self) -> None:
        """Closes every file."""
        for one in self._open.values():
            one.close()
        self._open.clear()

    def _of(self, replica: int, step: int) -> "SummaryWriter":
        from tensorboardX import SummaryWriter

        if replica not in self._open:
            self._open[replica] = SummaryWriter(
                str(self._folders[replica]),
                purge_step=step,
                flush_secs=_NEVER,
                filename_suffix=f".from_{step}",  # its own names tell seconds apart
            )
        return self._open[replica]


def _scalars(table: pa.Table) -> Iterator[tuple[int, int, str, float]]:
    """Replica, step, tag and value of every row but those of the gap."""
    for row in table.to_pylist():
        if row["metric"] not in _SKIPPED and row["sigma"] == 0:
            yield row["replica"], row["step"], _tag(row), row["value"]


def _tag(row: dict[str, Any]) -> str:
    """A metric's name, in a group of its own where it is a score."""
    if not row["of"]:
        return row["metric"]
    return f"{row['metric']}_of_{row['of'].replace(' ', '_')}/{row['weights']}"


def _name(replica: Replica) -> str:
    """A folder that sorts by replica and tells its cell and seed."""
    label = re.sub(r"[^A-Za-z0-9=.+-]+", "_", replica.cell.label)
    return f"{replica.number:04d}-{label[:80]}-seed_{replica.seed}"
