"""Checkpoints: the same bits back, damage found, a full disk survived."""

import errno
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sigmaprop.runs import checkpoints, files
from sigmaprop.runs.files import RunError


class State(NamedTuple):
    params: Any
    key: Any
    step: Any
    nothing: Any = None


NANS = np.array([0x7FC00001, 0xFFC00000, 0x80000000, 1], np.uint32).view(np.float32)


def sharding():
    mesh = jax.make_mesh((2,), ("replica",), axis_types=(jax.sharding.AxisType.Auto,))
    return jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("replica"))


def full() -> State:
    keys = jax.random.split(jax.random.key(3), 4)
    return State(
        {
            "layer.0/kernel": jax.device_put(jnp.arange(8.0), sharding()),
            "nan": jnp.asarray(NANS),
            "half": jnp.asarray([1.5, np.nan, -0.0], jnp.bfloat16),
            "bool": jnp.asarray([True, False]),
            "host": np.arange(3),
            "empty": jnp.zeros((5, 0)),
            "no_keys": keys[:0],
        },
        {"one": jax.random.key(7), "many": jax.device_put(keys, sharding())},
        [jnp.asarray(-3, jnp.int32), 12, 0.1, True],
    )


def small(value: float = 1.0) -> State:
    return State({"w": jnp.full(3, float(value))}, jax.random.key(0), jnp.asarray(2))


def bits(leaf: Any) -> Any:
    if not hasattr(leaf, "dtype"):
        return type(leaf), leaf
    kind = str(leaf.dtype)
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        leaf = jax.random.key_data(leaf)
    return kind, leaf.shape, np.asarray(leaf).tobytes()


def same(a: Any, b: Any) -> bool:
    return jax.tree.structure(a) == jax.tree.structure(b) and all(
        bits(x) == bits(y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    )


def found(directory, abstract) -> tuple[tuple[int, Any] | None, list[str]]:
    """What `latest` returns, and what it says."""
    said = []
    return checkpoints.latest(directory, abstract, say=said.append), said


def test_a_state_comes_back_bit_by_bit_where_it_lay(tmp_path):
    state = full()
    assert checkpoints.save(tmp_path, 5, state).name == "000000005"
    loaded, said = found(tmp_path, state)
    assert not said
    assert loaded is not None
    assert loaded[0] == 5
    assert same(loaded[1], state)
    for old, new in zip(jax.tree.leaves(state), jax.tree.leaves(loaded[1]), strict=True):
        assert type(old) is type(new)
        if isinstance(old, jax.Array):
            assert old.sharding == new.sharding
            assert old.committed == new.committed


def test_a_state_is_described_by_shapes_alone(tmp_path):
    state = small()
    checkpoints.save(tmp_path, 5, state)
    _, loaded = checkpoints.latest(tmp_path, jax.eval_shape(small)) or (None, small())
    assert same(loaded, state)
    # Not bound to a device, so that it goes together with arrays that are spread over several.
    spread = jax.device_put(jnp.arange(2.0), sharding())
    assert (loaded.params["w"][:2] + spread).shape == (2,)


def test_the_newest_two_are_kept(tmp_path):
    assert checkpoints.steps(tmp_path) == []
    assert found(tmp_path, small()) == (None, [])
    for step in (1, 30, 200):
        checkpoints.save(tmp_path, step, small(step))
    assert checkpoints.steps(tmp_path) == [30, 200]
    assert sorted(os.listdir(tmp_path / "checkpoints")) == ["000000030", "000000200"]
    checkpoints.save(tmp_path, 200, small(5.0))
    loaded, _ = found(tmp_path, small())
    assert loaded is not None
    assert same(loaded[1], small(5.0))
    with pytest.raises(ValueError, match="keep is 0; give 1"):
        checkpoints.save(tmp_path, 300, small(), keep=0)


def test_a_relative_directory_is_as_good(tmp_path, monkeypatch):
    """orbax itself takes absolute paths only."""
    monkeypatch.chdir(tmp_path)
    relative = Path("run")
    assert checkpoints.save(relative, 1, small()) == relative / "checkpoints" / "000000001"
    loaded, said = found(relative, small())
    assert loaded is not None
    assert same(loaded[1], small())
    assert not said
    shutil.move("run", "moved")
    loaded, _ = found(Path("moved"), small())
    assert loaded is not None
    assert same(loaded[1], small())


def test_what_orbax_refuses_is_told_without_advice_on_room(tmp_path, monkeypatch):
    from orbax.checkpoint import v1 as ocp

    for error, end in (
        (ValueError("Path should be absolute"), "; the checkpoints before it are whole"),
        (OSError(errno.EACCES, "Path should be absolute"), "; choose another --run-dir"),
    ):
        monkeypatch.setattr(ocp, "save", mock.Mock(side_effect=error))
        with pytest.raises(RunError) as caught:
            checkpoints.save(tmp_path, 1, small())
        assert str(caught.value).startswith(f"cannot write {tmp_path}/checkpoints/000000001 (")
        assert str(caught.value).endswith(end)
        assert "room" not in str(caught.value)


def test_checkpoints_follow_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        checkpoints.save(tmp_path, 1, small())
    finally:
        os.umask(before)
    modes = {oct(path.stat().st_mode & 0o777) for path in (tmp_path / "checkpoints").rglob("*")}
    assert modes == {"0o640", "0o750"}


def test_steps_before_are_chosen_and_those_after_removed_on_request(damaged):
    loaded = checkpoints.latest(damaged, small(), before=2)
    assert loaded is not None
    assert loaded[0] == 1
    assert checkpoints.latest(damaged, small(), before=1) is None
    checkpoints.drop_after(damaged, 1)
    assert checkpoints.steps(damaged) == [1]


def test_a_folder_of_another_name_is_no_checkpoint(damaged):
    for name in ("7", "٣", "0000000007", "x"):
        shutil.copytree(damaged / "checkpoints" / "000000002", damaged / "checkpoints" / name)
    assert checkpoints.steps(damaged) == [1, 2]


def test_a_step_back_forgets_the_future(tmp_path):
    for step in (1, 2, 3):
        checkpoints.save(tmp_path, step, small(step), keep=3)
    checkpoints.save(tmp_path, 2, small(9.0), keep=3)
    assert checkpoints.steps(tmp_path) == [1, 2]


def test_what_a_killed_process_left_is_no_checkpoint(tmp_path):
    checkpoints.save(tmp_path, 1, small())
    saving = tmp_path / "checkpoints" / ".saving" / "state.orbax-checkpoint-tmp"
    saving.mkdir(parents=True)
    (saving / "d").write_bytes(b"half")
    (tmp_path / "checkpoints" / "000000009").mkdir()
    assert checkpoints.steps(tmp_path) == [1]
    checkpoints.save(tmp_path, 9, small())
    assert sorted(os.listdir(tmp_path / "checkpoints")) == ["000000001", "000000009"]


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """A directory with checkpoints of steps 1 and 2; not to be changed."""
    directory = tmp_path_factory.mktemp("two")
    for step in (1, 2):
        checkpoints.save(directory, step, small(step))
    return directory


@pytest.fixture
def damaged(two, tmp_path):
    """A copy of it."""
    shutil.copytree(two, tmp_path, dirs_exist_ok=True)
    return tmp_path


def files_of(directory, step):
    path = directory / "checkpoints" / f"{step:09d}"
    return sorted(each for each in path.rglob("*") if each.is_file())


def falls_back(directory) -> str:
    """The one sentence about step 2, after which step 1 is loaded."""
    loaded, said = found(directory, small())
    assert loaded is not None
    assert loaded[0] == 1
    assert same(loaded[1], small(1))
    (sentence,) = said
    assert f"checkpoint {directory / 'checkpoints' / '000000002'} is damaged (" in sentence
    assert "\n" not in sentence
    return sentence


def test_every_flipped_bit_is_found(damaged):
    rng = random.Random(0)
    paths = [path for path in files_of(damaged, 2) if path.stat().st_size]
    sizes = [path.stat().st_size for path in paths]
    for number in range(40):
        # Every file at least once, then in proportion to size.
        path = paths[number] if number < len(paths) else rng.choices(paths, sizes)[0]
        whole = path.read_bytes()
        position = rng.randrange(len(whole))
        broken = bytearray(whole)
        broken[position] ^= 1 << rng.randrange(8)
        path.write_bytes(broken)
        falls_back(damaged)
        path.write_bytes(whole)


def test_truncated_and_missing_files_are_found(damaged):
    for path in files_of(damaged, 2):
        whole = path.read_bytes()
        # A JSON file ends in a line break, which it may lose.
        shorter = len(whole.rstrip(b"\n")) - 1
        for kept in {0, len(whole) // 2, shorter} if whole else ():
            path.write_bytes(whole[:kept])
            falls_back(damaged)
        path.unlink()
        if path.name == "manifest.json" and path.parent.name == "000000002":
            assert checkpoints.steps(damaged) == [1]
        else:
            assert "is missing" in falls_back(damaged)
        path.write_bytes(whole)
    loaded, said = found(damaged, small())
    assert loaded is not None
    assert loaded[0] == 2
    assert not said


def test_where_all_are_damaged_there_is_none(damaged):
    for step in (1, 2):
        files_of(damaged, step)[0].unlink()
    loaded, said = found(damaged, small())
    assert loaded is None
    assert [sentence.rpartition("; ")[2] for sentence in said] == [
        "the one before counts",
        "none before it is left",
    ]
    with pytest.warns(UserWarning, match="is damaged"):
        assert checkpoints.latest(damaged, small()) is None


def test_what_orbax_cannot_read_is_passed_over_quietly(damaged, capfd):
    path = damaged / "checkpoints" / "000000002"
    for data in (path / "state").rglob("d/*"):
        data.write_bytes(data.read_bytes()[:20])
    names = [each.relative_to(path).as_posix() for each in files_of(damaged, 2)]
    files.write_manifest(path, [name for name in names if name != "manifest.json"])
    falls_back(damaged)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("code", [errno.EIO, errno.EACCES, errno.EMFILE])
def test_a_checkpoint_that_cannot_be_read_now_is_not_given_up(damaged, monkeypatch, code):
    """Going on from the one before would remove it."""
    before = files_of(damaged, 2)
    with monkeypatch.context() as patch:
        patch.setattr(files, "open_regular", mock.Mock(side_effect=OSError(code, "why")))
        verify_file = files.verify_file
        patch.setattr(files, "verify_manifest", lambda path: verify_file(before[0], ""))
        with pytest.raises(RunError, match=r"000000002 .*it may be whole, so none before it") as c:
            checkpoints.latest(damaged, small())
        assert "\n" not in str(c.value)
    assert files_of(damaged, 2) == before
    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "_load", mock.Mock(side_effect=MemoryError))
        with pytest.raises(RunError, match=r"\(MemoryError\); it may be whole"):
            checkpoints.latest(damaged, small())


def test_earlier_steps_are_not_considered_on_request(damaged):
    files_of(damaged, 2)[0].unlink()
    said = []
    assert checkpoints.latest(damaged, small(), said.append, after=1) is None
    assert said[0].endswith("none before it is left")


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (small()._replace(params={"w": jnp.ones(4)}), r"\['w'\] is float32\[3\] there and .*\[4\]"),
        (small()._replace(step=jnp.asarray(2.0)), r"state.step is int32\[\] there and float32\[\]"),
        (small()._replace(params={}), r"\['w'\] is float32\[3\] there and absent here"),
    ],
)
def test_a_checkpoint_of_another_program_is_refused_and_not_passed_over(two, other, message):
    with pytest.raises(RunError, match=message):
        checkpoints.latest(two, other)


def test_leaves_that_cannot_be_saved_are_named(tmp_path):
    with pytest.raises(TypeError, match=r"state\['a'\] is of type str"):
        checkpoints.save(tmp_path, 1, {"a": "text"})
    assert not (tmp_path / "checkpoints").exists()


@pytest.mark.parametrize("name", ["fsync", "replace", "posix_fallocate"])
def test_a_full_disk_leaves_the_checkpoints_before(damaged, monkeypatch, name):
    def no_space(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, name, no_space)
        with pytest.raises(RunError, match=r"cannot write .*checkpoints.*No space left"):
            checkpoints.save(damaged, 3, small())
    assert sorted(os.listdir(damaged / "checkpoints")) == ["000000001", "000000002"]
    loaded, said = found(damaged, small())
    assert loaded is not None
    assert loaded[0] == 2
    assert not said


LIMITED = """
import os, pathlib, resource, sys
import numpy as np
from sigmaprop.runs import checkpoints
directory, kept = pathlib.Path(sys.argv[1]), sys.argv[2] == "orbax"
checkpoints.save(directory, 1, {"w": np.arange(3.0)})
if kept:  # room is found, and taken by somebody else before it is used
    del os.posix_fallocate
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    checkpoints.save(directory, 2, {"w": np.random.default_rng(0).random(100_000)})
except checkpoints.RunError as error:
    print(error)
    sys.exit(2)
"""


@pytest.mark.slow
@pytest.mark.parametrize("where", ["room", "orbax"])
def test_a_file_that_may_not_grow_ends_in_one_sentence(tmp_path, where):
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, tmp_path, where], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert done.stderr == ""
    path = tmp_path / "checkpoints" / "000000002"
    assert done.stdout.startswith(f"cannot write {path} (")
    assert "File too large" in done.stdout
    assert done.stdout.count("\n") == 1
    assert os.listdir(tmp_path / "checkpoints") == ["000000001"]
    loaded, said = found(tmp_path, {"w": np.arange(3.0)})
    assert loaded is not None
    assert not said


def padded(num: int) -> dict[str, jax.Array]:
    """Three rows, and copies of the last."""
    rows = jnp.minimum(jnp.arange(num), 2)
    return {"a": rows.astype(jnp.float32), "b": jnp.stack([rows, rows**2], axis=1)}


@pytest.mark.parametrize("num", [3, 4, 6])
def test_rows_come_back_whatever_padding_they_were_saved_with(tmp_path, num):
    checkpoints.save(tmp_path, 1, padded(num))
    step, found = checkpoints.latest(tmp_path, padded(4), rows=3) or (None, {})
    assert step == 1
    assert found["a"].tolist()[:3] == [0.0, 1.0, 2.0]
    assert found["b"].tolist()[:3] == [[0, 0], [1, 1], [2, 4]]
    assert len(found["a"]) == len(found["b"]) == (4 if num == 4 else 3)


@pytest.mark.parametrize(
    "saved",
    [
        padded(2),
        padded(6) | {"a": jnp.zeros(5)},
        padded(6) | {"b": jnp.zeros((6, 3), jnp.int32)},
    ],
    ids=["fewer rows than count", "two paddings", "another width"],
)
def test_no_padding_excuses_other_arrays(tmp_path, saved):
    checkpoints.save(tmp_path, 1, saved)
    with pytest.raises(RunError, match="of another program"):
        checkpoints.latest(tmp_path, padded(4), rows=3)
