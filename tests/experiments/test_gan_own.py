"""`gan` with a data set and networks of one's own, from the command line and from Python."""

import gc
import json
import re
import shutil
import signal
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sigmaprop as library
from sigmaprop.reporting.frame import Run
from sigmaprop.runs import own_sources

NETWORKS = """
import jax
import jax.numpy as jnp


def layers(sizes):
    def init(key):
        keys = jax.random.split(key, len(sizes) - 1)
        sized = zip(keys, sizes[:-1], sizes[1:], strict=True)
        return [(jax.random.normal(k, (m, n)) / m**0.5, jnp.zeros(n)) for k, m, n in sized]

    def apply(params, x):
        for weights, bias in params[:-1]:
            x = jnp.tanh(x @ weights + bias)
        return x @ params[-1][0] + params[-1][1]

    return init, apply


def generator(latent_dim, shape):
    return layers((latent_dim, 5, *shape))


def discriminator(shape):
    return layers((*shape, 4, 1))


def too_wide(latent_dim, shape):
    return layers((latent_dim, 5, shape[0] + 1))


discriminator.smoothness = "smooth"
"""
TINY = {
    **{"seeds": 2, "steps": 40, "batch_size": 8, "latent_dim": 2, "eval_samples": 32},
    **{"evaluations": 2, "gap_evaluations": 1, "gap_samples": 64, "metrics_every": 2},
}
OPTIONS = [
    *(word for name, value in TINY.items() for word in (f"--{name.replace('_', '-')}", value)),
    *("--sweep.arm", "zero", "global"),
]
DATA = ("--dataset", "mine.npz")
OWN = ("--generator", "nets.py:generator", "--discriminator", "nets.py:discriminator")
MOMENTS = (1, 2, 5, 10, 20, 30, 40)


def write_files(directory: Path) -> np.ndarray:
    """A data set and networks; the examples."""
    x = np.random.default_rng(0).standard_normal((200, 3)).astype(np.float32)
    np.savez(directory / "mine.npz", x=x)
    (directory / "nets.py").write_text(NETWORKS)
    return x


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A finished run, ``run``, beside the files that it was made of; not to be changed."""
    from sigmaprop.experiments.cli.main import main

    directory = tmp_path_factory.mktemp("own")
    write_files(directory)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(directory)
        with pytest.raises(SystemExit) as caught:
            main([str(word) for word in ("gan", *DATA, *OPTIONS, *OWN, "--run-dir", "run")])
    assert caught.value.code == 0
    return directory / "run"


@pytest.fixture
def copy(run, tmp_path, monkeypatch) -> Path:
    """A copy of the run and its files in the present directory."""
    shutil.copytree(run.parent, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return Path("run")


def assert_same(first: Run, second: Run) -> None:
    """Every number, and every example, has the same bits."""
    assert first.frame.drop(columns="label").equals(second.frame.drop(columns="label"))
    for name, values in first.samples.items():
        assert values.tobytes() == second.samples[name].tobytes()


def test_the_command_takes_a_file_of_examples_and_networks(run):
    loaded = library.load(run)
    assert loaded.config["dataset"] == "mine.npz"
    assert loaded.config["generator"] == "nets.py:generator"
    assert loaded.samples["x"].shape == (4, 64, 3)
    assert np.isfinite(loaded.samples["x"]).all()
    kept = json.loads((run / own_sources.SOURCES).read_text())
    assert set(kept) == {"nets.py:generator", "nets.py:discriminator"}
    page = (run / "report.html").read_text()
    assert "mine.npz" in page
    assert str(run.parent) not in page


def test_examples_are_kept_at_moments_of_the_training(run):
    loaded = library.load(run)
    assert loaded.moments == MOMENTS
    early = loaded.at(1).samples["x"]
    assert early.shape == (4, 64, 3)
    first = (loaded.replicas["seed"] == loaded.replicas["seed"].min()).to_numpy()
    assert np.isfinite(early[first]).all()
    assert np.isnan(early[~first]).all()
    assert loaded.at(40).samples["x"].tobytes() == loaded.samples["x"].tobytes()
    moved = np.abs(early - loaded.samples["x"])[first].max()
    assert moved > np.abs(loaded.at(30).samples["x"] - loaded.samples["x"])[first].max() > 0


def test_the_page_has_a_slider_over_the_moments(run):
    page = (run / "report.html").read_text()
    (slides,) = page.split('<div class="slides">')[1:]
    slides = slides.partition("</figure>")[0]
    assert slides.count("data-moment=") == len(MOMENTS)
    assert slides.count(" hidden data-moment=") == len(MOMENTS) - 1
    assert "<output>40 steps</output>" in slides
    assert (run / "figures" / "moments.svg").is_file()


def test_a_moment_is_sealed_and_a_damaged_one_is_told(copy, sigmaprop):
    assert "moments-0-1.npz" in json.loads((copy / "manifest.json").read_text())["files"]
    (copy / "moments-0-1.npz").write_bytes(b"PK")
    ended = sigmaprop("report", "run")
    assert ended.status == 2
    (line,) = ended.err.splitlines()
    assert "moments-0-1.npz" in line


def test_a_replay_of_networks_of_ones_own_gives_the_same_bits(copy, sigmaprop):
    ended = sigmaprop("replay", "run", "--run-dir", "again")
    assert ended.status == 0, ended.err
    assert "nets.py is what the run used" in ended.out
    assert_same(library.load("run"), library.load("again"))
    for step in MOMENTS[:-1]:
        name = f"moments-0-{step}.npz"
        assert Path("run", name).read_bytes() == Path("again", name).read_bytes()


@pytest.mark.parametrize("command", ["replay", "resume"])
def test_changed_networks_are_not_run(copy, sigmaprop, command):
    Path("nets.py").write_text(NETWORKS.replace("tanh", "sin"))
    if command == "resume":
        status = json.loads((copy / "status.json").read_text())
        (copy / "status.json").write_text(json.dumps(status | {"status": "interrupted"}))
    ended = sigmaprop(command, "run")
    assert ended.status == 2
    (line,) = ended.err.splitlines()
    assert "nets.py is not what run used and is not run" in line
    assert "own/own_objectives.json" in line or own_sources.SOURCES in line
    assert "--generator" in line


@pytest.mark.usefixtures("pageless")
def test_an_interrupted_run_of_ones_own_networks_resumes_to_the_same_bits(copy, sigmaprop):
    from sigmaprop.experiments.training import loop

    save, left = loop.checkpoints.save, 3

    def interrupted(*arguments, **options):
        nonlocal left
        found, left = save(*arguments, **options), left - 1
        if left == 0:
            signal.raise_signal(signal.SIGINT)
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop.checkpoints, "save", interrupted)
        options = (*DATA, *OPTIONS, *OWN, "--checkpoint-seconds", "0.001", "--run-dir", "cut")
        assert sigmaprop("gan", *options).status == 130
    assert 1 <= len(library.load("cut").moments) < len(MOMENTS)
    ended = sigmaprop("resume", "cut")
    assert ended.status == 0, ended.err
    assert_same(library.load("run"), library.load("cut"))
    assert library.load("cut").moments == MOMENTS
    name = "moments-0-2.npz"
    assert Path("run", name).read_bytes() == Path("cut", name).read_bytes()


REFUSED = {
    ("--generator", "nets.py:too_wide"): "of shape (5, 4) for examples, not (5, 3)",
    ("--generator", "nets.py:none"): "nets.py has no function 'none'",
    ("--generator", "none.py:generator"): "none.py",
    ("--discriminator", "nets.py:layers"): "nets.py:layers",
    ("--generator", "mpl"): "unknown generator 'mpl'; did you mean 'mlp'?",
    ("--dataset", "other.npz"): "other.npz': it cannot be read (No such file or directory)",
    ("--dataset", "mine.npz", "--data.downsample", "2"): "--data.downsample",
}


@pytest.mark.parametrize("words", REFUSED, ids=" ".join)
def test_what_cannot_be_used_is_refused_before_anything_is_written(sigmaprop, tmp_path, words):
    write_files(tmp_path)
    data = () if "--dataset" in words else DATA
    ended = sigmaprop("gan", *data, *OPTIONS, *words, "--run-dir", "refused")
    assert ended.status == 2
    (line,) = ended.err.splitlines()
    assert REFUSED[words] in line
    assert not (tmp_path / "refused").exists()


def test_training_from_python_has_the_bits_of_the_command(copy):
    x = np.load("mine.npz")["x"]
    own = {"generator": "nets.py:generator", "discriminator": "nets.py:discriminator"}
    training = library.train(x, arms=("zero", "global"), **own, **TINY)
    command = library.load(copy)
    assert_same(command, training.run)
    assert set(training.frame["arm"]) == {"zero", "global"}
    assert training.samples["x"].shape == (4, 64, 3)
    assert {leaf.shape[0] for leaf in jax.tree.leaves(training.state)} == {4}
    page = training.report("page")
    assert page == Path("page/report.html")
    assert "slides" in page.read_text()
    directory = training.run.directory
    kept = own_sources.SOURCES
    assert json.loads((directory / kept).read_text()) == json.loads((copy / kept).read_text())
    rest = training.run
    del training
    gc.collect()
    assert rest.frame.equals(command.frame)
    del rest
    gc.collect()
    assert not directory.exists()


def test_training_takes_pairs_of_functions_and_keeps_what_is_asked_for(sigmaprop, tmp_path):
    x = write_files(tmp_path)

    def init(key):
        return {"weights": jax.random.normal(key, (2, 3))}

    def apply(params, z):
        return z @ params["weights"]

    training = library.train(
        x,
        generator=(init, apply),
        arms=["fixed"],
        run_dir="kept",
        **TINY | {"seeds": 1, "gap_evaluations": 0, "steps": 4},
    )
    weights = training.state.player.network["weights"]
    assert weights.shape == (1, 2, 3)
    made = jnp.einsum("rzd,bz->rbd", weights, jnp.ones((5, 2)))
    found = training.spec.generator.apply({"weights": weights[0]}, jnp.ones((5, 2))).mean
    np.testing.assert_allclose(found, made[0], rtol=1e-6)
    assert library.load("kept").frame.equals(training.frame)
    np.testing.assert_array_equal(np.load("kept.npz")["x"], x)
    ended = sigmaprop("replay", "kept")
    assert ended.status == 2
    assert "generator 'own' was a pair of functions given to sigmaprop.train" in ended.err
    assert sigmaprop("report", "kept").status == 0


WRONG = {
    "train has no option step; did you mean steps?": {"step": 3},
    "train has no option sweep": {"sweep": None},
    "arms is 'zero'; give a list of names": {"arms": "zero"},
    "is 'zer'; give one of 'zero', 'fixed'": {"arms": ("zer",)},
    "option seeds is 'a'; give an integer": {"seeds": "a"},
    "--steps is 0": {"steps": 0},
    "--learning-rate is -1": {"learning_rate": np.float32(-1)},
    "give a pair of functions (init, apply), not an object of type tuple": {"generator": (1, 2)},
    "an option is of type set, which none takes": {"widths": {3}},
    "unknown discriminator 'mpl'; did you mean 'mlp'?": {"discriminator": "mpl"},
    "--sigma-gradient bonnet_price has no meaning with the discriminator own": {
        "discriminator": (lambda key: jnp.ones(3), lambda params, x: x @ params),
        "discriminator_activation": "softplus",
        "sigma_gradient": "bonnet_price",
    },
}


@pytest.mark.parametrize("reason", WRONG)
def test_training_refuses_in_one_sentence(reason):
    with pytest.raises(ValueError, match=re.escape(reason)) as caught:
        library.train(np.random.default_rng(0).standard_normal((40, 3)), **WRONG[reason])
    assert "\n" not in str(caught.value)


def test_training_refuses_examples_as_the_command_does():
    with pytest.raises(ValueError, match=r"x has shape \(40,\); give \[N, D\]"):
        library.train(np.arange(40.0))
