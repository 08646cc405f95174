"""Signals that wait until the work is saved."""

import dataclasses
import json
import os
import signal
import threading
from typing import Any

import pytest

from sigmaprop import runs
from sigmaprop.runs.signals import Stop, deferred


@dataclasses.dataclass(frozen=True)
class Config:
    seed: int = 0


ALL = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def send(number: int) -> None:
    os.kill(os.getpid(), number)


def handlers() -> list:
    return [signal.getsignal(number) for number in ALL]


@pytest.fixture(autouse=True)
def defaults(monkeypatch):
    """The handlers of a plain process, before and after."""
    monkeypatch.setattr("sigmaprop.runs.run.environment", lambda seed: {})
    before = handlers()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    assert handlers() == [signal.default_int_handler, signal.SIG_DFL, signal.SIG_DFL]
    for number, handler in zip(ALL, before, strict=True):
        signal.signal(number, handler)


def test_nothing_is_asked_for_at_first():
    with deferred() as stop:
        stop.raise_if_requested()
        assert stop.requested is None


@pytest.mark.parametrize(
    ("number", "error"),
    [
        (signal.SIGINT, KeyboardInterrupt),
        (signal.SIGTERM, runs.Terminated),
        (signal.SIGHUP, runs.Terminated),
    ],
)
def test_a_signal_waits_until_it_is_asked_for(number, error):
    saved = []

    def work():
        with deferred() as stop:
            send(number)
            saved.append(stop.requested)
            stop.raise_if_requested()
            pytest.fail("it was to be raised")

    with pytest.raises(error) as caught:
        work()
    assert saved == [number]
    if number != signal.SIGINT:
        assert caught.value.code == 128 + number


def test_a_signal_that_nobody_asks_for_is_raised_at_the_end():
    with pytest.raises(KeyboardInterrupt), deferred():
        send(signal.SIGINT)


def test_an_error_of_the_work_goes_before_a_signal():
    def work():
        with deferred():
            send(signal.SIGINT)
            raise KeyError

    with pytest.raises(KeyError):
        work()


@pytest.mark.parametrize("first", ALL)
def test_ctrl_c_after_another_signal_raises_at_once(first):
    with deferred() as stop:
        send(first)
        with pytest.raises(KeyboardInterrupt):
            send(signal.SIGINT)
        assert stop.requested == first
        stop.requested = None


def test_repeated_sigterm_waits():
    with deferred() as stop:
        send(signal.SIGTERM)
        send(signal.SIGTERM)
        assert stop.requested == signal.SIGTERM
        stop.requested = None


def assert_left_alone(number: int, handler: Any) -> None:
    """A signal that has this handler asks no work to stop."""
    before = signal.signal(number, handler)
    try:
        with deferred() as stop:
            send(number)
            assert stop.requested is None
    finally:
        signal.signal(number, before)


@pytest.mark.parametrize("number", ALL)
def test_what_a_process_was_started_to_ignore_stays_ignored(number):
    """As `nohup` does with SIGHUP, and a shell with Ctrl-C of what it puts into the background."""
    assert_left_alone(number, signal.SIG_IGN)


@pytest.mark.parametrize("number", ALL)
def test_handlers_of_the_host_program_are_left_alone(number):
    seen = []
    assert_left_alone(number, lambda *arguments: seen.append(arguments[0]))
    assert seen == [number]


def test_other_threads_change_nothing():
    found = []

    def work():
        with deferred() as stop:
            found.extend([handlers(), stop])

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found[0] == handlers()
    assert isinstance(found[1], Stop)


@pytest.mark.parametrize(
    ("number", "error", "reason"),
    [
        (signal.SIGINT, KeyboardInterrupt, "Ctrl-C"),
        (signal.SIGTERM, runs.Terminated, "SIGTERM"),
        (signal.SIGHUP, runs.Terminated, "SIGHUP"),
    ],
)
def test_a_run_records_a_signal_that_waited(tmp_path, number, error, reason):
    run = runs.create(tmp_path / "run", "limit", Config())

    def work():
        with run, deferred() as stop:
            send(number)
            runs.write_atomic(run.directory / "saved", "")
            stop.raise_if_requested()

    with pytest.raises(error):
        work()
    assert (run.directory / "saved").exists()
    status = json.loads((run.directory / "status.json").read_text())
    assert (status["status"], status["reason"]) == ("interrupted", reason)


def test_a_run_that_begins_inside_leaves_the_handler(tmp_path):
    run = runs.create(tmp_path / "run", "limit", Config())

    def work():
        with deferred() as stop, run:
            send(signal.SIGTERM)
            stop.raise_if_requested()

    with pytest.raises(runs.Terminated):
        work()
    assert runs.state(run.directory) == "interrupted"


CHUNKS = """
import dataclasses, pathlib, signal, sys, time
from sigmaprop import runs
from sigmaprop.runs import run as run_module
from sigmaprop.runs import signals
run_module.environment = lambda seed: {}
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background shell has it ignored
Config = dataclasses.make_dataclass("Config", [("steps", int, 1)], frozen=True)
with runs.create(pathlib.Path(sys.argv[1]), "limit", Config()) as run, signals.deferred() as stop:
    print("ready", flush=True)
    for step in range(1000):
        time.sleep(0.02)
        if stop.requested is not None:
            runs.write_atomic(run.directory / "saved", str(step))
        stop.raise_if_requested()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGTERM, 128 + signal.SIGTERM),
        (signal.SIGHUP, 128 + signal.SIGHUP),
        (signal.SIGINT, -signal.SIGINT),
    ],
)
def test_a_process_saves_before_it_ends(child, tmp_path, number, code):
    with child(CHUNKS, tmp_path / "run") as process:
        process.send_signal(number)
        assert process.wait(timeout=20) == code
    assert (tmp_path / "run" / "saved").exists()
    assert runs.state(tmp_path / "run") == "interrupted"
