"""Metrics tables: parquet files with checksums, and a comparison bit by bit.

While a run goes on its rows lie in ``metrics/part-<step>.parquet``; ``metrics/manifest.json`` has
the sha256 of each, since parquet's own checksums do not cover all of a file. A part that is not
listed is not counted: its process ended before the list was written. Every function takes the run
directory, or the `Run` that owns it, and raises a `RunError` for what cannot be read or written.
"""

import os
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from sigmaprop.names import shown
from sigmaprop.runs import files
from sigmaprop.runs.files import RunError

if TYPE_CHECKING:
    import pyarrow as pa

Directory: TypeAlias = "Path | os.PathLike[str]"

_FOLDER, _DOOMED = "metrics", ".metrics.tmp"


class Damage(NamedTuple):
    """A part of the metrics that is not as it was written: its step, and what is wrong."""

    step: int
    reason: str


class Difference(NamedTuple):
    """One difference between two metrics tables.

    Attributes:
        kind: what differs. A row or column is missing or extra in the second table.
        row: the key columns of the row, empty for a column.
        column: the column that differs, empty for a row.
        left, right: value or type in the first and second table, None where absent.
    """

    kind: Literal["missing row", "extra row", "value", "missing column", "extra column", "type"]
    row: dict[str, Any]
    column: str
    left: Any = None
    right: Any = None

    def __str__(self) -> str:
        row = ", ".join(f"{name}={value!r}" for name, value in self.row.items())
        label = ": ".join(part for part in (row, self.column) if part)
        if self.kind not in ("value", "type"):
            return f"{self.kind}: {label}"
        # Two NaNs, or floats that agree in all digits shown.
        note = " (other bits)" if repr(self.left) == repr(self.right) else ""
        return f"{label} was {self.left!r} and is now {self.right!r}{note}"


def write_metrics(directory: Directory, table: "pa.Table") -> None:
    """Writes ``metrics.parquet``, which replaces any parts."""
    _write(Path(directory) / "metrics.parquet", [table])
    drop_parts(directory)


def append_part(directory: Directory, step: int, table: "pa.Table") -> None:
    """Writes the rows since the last part as ``metrics/part-<step>.parquet``, and lists it."""
    path = _path(directory, step)
    _write(path, [table])
    _list(directory, {**(_listed(directory) or {}), step: files.digest(path)})


def join_parts(directory: Directory) -> None:
    """Makes ``metrics.parquet`` of the parts, in the order of their steps, and keeps them.

    Raises:
        RunError: if a part is damaged or has other columns, or the result cannot be written.
    """
    if parts := _whole_parts(directory):
        tables = (table.replace_schema_metadata(None) for table in _read(parts))
        _write(Path(directory) / "metrics.parquet", tables)


def drop_parts(directory: Directory) -> None:
    """Removes the parts, all of them at once: a process killed meanwhile leaves none that count."""
    remove_unfinished(directory)
    with suppress(OSError):
        os.replace(Path(directory) / _FOLDER, Path(directory) / _DOOMED)
    remove_unfinished(directory)


def remove_unfinished(directory: Directory) -> None:
    """Removes parts that a killed process was about to remove."""
    shutil.rmtree(Path(directory) / _DOOMED, ignore_errors=True)


def drop_parts_after(directory: Directory, step: int) -> None:
    """Removes what was recorded after a checkpoint, before the steps behind it are repeated.

    A ``metrics.parquet`` that was joined of these parts, by a run that was then stopped, goes too.

    Args:
        directory: of the run.
        step: of the checkpoint; parts of later steps are removed. -1 removes all.

    Raises:
        RunError: if one of them cannot be removed, or the list of parts is damaged.
    """
    parts = _parts(directory)
    if listed := _listed(directory):
        _list(directory, {n: sha256 for n, sha256 in listed.items() if n <= step})
    with files.writing(Path(directory)):
        if parts:
            (Path(directory) / "metrics.parquet").unlink(missing_ok=True)
        for later in (path for number, path in parts.items() if number > step):
            later.unlink()


def seal_parts(directory: Directory) -> None:
    """Lists all parts that are there, for a run of a version that did not."""
    if parts := _parts(directory):
        _list(directory, {step: files.digest(path) for step, path in parts.items()})


def damage(directory: Directory, steps: Sequence[int]) -> Damage | None:
    """The first part that is not as it was written, among those that checkpoints rely on.

    Args:
        directory: of the run.
        steps: of the checkpoints; each was saved after the part of its step. Later parts do not
            count: they are repeated.

    Raises:
        RunError: if the list of parts is damaged, or a part cannot be read.
    """
    listed = _listed(directory) or {}
    for step in sorted({*listed, *steps}):
        path = _path(directory, step)
        if step > max(steps, default=-1):
            break
        if step not in listed:
            return Damage(step, f"{path} is missing in the list {path.parent / 'manifest.json'}")
        try:
            files.verify_file(path, listed[step])
        except RunError as error:
            if isinstance(error.__cause__, OSError):  # it may be whole
                raise
            return Damage(step, str(error).partition(";")[0])
    return None


def read_parts(directory: Directory) -> dict[int, "pa.Table"]:
    """The parts that were recorded, by their step; none where there are none.

    Raises:
        RunError: if one of them is damaged or was altered.
    """
    paths = _whole_parts(directory) if (Path(directory) / _FOLDER).is_dir() else []
    steps = [_step(path.name) or 0 for path in paths]
    return dict(zip(steps, _read(paths), strict=True))


def read_metrics(directory: Directory) -> "pa.Table":
    """The metrics of a run, from ``metrics.parquet`` or, while it is incomplete, from its parts.

    Raises:
        RunError: if there are none or a file is damaged.
    """
    import pyarrow as pa

    whole = Path(directory) / "metrics.parquet"
    paths = [whole] if files.exists(whole) else _whole_parts(directory)
    if not paths:
        raise RunError(
            f"{whole.parent} holds no metrics yet; let the run reach its first checkpoint"
        )
    return pa.concat_tables(_read(paths))


def check_columns(
    table: "pa.Table", directory: Directory, *, words: Iterable[str], numbers: Iterable[str]
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
    kinds = {field.name: field.type for field in table.schema}
    for name, fits in {
        **dict.fromkeys(words, _is_word),
        **dict.fromkeys(numbers, _is_number),
    }.items():
        if name in kinds and fits(kinds[name]):
            continue
        what = f"no column {shown(name)}"
        if name in kinds:
            what = f"{shown(str(kinds[name]))} in the column {shown(name)}"
        raise RunError(
            f"the metrics of {Path(directory)} have {what}; they are those of another command or "
            "version, choose a run of this one"
        )


def _is_word(kind: "pa.DataType") -> bool:
    from pyarrow import types

    return types.is_string(kind.value_type if types.is_dictionary(kind) else kind)


def _is_number(kind: "pa.DataType") -> bool:
    from pyarrow import types

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
    from pyarrow import types

    types_a, types_b = ({field.name: str(field.type) for field in t.schema} for t in (a, b))
    differences = []
    for name, left in types_a.items():
        right = types_b.get(name)
        if left != right:
            kind = "missing column" if right is None else "type"
            differences.append(Difference(kind, {}, name, left, right))
    extra = [name for name in types_b if name not in types_a]
    differences += [Difference("extra column", {}, n, None, types_b[n]) for n in extra]
    shared = [name for name in a.column_names if name in b.column_names]
    if keys is None:
        keys = [name for name in shared if not types.is_floating(a[name].type)]
    keys = [name for name in shared if name in keys]

    def named(table: "pa.Table", index: int) -> dict[str, Any]:
        return {name: table[name][index].as_py() for name in keys} or {"row": index}

    rows_a, rows_b = _rows(a, keys), _rows(b, keys)
    lone_a = [index for key, index in rows_a.items() if key not in rows_b]
    lone_b = [index for key, index in rows_b.items() if key not in rows_a]
    differences += [Difference("missing row", named(a, index), "") for index in lone_a]
    differences += [Difference("extra row", named(b, index), "") for index in lone_b]
    pairs = [(index, rows_b[key]) for key, index in rows_a.items() if key in rows_b]
    for name in shared:
        if name in keys or a[name].type != b[name].type:
            continue
        left, right = _exact(a[name]), _exact(b[name])
        differences += [
            Difference("value", named(a, i), name, a[name][i].as_py(), b[name][j].as_py())
            for i, j in pairs
            if left[i] != right[j]
        ]
    return differences


def _rows(table: "pa.Table", keys: Sequence[str]) -> dict[tuple[Any, ...], int]:
    """Row number by key; the last part of a key counts the rows of that key so far."""
    columns = [_exact(table[name]) for name in keys]
    count: Counter[tuple[Any, ...]] = Counter()
    rows = {}
    for index in range(table.num_rows):
        key = tuple(column[index] for column in columns)
        rows[(*key, count[key])] = index
        count[key] += 1
    return rows


def _exact(column: "pa.ChunkedArray") -> list[Any]:
    """Values that are equal where their bits are: floats as integers, a null as None."""
    from pyarrow import types

    if not types.is_floating(column.type):
        return column.to_pylist()
    values = column.to_numpy()
    bits = values.view(f"u{values.dtype.itemsize}").tolist()
    valid = column.is_valid().to_pylist()
    return [bit if known else None for bit, known in zip(bits, valid, strict=True)]


def _path(directory: Directory, step: int) -> Path:
    return Path(directory) / _FOLDER / f"part-{step:09d}.parquet"


def _step(name: str) -> int | None:
    """The step in the name of a part, None for any other name."""
    match = re.fullmatch(r"part-(\d{9,99})\.parquet", name, re.ASCII)
    return int(match[1]) if match and name == _path(Path(), int(match[1])).name else None


def _parts(directory: Directory) -> dict[int, Path]:
    """The parts that are there by their steps, ascending."""
    paths = (Path(directory) / _FOLDER).glob("part-*.parquet")
    steps = ((_step(path.name), path) for path in paths)
    return dict(sorted((step, path) for step, path in steps if step is not None))


def _whole_parts(directory: Directory) -> list[Path]:
    """The parts that are listed, verified; all that are there for a version that did not list."""
    listed = _listed(directory)
    if listed is None:
        return [*_parts(directory).values()]
    for step, sha256 in listed.items():
        files.verify_file(_path(directory, step), sha256)
    return [_path(directory, step) for step in sorted(listed)]


def _listed(directory: Directory) -> dict[int, str] | None:
    """The sha256 of each part by its step, None where there is no list."""
    folder = Path(directory) / _FOLDER
    if not files.exists(folder / "manifest.json"):
        return None
    listed = {}
    for name, sha256 in files.read_manifest(folder).items():
        if (step := _step(name)) is None:
            raise RunError(
                f"{folder / 'manifest.json'} lists {shown(name)}, which is no part of the "
                "metrics; restore it or repeat the run"
            )
        listed[step] = sha256
    return listed


def _list(directory: Directory, digests: dict[int, str]) -> None:
    names = {_path(directory, step).name: sha256 for step, sha256 in digests.items()}
    files.write_json(Path(directory) / _FOLDER / "manifest.json", files.sealed(names))


def _write(path: Path, tables: Iterable["pa.Table"]) -> None:
    """Writes one parquet file of several tables, of which one at a time is in memory."""
    import pyarrow.parquet as pq

    tables = iter(tables)
    first = next(tables)
    with (
        files.atomic(path) as file,
        pq.ParquetWriter(file, first.schema, write_page_checksum=True) as writer,
    ):
        writer.write_table(first)
        for table in tables:
            writer.write_table(table)


def _read(paths: Iterable[Path]) -> Iterator["pa.Table"]:
    """The tables of parquet files, which must agree in their columns."""
    import pyarrow.parquet as pq

    schema = None
    for path in paths:
        try:
            with (
                files.open_regular(path) as source,
                pq.ParquetFile(source, page_checksum_verification=True) as file,
            ):
                table = file.read()
        except Exception as error:  # a damaged file raises almost anything
            raise RunError(
                f"{path} is truncated or damaged ({str(error)[:200]}); restore it or repeat the run"
            ) from error
        schema = schema or table.schema
        if not table.schema.equals(schema):
            raise RunError(
                f"{path} has other columns than the files before it: {_describe(table.schema)}, "
                f"not {_describe(schema)}; remove it or repeat the run"
            )
        yield table


def _describe(schema: "pa.Schema") -> str:
    return ", ".join(f"{field.name} {field.type}" for field in schema)[:400]
