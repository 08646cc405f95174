"""Files are whole or absent, whatever ends the writer; JSON is read strictly."""

import errno
import fcntl
import os
import signal
import socket
import threading
import time
from pathlib import Path

import pytest

from sigmaprop import names
from sigmaprop.runs import files


def no_space(*arguments):
    raise OSError(28, "No space left on device")


def test_an_error_is_one_line():
    assert str(files.RunError("first\nsecond")) == "first second"


def test_an_error_repeats_nothing_of_thousands_of_characters():
    path = "/".join(["x" * 200] * 25)
    message = str(files.RunError(f"cannot read {path} (why); do this"))
    assert len(message) < 500
    assert message.endswith("x (why); do this")
    assert str(files.RunError(f"cannot read {path[:500]}")) == f"cannot read {path[:500]}"


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


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (errno.ENOSPC, "make room for it or choose another --run-dir"),
        (errno.EDQUOT, "make room for it or choose another --run-dir"),
        (errno.EFBIG, "make room for it or choose another --run-dir"),
        (errno.EACCES, "choose another --run-dir"),
        (errno.EROFS, "choose another --run-dir"),
        (errno.ENAMETOOLONG, "choose another --run-dir, of a shorter name"),
        (None, "choose another --run-dir"),
    ],
)
def test_room_is_asked_for_only_where_it_lacks(code, advice):
    with pytest.raises(files.RunError) as caught, files.writing(Path("file")):
        raise OSError(code, "the reason")
    assert str(caught.value) == f"cannot write file (the reason); {advice}"


def test_a_name_that_is_too_long_is_one_sentence(tmp_path):
    path = tmp_path / ("x" * 300)
    for call in (files.exists, files.read_json):
        with pytest.raises(files.RunError, match=r"cannot read .*File name too long"):
            call(path)
    with pytest.raises(files.RunError, match=r"cannot write .*File name too long.*shorter name"):
        files.write_atomic(path, "")
    longest = tmp_path / ("y" * 250)  # its temporary name must not be too long either
    files.write_atomic(longest, "text")
    assert longest.read_text() == "text"
    assert not files.exists(tmp_path / "absent" / "file")
    assert not files.exists(longest / "file")
    assert not files.exists(Path("a\0b"))


@pytest.fixture(params=["fifo", "socket", "/dev/zero", "directory", "nul"])
def odd(request, tmp_path):
    """What is no regular file."""
    path = tmp_path / "odd"
    if request.param == "fifo":
        os.mkfifo(path)
    elif request.param == "socket":
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(str(path))
    elif request.param == "directory":
        path.mkdir()
    elif request.param == "nul":
        path = tmp_path / "a\0b"
    else:
        path.symlink_to(request.param)
    return path


def test_only_regular_files_are_read_and_nothing_waits(odd):
    for call in (files.open_regular, files.read_regular, files.sha256):
        with pytest.raises(OSError, match=r"it is a FIFO, socket or device|directory|null"):
            call(odd)
    with pytest.raises(files.RunError, match="cannot read"):
        files.read_json(odd)


def test_a_lock_that_is_no_file_is_nobodys_and_cannot_be_taken(tmp_path):
    os.mkfifo(tmp_path / "lock")
    assert files.holder(tmp_path) is None
    with pytest.raises(files.RunError, match=r"cannot write .*it is a FIFO"):
        files.take_lock(tmp_path)


def test_a_file_that_is_far_too_large_is_not_read(tmp_path, monkeypatch):
    path = tmp_path / "config.json"
    with open(path, "wb") as file:
        file.truncate(2**40)  # of no blocks
    with pytest.raises(files.RunError, match="it has more than 67,108,864 bytes"):
        files.read_json(path)


def test_what_was_written_follows_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        files.write_atomic(tmp_path / "file", "text")
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


@pytest.mark.slow
def test_temporary_files_of_the_dead_are_removed(tmp_path, monkeypatch, child):
    with child(OVERFLOW, tmp_path / "below" / "file", "SIG_DFL") as process:
        assert process.wait(timeout=20) == -signal.SIGXFSZ
    (left,) = (tmp_path / "below").iterdir()
    mine = tmp_path / f".file.{os.getpid()}-1.tmp"
    mine.touch()
    (tmp_path / ".file.tmp").touch()
    files.remove_temporary(tmp_path)
    assert not left.exists()
    assert mine.exists()
    assert (tmp_path / ".file.tmp").exists()


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("/proc/kcore", "which lies outside"),  # a regular file of 128 TiB
        ("../file", "which lies outside"),
        ("none", "is missing"),
        ("file/none", "is missing"),
        ("x" * 300, "File name too long"),
        ("fifo", "it is a FIFO"),
        ("file", "was altered"),
    ],
)
def test_a_manifest_of_somebody_elses_is_one_sentence_at_once(tmp_path, name, part):
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "fifo")
    files.write_json(tmp_path / "manifest.json", files.sealed({name: "0"}))
    with pytest.raises(files.RunError, match=part):
        files.verify_manifest(tmp_path)


def test_long_values_are_shown_short():
    assert names.shown("abc") == "'abc'"
    for value in ("9" * 5000, 10**4000, b"x" * 5000, list(range(5000)), Path("x" * 5000)):
        assert len(names.shown(value)) <= 100


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
from sigmaprop.runs import files
from sigmaprop import names
os.fsync = lambda descriptor: None  # more writes a second; a killed process loses none
print("ready", flush=True)
for number in range(1_000_000):
    files.write_atomic(pathlib.Path(sys.argv[1]), bytes([number % 256]) * 1_000_000)
"""


@pytest.mark.slow
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
from sigmaprop.runs import files
from sigmaprop import names
signal.signal(signal.SIGXFSZ, getattr(signal, sys.argv[2]))
resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))
print("ready", flush=True)
files.write_atomic(pathlib.Path(sys.argv[1]), b"b" * 1_000_000)
"""


@pytest.mark.slow
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
