"""`sigmaprop evaluate` from the command line to both pages, against models whose truth is known."""

import json
import shutil

import jax.numpy as jnp
import numpy as np
import pytest

import sigmaprop as package
from sigmaprop import data, likelihood
from sigmaprop.data.options import DataOptions

OPTIONS = (
    *("--metrics", "energy", "c_t", "--num-samples", "64", "--halves", "3"),
    *("--likelihood", "ais", "parzen", "--num-examples", "6", "--refit-examples", "16"),
    *("--num-chains", "16", "--num-temperatures", "100", "--refit-steps", "20"),
)


def ended(*words):
    from sigmaprop.experiments.cli.main import main

    with pytest.raises(SystemExit) as caught:
        main([str(word) for word in words])
    return caught.value.code


@pytest.fixture(scope="module")
def trained(tmp_path_factory, without_pages):
    """A GAN whose generator is linear: its likelihood has a closed form."""
    directory = tmp_path_factory.mktemp("evaluate") / "gan"
    options = "--dataset linear_gaussian --generator linear --latent-dim 2 --steps 20 --seeds 2"
    options += " --sweep.arm zero fixed --sigma 0.3 --eval-samples 64 --evaluations 1"
    options += " --gap-evaluations 0"
    with without_pages():
        assert ended("gan", *options.split(), "--run-dir", directory) == 0
    return directory


@pytest.fixture(scope="module")
def evaluated(trained):
    """Its evaluation, below the run."""
    assert ended("evaluate", trained, *OPTIONS) == 0
    (found,) = (trained / "evaluations").iterdir()
    return found


def test_every_replica_is_scored_three_times(evaluated):
    frame = package.load(evaluated).frame
    own = frame[(frame["replica"] >= 0) & frame["metric"].isin(["energy", "c_t"])]
    assert len(own) == 4 * 2 * 2 * 3  # replicas, metrics, weights, kinds
    assert np.isfinite(own["value"].to_numpy()).all()
    assert (own["error"].to_numpy() >= 0).all()
    assert (own[own["metric"] == "energy"]["error"].to_numpy() > 0).all()
    assert set(own["arm"]) == {"zero", "fixed"}
    real = frame[frame["replica"] < 0]
    assert set(real["of"]) == {"median", "percentile_95"}


def test_some_seeds_and_one_kind_of_weights_have_the_numbers_that_they_have_among_all(
    trained, evaluated, tmp_path
):
    directory = tmp_path / "some"
    words = ("--seeds", "1", "--weights", "last", "--run-dir", directory)
    only = (
        "--metrics",
        "energy",
        "c_t",
        "--likelihood",
        "ais",
        *OPTIONS[OPTIONS.index("parzen") + 1 :],
    )
    rest = ("--num-samples", "64", "--halves", "3")
    assert ended("evaluate", trained, *only, *rest, *words) == 0
    some, whole = (package.load(one).frame for one in (directory, evaluated))
    keys = ["replica", "metric", "of", "weights"]
    merged = some.merge(whole, on=keys, suffixes=("", "_whole"))
    assert len(merged) == len(some)
    own = merged[merged["replica"] >= 0]
    assert set(own["seed"]) == {0}
    assert set(own["weights"]) == {"last"}
    assert len(own) == 2 * (2 * 3 + 2 + 1)  # cells; metrics of three kinds, ais of two, the sigma
    np.testing.assert_array_equal(merged["value"], merged["value_whole"])


def test_without_noise_mean_and_sample_are_one(evaluated):
    frame = package.load(evaluated).frame
    zero = frame[(frame["arm"] == "zero") & (frame["metric"] == "energy")]
    table = zero.pivot_table(index=["replica", "weights"], columns="of", values="value")
    np.testing.assert_array_equal(table["mean"], table["x"])
    trained = frame[(frame["arm"] == "zero") & (frame["metric"] == "ais") & (frame["of"] == "x")]
    assert trained["value"].isna().all()  # no density
    again = frame[(frame["metric"] == "ais") & (frame["of"] == "refitted")]
    assert np.isfinite(again["value"].to_numpy()).all()


def test_the_likelihood_is_that_of_the_linear_decoder(trained, evaluated):
    """Within 5 standard errors of 16 chains, which are at most 1 nat an example."""
    frame = package.load(evaluated).frame
    with np.load(trained / "model-0.npz") as file:
        arrays = {name: file[name] for name in file.files}
    kernel = next(v for k, v in arrays.items() if "'last'" in k and "kernel" in k)
    bias = next(v for k, v in arrays.items() if "'last'" in k and "bias" in k)
    dataset = data.load("linear_gaussian", DataOptions())
    x = jnp.asarray(dataset.x[dataset.splits.test[:6]])
    for one in frame[(frame["metric"] == "ais") & (frame["weights"] == "last")].itertuples():
        if one.arm == "zero" and one.of == "x":
            continue
        sigma = 0.3
        if one.of == "refitted":
            chosen = (frame["metric"] == "refitted_sigma") & (frame["weights"] == "last")
            sigma = float(frame[chosen & (frame["replica"] == one.replica)]["value"].iloc[0])
        row = int(one.replica)
        noise = package.Isotropic(jnp.asarray(bias[row]), jnp.asarray(sigma, jnp.float32))
        exact = likelihood.exact(likelihood.LinearDecoder(kernel[row].T, noise), x)
        assert abs(np.mean(exact.log_prob) - float(one.value)) < 5 / np.sqrt(6)


def test_both_pages_have_it(trained, evaluated):
    page = (trained / "report.html").read_text()
    assert f"Evaluation {evaluated.name}" in page
    own = (evaluated / "report.html").read_text()
    assert "energy distance" in own
    assert "sigma refitted" in own


def test_the_run_keeps_its_own_numbers(trained, evaluated):
    assert (evaluated / "metrics.parquet").is_file()
    names = set(package.load(trained).frame["metric"])
    assert "energy" not in names
    assert "ais" not in names


@pytest.mark.usefixtures("pageless")
def test_an_evaluation_that_was_stopped_goes_on_to_the_same_bits(
    trained, evaluated, sigmaprop, monkeypatch
):
    from sigmaprop.experiments.evaluate import run as experiment

    whole = experiment._METHODS["ais"]

    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setitem(experiment._METHODS, "ais", interrupted)
    assert sigmaprop("evaluate", trained, *OPTIONS, "--run-dir", "again").status == 130
    monkeypatch.setitem(experiment._METHODS, "ais", whole)
    scored = []
    scores = experiment._scores

    def counted(config, plan, model, sigma):
        scored.append(model.weights)
        return scores(config, plan, model, sigma)

    monkeypatch.setattr(experiment, "_scores", counted)
    assert sigmaprop("resume", "again").status == 0
    assert scored == ["average"]  # the others were there
    one, other = (package.load(path).frame for path in (evaluated, "again"))
    np.testing.assert_array_equal(one["value"].to_numpy(), other["value"].to_numpy())
    np.testing.assert_array_equal(one["error"].to_numpy(), other["error"].to_numpy())


@pytest.mark.slow
def test_the_gap_between_bounds_is_small_and_not_below_0_but_by_chance(trained, sigmaprop):
    """Of 16 chains and 100 temperatures on a linear decoder of two latents, in every replica.

    A mean of 8 gaps may fall below 0 by its standard error; 5 of them never. Chains that were not
    annealed at all would be tens of nats apart.
    """
    words = "--metrics --likelihood bdmc --num-examples 8 --num-temperatures 100 --refit-steps 20"
    assert sigmaprop("evaluate", trained, *words.split(), "--run-dir", "gap").status == 0
    frame = package.load("gap").frame
    gaps = frame[frame["metric"] == "bdmc"]
    silent = (gaps["arm"] == "zero") & (gaps["of"] == "x")
    assert gaps[silent]["value"].isna().all()  # no density
    found = gaps[~silent]
    assert len(found) == 2 * (4 + 2)  # weights; refitted, and as trained of the arm with noise
    assert (found["value"] > -5 * found["error"]).all()
    assert (found["value"] < 5.0).all()


@pytest.mark.slow
def test_a_head_is_refitted_and_each_family_explains_validation_examples(trained, sigmaprop):
    """By the closed form no one number beats the best; more numbers fit 500 examples better.

    Metrics, windows and bounds take every family; a number alone is as before, which the others
    reach within 1 nat, for the noise of these data is one number.
    """
    words = "--metrics energy --num-samples 64 --halves 2 --likelihood ais parzen --num-examples 8"
    words += " --num-temperatures 60 --num-chains 8 --refit-steps 100 --refit-examples 500"
    found = {}
    for family in ("isotropic", "diagonal", "head"):
        options = (*words.split(), "--refit-family", family, "--run-dir", family)
        assert sigmaprop("evaluate", trained, *options).status == 0
        frame = package.load(family).frame
        own = frame[(frame["of"] == "refitted") & (frame["weights"] == "last")]
        found[family] = own.pivot_table(index="replica", columns="metric", values="value")
        assert np.isfinite(found[family].to_numpy()).all()
    for family in ("diagonal", "head"):
        far = (found[family] - found["isotropic"])[["ais", "parzen"]].abs()
        assert (far < 2.0).all(axis=None)
        assert (far["ais"] > 0).all()  # another fit


@pytest.mark.slow
def test_a_vae_is_evaluated_by_its_encoder_too(sigmaprop):
    options = "--preset demo --steps 40 --seeds 1 --sweep.arm unit global --eval-draws 4"
    assert sigmaprop("vae", *options.split(), "--run-dir", "vae").status == 0
    words = "--metrics energy --num-samples 64 --halves 2 --likelihood iwae ais --num-examples 4"
    words += " --num-temperatures 60 --num-chains 8 --refit-steps 10 --refit-examples 16"
    words += " --importance-samples 200"
    assert sigmaprop("evaluate", "vae", *words.split(), "--run-dir", "found").status == 0
    frame = package.load("found").frame
    own = frame[frame["replica"] >= 0].pivot_table(
        index=["replica", "of"], columns="metric", values="value"
    )
    both = own[["iwae", "ais"]].dropna()
    assert len(both) == 4
    average = sigmaprop("evaluate", "vae", "--weights", "average", "--run-dir", "none")
    assert (average.status, "give last or both" in average.err) == (2, True)
    # The bound lies below, on average: 4 examples of a standard error of 1 nat at most each.
    assert (both["iwae"] < both["ais"] + 5 * 2 / np.sqrt(4)).all()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "evaluate needs RUN"),
        (["{run}", "--likelihood", "iwae"], "--likelihood iwae needs the encoder of a vae"),
        (["{run}", "--likelihood", "bdmc", "--num-examples", "1"], "give 2 or more"),
        (["{run}", "--metrics", "mmd"], "unknown metric 'mmd'; did you mean 'mmd2'"),
        (["{run}", "--metrics", "num_modes"], "which needs the mixture"),
        (["{run}", "--metrics"], "--metrics and --likelihood are both empty"),
        (["{run}", "--num-samples", "3"], "--num-samples is 3; it must lie between 32"),
        (["{run}", "--features", "classifier"], "need a data set with classes"),
        (["{run}", "--seeds", "3"], "--seeds is 3; {run} has 2: give that at most"),
        (["nowhere"], "nowhere"),
        (["{run}", "twice"], "unexpected word 'twice'"),
    ],
)
def test_bad_options_are_one_sentence(trained, sigmaprop, words, told):
    found = sigmaprop("evaluate", *(word.format(run=trained) for word in words))
    assert found.status == 2
    assert told.format(run=trained) in found.err
    assert found.err.count("\n") == 1


def test_runs_that_cannot_be_evaluated_are_refused(trained, finished, sigmaprop, tmp_path):
    other = sigmaprop("evaluate", finished)
    assert (other.status, "is a run of limit; give one of gan or vae" in other.err) == (2, True)
    copy = tmp_path / "copy"
    shutil.copytree(trained, copy, ignore=shutil.ignore_patterns("evaluations"))
    (copy / "model-0.npz").unlink()
    bare = sigmaprop("evaluate", copy)
    assert (bare.status, "has no model-0.npz" in bare.err) == (2, True)
    status = json.loads((copy / "status.json").read_text())
    (copy / "status.json").write_text(json.dumps(status | {"state": "interrupted"}))
    assert sigmaprop("evaluate", copy).status == 2
