"""`sigmaprop bench metrics` on small samples: every line is measured and written."""

import pytest


@pytest.fixture
def small(monkeypatch):
    from sigmaprop.experiments.bench import metrics

    for name, value in {"NUM": 200, "FEW": 100, "DIM": 5, "ROWS": 2}.items():
        monkeypatch.setattr(metrics, name, value)
    return metrics


@pytest.mark.slow
def test_every_line_is_measured(small):
    found = small.metrics(3)
    text = " ".join(ratio.what for ratios in found.sections.values() for ratio in ratios)
    for word in ("unbiased MMD", "energy distance", "Frechet", "a leapfrog step"):
        assert word in text


def test_the_command_names_its_own_options(sigmaprop):
    ended = sigmaprop("bench", "metrics", "--replicas", "2")
    assert ended.status == 2
    assert "--replicas 2 goes with `bench gan` only" in ended.err
