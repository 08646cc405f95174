"""`sigmaprop bench metrics` on small samples: every line is measured and written."""

import json

import pytest


@pytest.fixture
def small(monkeypatch):
    from sigmaprop.experiments.bench import metrics

    for name, value in {"NUM": 200, "FEW": 100, "DIM": 5, "ROWS": 2}.items():
        monkeypatch.setattr(metrics, name, value)
    return metrics


@pytest.mark.slow
def test_every_line_is_measured(small, tmp_path):
    out = tmp_path / "bench.json"
    small.metrics(3, out)
    content = json.loads(out.read_text())
    text = json.dumps(content)
    for word in ("unbiased MMD", "energy distance", "Frechet", "a leapfrog step"):
        assert word in text


def test_the_command_names_its_own_options(sigmaprop):
    ended = sigmaprop("bench", "metrics", "--replicas", "2")
    assert ended.status == 2
    assert "--replicas 2 goes with `bench gan` only" in ended.err
