"""The benchmark's arithmetic and verdicts, and each measurement at a small size."""

import json

import numpy as np
import pytest


@pytest.fixture
def bench(monkeypatch):
    from sigmaprop.experiments.bench import limit as bench

    monkeypatch.setattr(bench, "NUM_SAMPLES", 2**10)
    monkeypatch.setattr(bench, "NUM_SIGMAS", 2)
    return bench


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(0.8, 1.0, "met"), (0.8, 1.2, "not resolved"), (1.1, 1.2, "missed")],
)
def test_verdicts_follow_the_quartiles(low, high, verdict):
    from sigmaprop.experiments.bench import ratios

    assert ratios.verdict(low, high, 1.0) == verdict


def test_ratios_are_of_times_taken_in_turns(monkeypatch):
    from sigmaprop.experiments.bench import timing

    # Times as if the machine slowed down 10 times half way: ratios taken in turns do not see it.
    durations = iter([3.0, 1.0, 3.0, 1.0, 30.0, 10.0, 30.0, 10.0])
    monkeypatch.setattr(timing, "timed", lambda program: next(durations))
    program = timing.Program("a", lambda: None)
    found = timing.compare(program, [(program, 2.0)], 4, 1.6)
    assert (found.median, found.low, found.high, found.verdict) == (1.5, 1.5, 1.5, "met")


def test_every_measurement_runs(bench):
    from sigmaprop.experiments.bench import report

    ratios = [*bench._against_normals(3), *bench._against_others(3)]
    assert len(ratios) == 6
    assert all(np.isfinite(ratio.median) and ratio.median > 0 for ratio in ratios)
    assert report.table(ratios, "ratios").row_count == 6


def test_the_numpy_sweep_and_the_stored_sweep_are_the_quartic(bench):
    # What the sweep is compared with must compute the same thing: 4 (x + sigma eps)^3 on average.
    objective = bench._objective("quartic")
    import jax

    assert np.allclose(jax.grad(objective)(objective.point), 4 * objective.point**3, rtol=1e-5)


@pytest.mark.slow
def test_a_childs_peak_memory_is_its_own(bench):
    from sigmaprop.experiments.bench import timing

    # Held here, 600 MiB must not count for the child, which needs about 300.
    held = np.ones(600 * 2**17)
    peak = timing.peak_mebibytes(bench.__name__, 2**10, 8)
    assert held.sum() > 0
    assert 50 < peak < 600


@pytest.mark.slow
def test_the_command_prints_and_writes_ratios(sigmaprop, tmp_path, bench, monkeypatch):
    monkeypatch.setattr(bench, "_memory", list)
    monkeypatch.setattr(bench.objectives, "names", lambda: ("quartic", "digit_classifier"))
    ended = sigmaprop("bench", "limit", "--repeats", 3, "--out", tmp_path / "bench.json")
    assert ended.status in (0, 1)
    assert "load average" in ended.out
    content = json.loads((tmp_path / "bench.json").read_text())
    assert len(content["ratios"]) == 3 + 2 * 2 + 5 + 3
    assert content["environment"]["versions"]["jax"]
