"""Event files: the same numbers as the tables, read back record by record."""

import importlib.util
import struct

import numpy as np
import pyarrow as pa
import pytest
from sigmaprop.experiments.gan import tables as gan_tables
from sigmaprop.experiments.gan import tensorboard as gan_tensorboard
from sigmaprop.experiments.gan.config import GanOptions
from sigmaprop.experiments.gan.plan import Cell, Replica

REPLICAS = tuple(
    Replica(number, Cell(0, {"arm": "global", "r1": 0.5}, GanOptions()), seed)
    for number, seed in ((3, 0), (7, 1))
)


def events(folder):
    """(step, tag, value) of every scalar, and the session starts' steps."""
    from tensorboardX.proto.event_pb2 import Event, SessionLog

    scalars, starts = [], []
    for path in sorted(folder.iterdir()):
        data = path.read_bytes()
        while data:
            (length,) = struct.unpack("<Q", data[:8])  # length, its checksum, record, its checksum
            event = Event.FromString(data[12 : 12 + length])
            data = data[16 + length :]
            if event.session_log.status == SessionLog.START:
                starts.append(event.step)
            scalars += [(event.step, one.tag, one.simple_value) for one in event.summary.value]
    return scalars, starts


def table(steps):
    values = np.arange(2 * len(steps) * 2, dtype=float).reshape(2, len(steps), 2)
    losses = gan_tables.rows([3, 7], steps, ["sigma", "generator_loss"], values)
    score = gan_tables.rows(
        [3, 7], steps[-1:], ["mmd2"], np.ones((2, 1, 1)), of="x", weights="last"
    )
    gap = gan_tables.rows([3, 7], steps[-1:], ["gap_cosine"], np.ones((2, 1, 1)), sigma=0.5)
    return pa.concat_tables([losses, score, gap])


def test_every_row_is_a_scalar_of_its_replica(tmp_path):
    with gan_tensorboard.writer(tmp_path, REPLICAS) as board:
        board.add(table([20, 40]))
        board.add(table([60]))
    folders = sorted(path.name for path in (tmp_path / "tensorboard").iterdir())
    assert folders == ["0003-global_r1=0.5-seed_0", "0007-global_r1=0.5-seed_1"]
    scalars, _ = events(tmp_path / "tensorboard" / folders[1])
    assert sorted(scalars) == sorted(
        [
            (20, "sigma", 4.0), (20, "generator_loss", 5.0), (40, "sigma", 6.0),
            (40, "generator_loss", 7.0), (60, "sigma", 2.0), (60, "generator_loss", 3.0),
            (40, "mmd2_of_x/last", 1.0), (60, "mmd2_of_x/last", 1.0),
        ]
    )  # fmt: skip


def test_a_resumed_run_outdates_what_it_writes_again(tmp_path):
    for steps in ([20, 40], [40, 60]):
        with gan_tensorboard.writer(tmp_path, REPLICAS) as board:
            board.add(table(steps))
    folder = next((tmp_path / "tensorboard").iterdir())
    _, starts = events(folder)
    assert starts == [20, 40]


def test_a_missing_package_is_named_with_its_remedy(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    gan_tensorboard.check(False)
    with pytest.raises(ValueError, match=r"`pip install 'tensorboardX>=2\.6'`"):
        gan_tensorboard.check(True)
