"""`sigmaprop estimators` and `replay`, in this process."""

import json

import numpy as np
import pytest
from sigmaprop.experiments.estimators import run as experiment
from sigmaprop.experiments.estimators.config import ESTIMATORS_PRESETS, EstimatorsConfig

from sigmaprop import estimators, runs
from sigmaprop.runs import own_sources

TINY = (
    *("--studies", "grid", "--objective", "quartic", "--dim", "2", "--sigmas", ".5", ".1"),
    *("--estimators", "pathwise", "score_function+leave_one_out", "--noise", "iid"),
    *("--num-samples", "256", "--replicates", "16"),
)


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """The run directory of a small finished comparison; not to be changed."""
    from sigmaprop.experiments.cli.main import main

    directory = tmp_path_factory.mktemp("compared") / "run"
    with pytest.raises(SystemExit) as caught:
        main(["estimators", *TINY, "--run-dir", str(directory)])
    assert caught.value.code == 0
    return directory


def rows(directory, **which):
    found = runs.read_metrics(directory).to_pylist()
    return [row for row in found if all(row[name] == value for name, value in which.items())]


def test_a_run_leaves_everything(compared):
    names = {path.name for path in compared.iterdir()}
    assert names >= {"config.json", "environment.json", "metrics.parquet", "conclusions.json"}
    assert names >= {"report.html", "figures", "status.json", "manifest.json"}
    assert runs.state(compared) == "complete"


def test_the_table_holds_the_exact_gradient_of_what_was_asked(compared):
    # E sum x^4 = sum m^4 + 6 m^2 s^2 + 3 s^4: pathwise is unbiased, so the bias along the gradient
    # lies within 5 standard errors; 2 sigmas x 2 parts: a false alarm in 4e-6.
    biases = rows(compared, estimator="pathwise", metric="bias")
    assert len(biases) == 4
    assert all(abs(row["value"]) < 5 * row["error"] for row in biases)


def test_efficiency_is_one_over_variance_and_time(compared):
    for wrt in ("mean", "scale"):
        (variance,) = rows(compared, estimator="pathwise", metric="variance", wrt=wrt, sigma=0.5)
        (efficiency,) = rows(
            compared, estimator="pathwise", metric="efficiency", wrt=wrt, sigma=0.5
        )
        (seconds,) = rows(compared, estimator="pathwise", metric="seconds")
        product = efficiency["value"] * variance["value"] * seconds["value"]
        assert abs(product - 1) < 1e-12


def test_the_reported_variance_is_beside_the_measured_one(compared):
    # Ratio of two variances: of 16 replicates and of 16 x 256 draws. The first has a relative
    # error of about sqrt(2 / 15 / D) and more for heavy tails; a factor of 4 is a gross error.
    for row in rows(compared, metric="variance"):
        assert 0.25 < row["value"] / row["theory"] < 4


def test_replay_gives_the_same_bits_where_no_clock_goes_in(compared, sigmaprop, tmp_path):
    ended = sigmaprop("replay", compared, "--run-dir", "again")
    assert ended.status == 0, ended.out
    assert "that no clock goes into" in ended.out
    assert json.loads((tmp_path / "again" / "status.json").read_text())["status"] == "complete"


def test_replay_sees_another_number(compared, sigmaprop, monkeypatch):
    original = experiment.studies.cell_rows

    def other(*arguments):
        found = original(*arguments)
        return [found[0]._replace(value=found[0].value + 1e-9), *found[1:]]

    monkeypatch.setattr(experiment.studies, "cell_rows", other)
    ended = sigmaprop("replay", compared, "--run-dir", "again")
    assert ended.status == 1
    assert "different: 2 of" in ended.out  # one cell an estimator


@pytest.mark.usefixtures("pageless")
def test_an_own_function_is_kept_with_the_run(sigmaprop, tmp_path):
    (tmp_path / "mine.py").write_text(
        "import jax.numpy as jnp\n\ndef f(x):\n    return jnp.sum(x)\n"
    )
    small = ["--dim", "2", "--sigmas", ".5", "--estimators", "pathwise", "--noise", "iid"]
    options = ["--studies", "grid", "--objective", "mine.py:f", *small, "--replicates", "8"]
    ended = sigmaprop("estimators", *options, "--num-samples", "32", "--run-dir", "own")
    assert ended.status == 0, ended.err
    kept = json.loads((tmp_path / "own" / own_sources.SOURCES).read_text())
    assert "jnp.sum(x)" in kept["mine.py:f"]["source"]
    (tmp_path / "mine.py").write_text(
        "import jax.numpy as jnp\n\ndef f(x):\n    return 2 * jnp.sum(x)\n"
    )
    ended = sigmaprop("replay", "own", "--run-dir", "again")
    assert ended.status == 2
    (line,) = ended.err.splitlines()
    assert f"{tmp_path / 'mine.py'} is not what own used and is not run" in line
    assert "own/own_objectives.json" in line
    assert not (tmp_path / "again").exists()


def test_presets_are_sound():
    for config in ESTIMATORS_PRESETS.values():
        plan = experiment.prepare(config)
        assert np.all(np.diff(plan.sigmas) < 0)
        for setting in plan.settings:
            assert setting.estimator.label in estimators.labels()
        for label in config.logistic_estimators:
            estimators.parse(label)


def test_counts_are_rounded_to_whole_units():
    config = EstimatorsConfig(
        noise=("iid", "antithetic", "sobol"), num_samples=(101,), estimators=("pathwise",)
    )
    counts = {s.noise: s.num_samples for s in experiment.choose_settings(config)}
    assert counts == {"iid": 101, "antithetic": 100, "sobol": 64}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--estimators pathwize", ("'pathwize'", "'pathwise'")),
        ("--estimators score_function+moving_average", ("moving_average", "logistic")),
        ("--objective sin", ("'sin'", "'sine'")),
        ("--objective nowhere.py:f", ("nowhere.py",)),
        ("--sigmas 0", ("--sigmas is 0",)),
        ("--num-samples 8", ("--num-samples is 8", "32")),
        ("--rank 9 --gaussian low_rank", ("--rank is 9", "8")),
        ("--replicates 2", ("--replicates is 2",)),
        ("--noise orthogonal --estimators measure_valued", ("'orthogonal'", "'measure_valued'")),
        ("--gaussian diagonl", ("diagonl", "diagonal")),
        ("--studies grd", ("grd", "grid")),
    ],
)
def test_bad_options_are_refused_in_one_sentence(sigmaprop, tmp_path, options, words):
    ended = sigmaprop("estimators", *options.split(), "--run-dir", "run")
    assert ended.status == 2
    assert len(ended.err.splitlines()) == 1
    assert all(word in ended.err for word in words)
    assert not (tmp_path / "run").exists()
