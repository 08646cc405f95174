"""Metrics tables: parquet files with checksums, and a comparison bit by bit.

While a run goes on its rows lie in ``metrics/part-<step>.parquet``; ``metrics/manifest.json`` has
the sha256 of each, since parquet's own checksums do not cover all of a file. A part that is not
listed is not counted: its process ended before the list was written.
"""

import os
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from sigmaprop.names import shown
from sigmaprop.runs.files import (
    RunError,
    atomic,
    exists,
    open_regular,
    read_manifest,
    sealed,
    sha256,
    unreadable,
    verify_file,
    write_json,
    writing,
)

if TYPE_CHECKING:
    import pyarrow as pa

    from sigmaprop.runs.run import Run


_FOLDER = "metrics"
_DOOMED = ".metrics.tmp"


class Damage(NamedTuple):
    """A part of the metrics that is not as it was written.

    Attributes:
        step: of the part.
        reason: what is wrong, a sentence without its end.
    """

    step: int
    reason: str


class Difference(NamedTuple):
    """One difference between two metrics tables.

    Attributes:
        kind: what differs. A row or column is missing or extra in the second table.
        row: the key columns of the row, empty for a column.
        column: the column that differs, empty for a row.
        left: value or type in the first table, None where absent.
        right: value or type in the second table, None where absent.
    """

    kind: Literal["missing row", "extra row", "value", "missing column", "extra column", "type"]
    row: dict[str, Any]
    column: str
    left: Any = None
    right: Any = None

    def __str__(self) -> str:
        place = ", ".join(f"{name}={value!r}" for name, value in self.row.items())
        label = ": ".join(part for part in (place, self.column) if part)
        if self.kind not in ("value", "type"):
            return f"{self.kind}: {label}"
        # Two NaNs, or floats that agree in all digits shown.
        note = " (other bits)" if repr(self.left) == repr(self.right) else ""
        return f"{label} was {self.left!r} and is now {self.right!r}{note}"


def write_metrics(run: "Run", table: "pa.Table") -> None:
    """Writes ``metrics.parquet``, which replaces any parts.

    Raises:
        RunError: if it cannot be written.
    """
    _write(run.directory / "metrics.parquet", [table])
    drop_parts(run)


def append_part(run: "Run", step: int, table: "pa.Table") -> None:
    """Writes the rows since the last part as ``metrics/part-<step>.parquet``, and lists it.

    Raises:
        RunError: if it cannot be written.
    """
    path = _path(run.directory, step)
    _write(path, [table])
    _list(run.directory, {**(_listed(run.directory) or {}), path.name: _digest(path)})


def merge_parts(run: "Run") -> None:
    """Makes ``metrics.parquet`` of the parts, in the order of their steps, and removes them.

    Raises:
        RunError: if a part is damaged or has other columns, or the result cannot be written.
    """
    join_parts(run)
    drop_parts(run)


def join_parts(run: "Run") -> None:
    """Makes ``metrics.parquet`` of the parts, in the order of their steps, and keeps them.

    Raises:
        RunError: if a part is damaged or has other columns, or the result cannot be written.
    """
    if parts := _whole_parts(run.directory):
        _write(run.directory / "metrics.parquet", _read(parts))


def drop_parts(run: "Run") -> None:
    """Removes the parts, all of them at once: a process killed meanwhile leaves none that count."""
    parts = run.directory / _FOLDER
    doomed = run.directory / _DOOMED
    shutil.rmtree(doomed, ignore_errors=True)
    with suppress(OSError):
        os.replace(parts, doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def drop_parts_after(run: "Run", step: int) -> None:
    """Removes what was recorded after a checkpoint, before the steps behind it are repeated.

    A ``metrics.parquet`` that was joined of these parts, by a run that was then stopped, goes too.

    Args:
        run: the run.
        step: of the checkpoint; parts of later steps are removed. -1 removes all.

    Raises:
        RunError: if one of them cannot be removed, or the list of parts is damaged.
    """
    parts = _parts(run.directory)
    later = [part for part in parts if _step(part) > step]
    if listed := _listed(run.directory):
        _list(run.directory, {n: d for n, d in listed.items() if _step(Path(n)) <= step})
    with writing(run.directory):
        if parts:
            (run.directory / "metrics.parquet").unlink(missing_ok=True)
        for part in later:
            part.unlink()


def seal_parts(run: "Run") -> None:
    """Lists all parts that are there, for a run of a version that did not.

    Raises:
        RunError: if one of them cannot be read, or the list cannot be written.
    """
    if parts := _parts(run.directory):
        _list(run.directory, {part.name: _digest(part) for part in parts})


def damage(directory: Path, steps: Sequence[int]) -> Damage | None:
    """The first part that is not as it was written, among those that checkpoints rely on.

    Args:
        directory: the run directory.
        steps: of the checkpoints; each was saved after the part of its step. Later parts do not
            count: they are repeated.

    Raises:
        RunError: if the list of parts is damaged, or a part cannot be read.
    """
    listed = {_step(Path(name)): digest for name, digest in (_listed(directory) or {}).items()}
    for step in sorted({*listed, *steps}):
        path = _path(Path(directory), step)
        if step > max(steps, default=-1):
            break
        if step not in listed:
            return Damage(step, f"{path} is missing in the list {path.parent / 'manifest.json'}")
        try:
            verify_file(path, listed[step])
        except RunError as error:
            if isinstance(error.__cause__, OSError):  # it may be whole
                raise
            return Damage(step, str(error).partition(";")[0])
    return None


def remove_unfinished(directory: Path) -> None:
    """Removes parts that a killed process was about to remove."""
    shutil.rmtree(Path(directory) / _DOOMED, ignore_errors=True)


def read_metrics(directory: Path) -> "pa.Table":
    """The metrics of a run, from ``metrics.parquet`` or, while it is incomplete, from its parts.

    Raises:
        RunError: if there are none or a file is damaged.
    """
    import pyarrow as pa

    directory = Path(directory)
    whole = directory / "metrics.parquet"
    paths = [whole] if exists(whole) else _whole_parts(directory)
    if not paths:
        raise RunError(f"{directory} holds no metrics yet; let the run reach its first checkpoint")
    return pa.concat_tables(_read(paths))


def check_columns(
    table: "pa.Table", directory: Path, *, words: Iterable[str], numbers: Iterable[str]
) -> None:
    """Refuses metrics that cannot be those of a command.

    Args:
        table: of the run.
        directory: the run's, for the sentence.
        words: columns that are there and hold strings.
        numbers: columns that are there and hold integers or floats.

    Raises:
        RunError: naming a column that is missing or holds something else.
    """
    import pyarrow as pa

    types = {field.name: field.type for field in table.schema}
    wanted = {**dict.fromkeys(words, _is_word), **dict.fromkeys(numbers, _is_number)}
    for name, fits in wanted.items():
        if name not in types:
            what = f"no column {shown(name)}"
        elif not fits(pa.types, types[name]):
            what = f"{shown(str(types[name]))} in the column {shown(name)}"
        else:
            continue
        raise RunError(
            f"the metrics of {directory} have {what}; they are those of another command or "
            "version, choose a run of this one"
        )


def _is_word(types: Any, kind: "pa.DataType") -> bool:
    return types.is_string(kind.value_type if types.is_dictionary(kind) else kind)


def _is_number(types: Any, kind: "pa.DataType") -> bool:
    return types.is_integer(kind) or types.is_floating(kind)


def compare_tables(
    a: "pa.Table", b: "pa.Table", *, keys: Sequence[str] | None = None
) -> list[Difference]:
    """Compares two metrics tables bit by bit.

    Floats are equal where their bits are: a NaN equals the same NaN, -0.0 differs from 0.0. Rows
    are matched by their keys, and those of equal keys in the order in which they come.

    Args:
        a: the recorded table.
        b: the new one; its rows may come in another order.
        keys: columns that name a row; None takes all that are not floating point.

    Returns:
        Columns, then rows that only one table has, then values. Empty where the tables agree.
    """
    differences = list(_compare_columns(a, b))
    shared = [name for name in a.column_names if name in b.column_names]
    keys = _not_floating(a, shared) if keys is None else [name for name in shared if name in keys]
    rows_a, rows_b = _rows(a, keys), _rows(b, keys)
    lone_a = [index for key, index in rows_a.items() if key not in rows_b]
    lone_b = [index for key, index in rows_b.items() if key not in rows_a]
    differences += [Difference("missing row", _row(a, keys, index), "") for index in lone_a]
    differences += [Difference("extra row", _row(b, keys, index), "") for index in lone_b]
    pairs = [(index, rows_b[key]) for key, index in rows_a.items() if key in rows_b]
    for name in shared:
        if name not in keys and a[name].type == b[name].type:
            differences += _compare_values(a, b, keys, name, pairs)
    return differences


def _path(directory: Path, step: int) -> Path:
    return directory / _FOLDER / f"part-{step:09d}.parquet"


def _parts(directory: Path) -> list[Path]:
    """The parts that are there, in the order of their steps."""
    paths = (directory / _FOLDER).glob("part-*.parquet")
    return _ordered(path for path in paths if _is_part(path.name))


def _ordered(parts: Iterable[Path]) -> list[Path]:
    return sorted(parts, key=lambda path: (len(path.name), path.name))


def _is_part(name: str) -> bool:
    return re.fullmatch(r"part-\d{9,}\.parquet", name, re.ASCII) is not None


def _step(part: Path) -> int:
    """The step in a part's name."""
    return int(part.stem.removeprefix("part-"))


def _whole_parts(directory: Path) -> list[Path]:
    """The parts that are listed, verified; all that are there for a version that did not list."""
    listed = _listed(directory)
    if listed is None:
        return _parts(directory)
    for name, digest in listed.items():
        verify_file(directory / _FOLDER / name, digest)
    return _ordered(directory / _FOLDER / name for name in listed)


def _listed(directory: Path) -> dict[str, str] | None:
    """The sha256 of each part by its name, None where there is no list."""
    folder = Path(directory) / _FOLDER
    if not exists(folder / "manifest.json"):
        return None
    listed = read_manifest(folder)
    if strange := [name for name in listed if not _is_part(name)]:
        raise RunError(
            f"{folder / 'manifest.json'} lists {shown(strange[0])}, which is no part of the "
            "metrics; restore it or repeat the run"
        )
    return listed


def _list(directory: Path, digests: dict[str, str]) -> None:
    write_json(directory / _FOLDER / "manifest.json", sealed(digests))


def _digest(path: Path) -> str:
    try:
        return sha256(path)
    except OSError as error:
        raise unreadable(path, error) from error


def _write(path: Path, tables: Iterable["pa.Table"]) -> None:
    """Writes one parquet file of several tables, of which one at a time is in memory."""
    import pyarrow.parquet as pq

    tables = iter(tables)
    first = next(tables)
    with (
        atomic(path) as file,
        pq.ParquetWriter(file, first.schema, write_page_checksum=True) as writer,
    ):
        writer.write_table(first)
        for table in tables:
            writer.write_table(table)


def _read(paths: Iterable[Path]) -> Iterator["pa.Table"]:
    """The tables of parquet files, which must agree in their columns."""
    schema = None
    for path in paths:
        table = _read_one(path)
        schema = schema or table.schema
        if not table.schema.equals(schema):
            raise RunError(
                f"{path} has other columns than the files before it: {_describe(table.schema)}, "
                f"not {_describe(schema)}; remove it or repeat the run"
            )
        yield table


def _read_one(path: Path) -> "pa.Table":
    import pyarrow.parquet as pq

    try:
        with (
            open_regular(path) as source,
            pq.ParquetFile(source, page_checksum_verification=True) as file,
        ):
            return file.read()
    except Exception as error:  # a damaged file raises almost anything
        raise RunError(
            f"{path} is truncated or damaged ({str(error)[:200]}); restore it or repeat the run"
        ) from error


def _describe(schema: "pa.Schema") -> str:
    return ", ".join(f"{field.name} {field.type}" for field in schema)[:400]


def _not_floating(table: "pa.Table", names: Sequence[str]) -> list[str]:
    import pyarrow as pa

    return [name for name in names if not pa.types.is_floating(table[name].type)]


def _exact(column: "pa.ChunkedArray") -> list[Any]:
    """Values that are equal where their bits are: floats as integers, a null as None."""
    import pyarrow as pa

    if not pa.types.is_floating(column.type):
        return column.to_pylist()
    values = column.to_numpy()
    bits = values.view(f"u{values.dtype.itemsize}").tolist()
    valid = column.is_valid().to_pylist()
    return [bit if known else None for bit, known in zip(bits, valid, strict=True)]


def _rows(table: "pa.Table", keys: Sequence[str]) -> dict[tuple[Any, ...], int]:
    """Row number by key; the last part of a key counts the rows of that key so far."""
    columns = [_exact(table[name]) for name in keys]
    seen: Counter[tuple[Any, ...]] = Counter()
    rows = {}
    for index in range(table.num_rows):
        key = tuple(column[index] for column in columns)
        rows[(*key, seen[key])] = index
        seen[key] += 1
    return rows


def _row(table: "pa.Table", keys: Sequence[str], index: int) -> dict[str, Any]:
    """What a row is called: its keys, or its number where there are none."""
    return {name: table[name][index].as_py() for name in keys} or {"row": index}


def _compare_columns(a: "pa.Table", b: "pa.Table") -> Iterator[Difference]:
    for name in a.column_names:
        if name not in b.column_names:
            yield Difference("missing column", {}, name, str(a[name].type))
        elif a[name].type != b[name].type:
            yield Difference("type", {}, name, str(a[name].type), str(b[name].type))
    for name in b.column_names:
        if name not in a.column_names:
            yield Difference("extra column", {}, name, None, str(b[name].type))


def _compare_values(
    a: "pa.Table", b: "pa.Table", keys: Sequence[str], name: str, pairs: list[tuple[int, int]]
) -> Iterator[Difference]:
    """The differences of one column over the (row of a, row of b) ``pairs``."""
    left, right = _exact(a[name]), _exact(b[name])
    for i, j in pairs:
        if left[i] != right[j]:
            row = _row(a, keys, i)
            yield Difference("value", row, name, a[name][i].as_py(), b[name][j].as_py())
