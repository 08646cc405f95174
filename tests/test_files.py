"""Files are whole or absent, whatever ends the writer; JSON is read strictly."""

import fcntl
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from sigmaprop import files


def no_space(*arguments):
    raise OSError(28, "No space left on device")


def test_an_error_is_one_line():
    assert str(files.RunError("first\nsecond")) == "first second"


def test_json_that_is_damaged_or_absent_is_refused(tmp_path):
    path = tmp_path / "file.json"
    with pytest.raises(files.RunError, match=r"cannot read .*file\.json .No such file"):
        files.read_json(path)
    files.write_json(path, {"a": [1.5, None]})
    assert files.read_json(path) == {"a": [1.5, None]}
    path.write_text('{"a": 1, "a": 2}')
    with pytest.raises(files.RunError, match=r"file\.json is .* \('a' is given twice\)"):
        files.read_json(path)


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(files.RunError, match=f"cannot write {tmp_path}/file/x .*choose another"):
        files.write_atomic(tmp_path / "file" / "x", "text")


@pytest.mark.parametrize("name", ["replace", "fsync"])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, name):
    path = tmp_path / "file"
    files.write_atomic(path, "old")
    monkeypatch.setattr(os, name, no_space)
    with pytest.raises(files.RunError, match=rf"cannot write {path} \(No space left on device\)"):
        files.write_atomic(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["replace", "fsync"])
def test_a_write_that_is_interrupted_leaves_the_old_file(tmp_path, monkeypatch, name):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    path = tmp_path / "file"
    files.write_atomic(path, b"old")
    monkeypatch.setattr(os, name, interrupt)
    with pytest.raises(KeyboardInterrupt):
        files.write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_lock_has_one_holder_and_waits_for_those_who_look(tmp_path):
    lock = files.take_lock(tmp_path)
    assert files.holder(tmp_path) == str(os.getpid())
    with pytest.raises(files.RunError, match=f"held by a living process .pid {os.getpid()}"):
        files.take_lock(tmp_path)
    fcntl.flock(lock, fcntl.LOCK_SH)
    threading.Timer(0.03, os.close, [lock]).start()
    os.close(files.take_lock(tmp_path))
    assert files.holder(tmp_path) is None


WRITE = """
import os, pathlib, sys
from sigmaprop import files
os.fsync = lambda descriptor: None  # more writes a second; a killed process loses none
print("ready", flush=True)
for number in range(1_000_000):
    files.write_atomic(pathlib.Path(sys.argv[1]), bytes([number % 256]) * 1_000_000)
"""


def test_readers_and_killed_writers_see_whole_files_only(child, tmp_path):
    path = tmp_path / "file"
    for number in range(4):
        with child(WRITE, path):
            deadline = time.monotonic() + 0.05 + 0.013 * number
            while time.monotonic() < deadline or not path.exists():
                assert is_whole(path)
        assert is_whole(path)


def is_whole(path: Path) -> bool:
    content = path.read_bytes() if path.exists() else bytes(1_000_000)
    return content == content[:1] * 1_000_000


# The system lets a file grow to 500,000 bytes, then kills the writer or fails its write.
OVERFLOW = """
import pathlib, resource, signal, sys
from sigmaprop import files
signal.signal(signal.SIGXFSZ, getattr(signal, sys.argv[2]))
resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))
print("ready", flush=True)
files.write_atomic(pathlib.Path(sys.argv[1]), b"b" * 1_000_000)
"""


@pytest.mark.parametrize(
    ("action", "code", "num_files"), [("SIG_DFL", -signal.SIGXFSZ, 2), ("SIG_IGN", 1, 1)]
)
def test_a_writer_that_dies_or_fails_half_way_leaves_the_old_file(
    child, tmp_path, action, code, num_files
):
    path = tmp_path / "file"
    files.write_atomic(path, b"a" * 1000)
    with child(OVERFLOW, path, action) as process:
        assert process.wait(timeout=20) == code
    assert path.read_bytes() == b"a" * 1000
    assert len(list(tmp_path.iterdir())) == num_files
