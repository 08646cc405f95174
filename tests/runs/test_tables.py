"""Metrics: parts, damaged files, and a comparison that sees every bit."""

import dataclasses
import errno
import os
import random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from sigmaprop import runs
from sigmaprop.runs import files, tables


@dataclasses.dataclass(frozen=True)
class Config:
    seed: int = 0


NAN_A, NAN_B = np.array([0x7FC00000, 0x7FC00001], np.uint32).view(np.float32)


def metrics(values: Any = (1.0, 2.0, 3.0), dtype: Any = np.float32) -> pa.Table:
    return pa.table(
        {
            "step": np.arange(len(values)),
            "metric": ["loss"] * len(values),
            "value": np.array(values, dtype),
        }
    )


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setattr("sigmaprop.runs.run.environment", lambda seed: {})
    with runs.create(tmp_path / "run", "limit", Config()) as run:
        yield run


def no_space(*arguments):
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("name", ["replace", "fsync"])
def test_metrics_that_cannot_be_written_leave_the_old_ones(run, monkeypatch, name):
    tables.write_metrics(run, metrics())
    with monkeypatch.context() as patch:
        patch.setattr(os, name, no_space)
        with pytest.raises(runs.RunError, match=r"cannot write .*metrics\.parquet"):
            tables.write_metrics(run, metrics((4.0, 5.0)))
    assert tables.read_metrics(run.directory).equals(metrics())
    assert not list(run.directory.glob(".*"))


def test_parts_read_like_one_table_and_merge_into_it(run):
    with pytest.raises(runs.RunError, match="holds no metrics yet"):
        tables.read_metrics(run.directory)
    for step in (10**9, 3, 2 * 10**8):
        tables.append_part(run, step, metrics((float(step), NAN_B)))
    names = sorted(path.name for path in (run.directory / "metrics").glob("*.parquet"))
    assert names == [f"part-{step}.parquet" for step in ("000000003", "1000000000", "200000000")]
    parts = tables.read_metrics(run.directory)
    assert parts["value"].to_pylist()[::2] == [3.0, 2e8, 1e9]
    for _ in range(2):
        tables.join_parts(run)
        tables.drop_parts(run)
    assert not (run.directory / "metrics").exists()
    assert tables.compare_tables(parts, tables.read_metrics(run.directory)) == []


def test_whole_metrics_replace_the_parts(run):
    tables.append_part(run, 1, metrics((4.0, 5.0)))
    tables.write_metrics(run, metrics())
    assert not (run.directory / "metrics").exists()
    tables.join_parts(run)
    assert tables.read_metrics(run.directory).equals(metrics())


def test_parts_with_other_columns_are_refused(run):
    tables.append_part(run, 1, metrics())
    tables.append_part(run, 2, metrics(dtype=np.float64))
    other = r"part-000000002\.parquet .*value double, not .*value float"
    with pytest.raises(runs.RunError, match=other):
        tables.join_parts(run)
    assert not (run.directory / "metrics.parquet").exists()
    assert len(list((run.directory / "metrics").glob("*.parquet"))) == 2
    tables.write_metrics(run, metrics())


def test_truncated_metrics_are_refused_at_every_length(run):
    tables.write_metrics(run, metrics())
    path = run.directory / "metrics.parquet"
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(runs.RunError, match=f"{path} is truncated or damaged.*repeat the run"):
            tables.read_metrics(run.directory)


def test_a_flipped_bit_in_a_page_is_refused_or_harmless(run):
    table = metrics(np.linspace(1.1, 2.2, 1000))
    tables.write_metrics(run, table)
    path = run.directory / "metrics.parquet"
    whole = path.read_bytes()
    footer = int.from_bytes(whole[-8:-4], "little") + 8
    positions = range(0, len(whole) - footer, 40)
    num_refused = 0
    for position in positions:
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        try:
            read = tables.read_metrics(run.directory)
        except runs.RunError:
            num_refused += 1
        else:
            assert read.equals(table)
    assert num_refused > 0.9 * len(positions)


@pytest.fixture
def parts(run):
    """The directory of a run with parts of steps 2, 4 and 6."""
    for step in (2, 4, 6):
        tables.append_part(run, step, metrics((float(step), 0.5)))
    return run.directory


def part(directory, step):
    return directory / "metrics" / f"part-{step:09d}.parquet"


def test_every_flipped_bit_in_a_part_is_found_when_it_is_read_or_joined(run, parts):
    """Some of them, in the footer, change what parquet reads without a word."""
    rng = random.Random(0)
    path = part(parts, 4)
    whole = path.read_bytes()
    for number in range(200):
        position = rng.randrange(len(whole))
        flipped = bytes([whole[position] ^ (1 << rng.randrange(8))])
        path.write_bytes(whole[:position] + flipped + whole[position + 1 :])
        with pytest.raises(runs.RunError, match=f"{path} was altered"):
            tables.read_metrics(parts)
        if number < 10:
            with pytest.raises(runs.RunError, match=f"{path} was altered"):
                tables.join_parts(run)
            found = tables.damage(parts, [2, 6])
            assert found is not None
            assert found.step == 4
            assert found.reason == f"{path} was altered after it was written"
    path.write_bytes(whole)
    assert tables.damage(parts, [2, 6]) is None


def test_a_missing_part_is_found_and_later_ones_do_not_count(run, parts):
    whole = part(parts, 6).read_bytes()
    part(parts, 6).unlink()
    assert tables.damage(parts, [2, 4]) is None
    assert tables.damage(parts, []) is None
    found = tables.damage(parts, [4, 6])
    assert found is not None
    assert found.step == 6
    assert found.reason.endswith("is missing")
    with pytest.raises(runs.RunError, match=r"part-000000006\.parquet is missing"):
        tables.read_metrics(parts)
    part(parts, 6).write_bytes(whole)
    (parts / "metrics" / "manifest.json").unlink()
    assert tables.damage(parts, [4, 6]) == (
        4,
        f"{part(parts, 4)} is missing in the list {parts / 'metrics' / 'manifest.json'}",
    )


def test_a_part_that_cannot_be_read_now_is_not_called_damaged(parts, monkeypatch):
    def fail(path):
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(files, "sha256", fail)
        with pytest.raises(runs.RunError, match=r"cannot read .*part-000000002.*Input/output"):
            tables.damage(parts, [6])


def test_a_part_that_is_not_listed_is_not_counted(run, parts):
    """Its process was killed between the two."""
    part(parts, 8).write_bytes(part(parts, 6).read_bytes())
    assert part(parts, 8).exists()
    assert tables.read_metrics(parts).num_rows == 6
    tables.drop_parts_after(run, 6)
    assert not part(parts, 8).exists()


def test_a_damaged_list_of_parts_is_refused(run, parts):
    path = parts / "metrics" / "manifest.json"
    whole = path.read_text()
    path.write_text(whole.replace("part-000000002", "part-000000003"))
    for call in (lambda: tables.damage(parts, [2]), lambda: tables.read_metrics(parts)):
        with pytest.raises(runs.RunError, match=f"{path} was altered"):
            call()
    files.write_json(path, files.sealed({"../part-000000002.parquet": "0"}))
    with pytest.raises(runs.RunError, match="is no part of the metrics"):
        tables.read_metrics(parts)
    path.write_text(whole)
    tables.join_parts(run)


@pytest.mark.parametrize(
    ("column", "what"),
    [
        (None, "no column 'metric'"),
        (pa.array([1, 2, 3]), "'int64' in the column 'metric'"),
        (pa.array([["a"], [], None]), "in the column 'metric'"),
        (pa.array([None] * 3, pa.float64()), "'double' in the column 'metric'"),
        (pa.array(["a", "b", None]), None),
        (pa.array(["a", "b", "a"]).dictionary_encode(), None),
    ],
)
def test_columns_of_another_kind_are_named(tmp_path, column, what):
    table = metrics().drop_columns("metric")
    table = table if column is None else table.append_column("metric", column)
    call = lambda: tables.check_columns(  # noqa: E731
        table, tmp_path, words=("metric",), numbers=("step", "value")
    )
    if what is None:
        call()
        return
    with pytest.raises(runs.RunError, match=f"the metrics of {tmp_path} have .*{what}; they are"):
        call()


def test_numbers_that_are_words_are_named(tmp_path):
    with pytest.raises(runs.RunError, match="'string' in the column 'metric'"):
        tables.check_columns(metrics(), tmp_path, words=(), numbers=("metric",))


def test_metrics_that_are_no_file_are_refused_at_once(run):
    os.mkfifo(run.directory / "metrics.parquet")
    with pytest.raises(runs.RunError, match=r"metrics\.parquet .*it is a FIFO"):
        tables.read_metrics(run.directory)
    (run.directory / "metrics.parquet").unlink()


def test_equal_tables_do_not_differ_in_any_row_order():
    a = metrics((1.0, NAN_A, -0.0, np.inf))
    assert tables.compare_tables(a, a) == []
    assert tables.compare_tables(a, a.take([3, 1, 0, 2])) == []
    assert tables.compare_tables(metrics(()), metrics(())) == []


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_one_flipped_bit_is_one_difference(dtype):
    values = np.array([1.0, 2.0, 3.0], dtype)
    bits = values.view(f"u{values.itemsize}").copy()
    bits[1] ^= 1
    a, b = metrics(values, dtype), metrics(bits.view(dtype), dtype)
    (difference,) = tables.compare_tables(a, b)
    assert difference.kind == "value"
    assert difference.row == {"step": 1, "metric": "loss"}
    assert (difference.column, difference.left) == ("value", 2.0)
    assert difference.right == bits.view(dtype)[1]
    assert str(difference).startswith("step=1, metric='loss': value was 2.0 and is now 2.0")


@pytest.mark.parametrize(
    ("left", "right", "text"),
    [
        (0.0, -0.0, "was 0.0 and is now -0.0"),
        (NAN_A, NAN_B, "was nan and is now nan (other bits)"),
        (NAN_A, 0.0, "was nan and is now 0.0"),
    ],
)
def test_values_are_compared_by_their_bits(left, right, text):
    (difference,) = tables.compare_tables(metrics((left,)), metrics((right,)))
    assert text in str(difference)


def test_a_null_is_no_nan():
    a, b = (pa.table({"value": pa.array([x, 1.0], pa.float32())}) for x in (None, float("nan")))
    assert tables.compare_tables(a, a) == []
    (difference,) = tables.compare_tables(a, b)
    assert difference.row == {"row": 0}
    assert difference.left is None


def test_missing_and_extra_rows_and_columns_are_named():
    a, b = metrics((1.0, 2.0, 3.0)), metrics((1.0, 2.0, 3.0, 4.0)).slice(1)
    missing, extra = tables.compare_tables(a, b)
    assert str(missing) == "missing row: step=0, metric='loss'"
    assert str(extra) == "extra row: step=3, metric='loss'"
    (column,) = tables.compare_tables(a, a.drop_columns("value"))
    assert str(column) == "missing column: value"
    (column,) = tables.compare_tables(a.drop_columns("metric"), a)
    assert str(column) == "extra column: metric"
    (kind,) = tables.compare_tables(a, metrics(dtype=np.float64))
    assert str(kind) == "value was 'float' and is now 'double'"


def test_rows_of_equal_keys_are_matched_in_their_order_or_by_a_float_key():
    a = pa.table({"metric": ["loss"] * 3, "sigma": [0.1, 0.0, -0.0], "value": [1.0, 2.0, 3.0]})
    swapped = a.take([1, 0, 2])
    assert len(tables.compare_tables(a, swapped)) == 4
    assert tables.compare_tables(a, swapped, keys=("metric", "sigma")) == []
    (difference,) = tables.compare_tables(a, a.slice(0, 2))
    assert difference.kind == "missing row"
