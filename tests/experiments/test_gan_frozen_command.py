"""Frozen noise by the command: stopped, resumed, replayed and evaluated without its source."""

import contextlib
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
from sigmaprop.experiments.cli import launch
from sigmaprop.experiments.gan import constants, late
from sigmaprop.experiments.training import loop

import sigmaprop as library

OPTIONS = (
    *("gan", "--dataset", "linear_gaussian", "--data.dim", "3", "--data.num", "200"),
    *("--seeds", "2", "--steps", "40", "--batch-size", "8", "--latent-dim", "2"),
    *("--widths", "8", "--discriminator-widths", "8", "--eval-samples", "64"),
    *("--metrics-every", "5", "--evaluations", "4", "--gap-evaluations", "0"),
    *("--ema-decay", "0.9", "--checkpoint-seconds", "0.001"),
)
LEARNED = (
    *("--sweep.arm", "heteroscedastic", "per_pixel", "low_rank"),
    *("--sigma-learning-rate", "0.1"),
)
FROZEN = ("--sweep.arm", "zero", "frozen", "--frozen-from", "A", "--frozen-cell", "heteroscedastic")


@contextlib.contextmanager
def stopped(after):
    """Ctrl-C after the first checkpoint beyond a step of the whole run."""
    save = loop.checkpoints.save

    def interrupted(directory, step, *rest, **options):
        found = save(directory, step, *rest, **options)
        if step > after:
            signal.raise_signal(signal.SIGINT)
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop.checkpoints, "save", interrupted)
        yield


@contextlib.contextmanager
def no_pages():
    """Commands in this process draw none."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(launch, "_write_report", lambda *arguments: None)
        yield


def cut_and_resumed(sigmaprop, target, after, *words):
    with stopped(after):
        assert sigmaprop(*OPTIONS, *words, "--run-dir", target).status == 130
    return lambda: sigmaprop("resume", target)


def assert_same(first, second):
    one, other = (library.load(name).frame for name in (first, second))
    assert one.equals(other)
    for path in Path(first).glob("samples-*.npz"):
        assert path.read_bytes() == (Path(second) / path.name).read_bytes()


@pytest.mark.slow
@pytest.mark.usefixtures("pageless")
def test_a_stopped_run_has_the_same_means_over_its_last_fifth(sigmaprop):
    assert sigmaprop(*OPTIONS, *LEARNED, "--run-dir", "A").status == 0
    for after in (28, 36):  # before the first look, and between two
        resume = cut_and_resumed(sigmaprop, f"cut-{after}", after, *LEARNED)
        looks = list(Path(f"cut-{after}").glob("noise-0-*.npz"))
        assert bool(looks) == (after == 36)
        ended = resume()
        assert ended.status == 0, ended.err
        assert_same("A", f"cut-{after}")
        name = late.file_name(0)
        assert Path("A", name).read_bytes() == Path(f"cut-{after}", name).read_bytes()
        assert not list(Path(f"cut-{after}").glob("noise-0-*.npz"))


@pytest.mark.slow
def test_a_frozen_sigma_of_z_needs_its_source_no_longer(sigmaprop):
    with no_pages():
        trained_evaluated_and_replayed(sigmaprop)
    assert sigmaprop("report", "B", "--out", "page").status == 0
    assert "frozen" in Path("page", "report.html").read_text()


def trained_evaluated_and_replayed(sigmaprop):
    """B is a run whose source is gone."""
    assert sigmaprop(*OPTIONS, *LEARNED, "--run-dir", "A").status == 0
    ended = sigmaprop(*OPTIONS, *FROZEN, "--run-dir", "B")
    assert ended.status == 0, ended.err
    resume = cut_and_resumed(sigmaprop, "cut", 50, *FROZEN)  # in the second program
    shutil.rmtree("A")
    ended = resume()
    assert ended.status == 0, ended.err
    assert_same("B", "cut")
    ended = sigmaprop("replay", "B", "--run-dir", "again")
    assert ended.status == 0, ended.err
    assert "identical" in ended.out
    assert Path("again", constants.FILE).is_file()
    evaluated = sigmaprop(
        *("evaluate", "B", "--metrics", "energy", "--num-samples", "64", "--likelihood", "ais"),
        *("--num-examples", "4", "--refit-examples", "16", "--num-chains", "8"),
        *("--num-temperatures", "50", "--refit-steps", "20", "--run-dir", "evaluated"),
    )
    assert evaluated.status == 0, evaluated.err
    frame = library.load("evaluated").frame
    own = frame[(frame["arm"] == "frozen") & frame["metric"].isin(["energy", "ais"])]
    assert set(own["metric"]) == {"energy", "ais"}
    assert np.isfinite(own["value"].to_numpy()).all()
    ended = sigmaprop("gan", "--config", "B", "--run-dir", "anew")
    assert ended.status == 2
    assert "give --frozen-from RUN" in ended.err
    Path("again", constants.FILE).unlink()
    assert sigmaprop("replay", "again").status == 2
