"""Standard output that is full or closed ends no command; and what progress shows where."""

import io
import os
import subprocess
import sys
import time

import pytest
from rich.text import Text
from sigmaprop.experiments import progress, streams
from sigmaprop.experiments.terminal import Terminal

from sigmaprop import runs

MODULE = [sys.executable, "-m", "sigmaprop.experiments"]
FULL = os.path.exists("/dev/full")


def run(*words: object, redirect: str = "", env: dict[str, str] | None = None, **options):
    """A command under a shell that redirects its streams."""
    line = f'"$@" {redirect}'
    command = ["sh", "-c", line, "sh", *MODULE, *map(str, words)]
    environment = os.environ | (env or {})
    return subprocess.run(
        command, capture_output=True, text=True, timeout=100, env=environment, **options
    )


@pytest.mark.parametrize(
    ("redirect", "status", "complaints"),
    [
        pytest.param(">/dev/full", 1, 1, marks=pytest.mark.skipif(not FULL, reason="no /dev/full")),
        (">&-", 0, 0),
        ("<&- >&- 2>&-", 0, 0),
    ],
)
@pytest.mark.parametrize("words", [["--version"], ["limit", "--help"]])
def test_a_command_outlives_its_output(words, redirect, status, complaints):
    ended = run(*words, redirect=redirect)
    assert ended.returncode == status
    assert ended.stderr.count("standard output cannot be written") == complaints
    assert ended.stderr.count("\n") == complaints


@pytest.mark.parametrize("redirect", ["2>&-", "2>/dev/full"])
def test_a_refusal_outlives_its_error_stream(redirect):
    assert run("limit", "--nosuch", redirect=redirect).returncode == 2


@pytest.mark.slow
@pytest.mark.skipif(not FULL, reason="no /dev/full")
def test_a_run_is_complete_though_its_log_is_full(tmp_path, tiny):
    ended = run("limit", *tiny, "--run-dir", "run", redirect=">/dev/full", cwd=tmp_path)
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert "standard output cannot be written (No space left on device)" in ended.stderr
    assert runs.state(tmp_path / "run") == "complete"
    assert (tmp_path / "run" / "report.html").exists()


@pytest.mark.parametrize(
    "words",
    [
        ["limit", "--num-samples", "64"],
        pytest.param(["gan"], marks=pytest.mark.slow),
        pytest.param(["advise"], marks=pytest.mark.slow),
        pytest.param(["bench", "limit"], marks=pytest.mark.slow),
        pytest.param(["resume", "nowhere"], marks=pytest.mark.slow),
        pytest.param(["replay", "nowhere"], marks=pytest.mark.slow),
    ],
)
def test_a_backend_that_does_not_start_is_one_sentence(tmp_path, words):
    ended = run(*words, env={"JAX_PLATFORMS": "nosuch"}, cwd=tmp_path)
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert ended.stderr.startswith("sigmaprop: JAX does not start: ")
    assert "JAX_PLATFORMS is 'nosuch': unset it or name another" in ended.stderr
    assert os.listdir(tmp_path) == []


def test_the_doctor_explains_a_backend_that_does_not_start(tmp_path):
    ended = run("doctor", env={"JAX_PLATFORMS": "cuda"}, cwd=tmp_path)
    assert ended.returncode == 1
    assert ended.stderr == ""
    assert "none: JAX does not start" in ended.stdout
    assert "- no command that computes can run: JAX starts no device." in ended.stdout
    assert "JAX_PLATFORMS is 'cuda': unset it, or set JAX_PLATFORMS=cpu" in ended.stdout


class Broken(io.StringIO):
    """A stream on which writing fails as told."""

    def __init__(self, error: OSError):
        super().__init__()
        self.error = error

    def write(self, text: str) -> int:
        raise self.error


def test_what_is_lost_is_said_once():
    said = []
    stream = streams.Enduring(Broken(OSError(28, "No space left on device")), said.append)
    for _ in range(3):
        print("line", file=stream)
        stream.flush()
    assert len(said) == 1
    assert "(No space left on device)" in said[0]
    assert stream.lost is not None


def test_a_closed_pipe_ends_a_command_but_no_run():
    stream = streams.Enduring(Broken(BrokenPipeError(32, "Broken pipe")))
    with pytest.raises(BrokenPipeError):
        stream.write("line")
    stream.outlives_pipe = True
    stream.write("line")
    assert stream.lost is not None


LONG = "step 123,456: D 0.69 G 0.70, sigma zero 0 fixed 0.1 global 0.0512 per_pixel 0.0322 " * 3


@pytest.mark.parametrize("width", [80, 60])
@pytest.mark.parametrize("what", ["compiling", LONG])
def test_a_bar_keeps_its_share_and_times(width, what):
    out = io.StringIO()
    terminal = Terminal(width=width, force_terminal=True, file=out)
    with progress.Bar(terminal, "replica-steps") as bar:
        shown = progress.BarProgress(bar, 40_000_000, terminal)
        shown(what, 12_000_000)
        bar.refresh()
    *_, share, text = Text.from_ansi(out.getvalue()).plain.splitlines()
    assert len(share) <= width
    assert len(text) <= width
    assert " 30% 0:00:00 left " in share
    assert share.count("━") > 10
    assert text.startswith(f"  12,000,000 of 40,000,000 replica-steps, {what[:9]}")
    assert text.endswith("…" if what == LONG else "compiling")


def test_a_bar_counts_figures():
    out = io.StringIO()
    terminal = Terminal(width=80, force_terminal=True, file=out)
    with progress.telling(terminal, None, "figures") as told:
        told.figures(0, 43)
        told.figures(12, 36)
    assert "  12 of 36 figures, drawing" in Text.from_ansi(out.getvalue()).plain


def lines_of(monkeypatch, period: float) -> tuple[io.StringIO, Terminal]:
    monkeypatch.setattr(progress, "PLAIN_PERIOD", period)
    out = io.StringIO()
    return out, Terminal(width=80, file=out)


def test_lines_come_while_nothing_calls(monkeypatch):
    out, terminal = lines_of(monkeypatch, 0.05)
    with progress.telling(terminal, 100, "samples") as told:
        told("compiling")
        deadline = time.monotonic() + 20
        while out.getvalue().count("\n") < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
    lines = out.getvalue().splitlines()
    assert lines[0] == "compiling: 0 of 100 samples"
    assert all(line.startswith("compiling: 0 of 100 samples") for line in lines)
    assert len(lines) >= 3
    assert "s so far" in lines[2]


def test_what_is_over_at_once_is_not_told(monkeypatch):
    out, terminal = lines_of(monkeypatch, 5.0)
    with progress.waiting(terminal, "preparing"):
        pass
    assert out.getvalue() == ""


def test_figures_are_counted_in_lines(monkeypatch):
    out, terminal = lines_of(monkeypatch, 0.0)
    plain = progress.PlainProgress(terminal, None, "figures")
    for drawn, total in ((0, 43), (12, 36), (36, 36)):
        plain.figures(drawn, total)
    lines = out.getvalue().splitlines()
    assert lines[0] == "drawing: 0 of 43 figures"
    assert lines[1].startswith("drawing: 12 of 36 figures")
    assert lines[2] == "drawing: 36 of 36 figures"
