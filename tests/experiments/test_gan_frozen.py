"""Constants that no config holds: a file of the run, and sigma(z) by a copy of its generator."""

import contextlib
import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sigmaprop.experiments.gan import constants, frozen, plan
from sigmaprop.experiments.gan.config import GanConfig

import sigmaprop as library
from sigmaprop import runs
from sigmaprop.generators import evaluation, gan
from sigmaprop.generators.step import generate

OPTIONS = {
    **{"batch_size": 8, "latent_dim": 2, "widths": (8,), "discriminator_widths": (8,)},
    **{"eval_samples": 64, "metrics_every": 5, "evaluations": 2, "gap_evaluations": 0},
    **{"seeds": 2, "steps": 20, "ema_decay": 0.9},
}
LEARNED = ("heteroscedastic", "per_pixel")
STUDENT = {"widths": (12,), "sigma_floor": 0.5, "sigma_start": 1.0}
"""Another network of the mean, and bounds that are not those of the copy."""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("frozen")


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).normal(size=(200, 3))


@pytest.fixture(scope="module")
def source(root, x):
    """A run that learned sigma(z), and one number for each coordinate."""
    learns = {"sigma_learning_rate": 0.1, "sigma_floor": 0.05}
    return library.train(x, arms=LEARNED, run_dir=root / "A", **OPTIONS, **learns)


def freeze(source, x, target, label, **options):
    own = OPTIONS | {"frozen_from": source.run.directory, "frozen_cell": label} | options
    return library.train(x, arms=("frozen",), run_dir=target, **own)


@pytest.fixture(scope="module")
def student(source, x, root):
    """A run whose sigma(z) is frozen, with a wider network of its mean."""
    return freeze(source, x, root / "B", "heteroscedastic", **STUDENT)


def of_arm(training, arm, name):
    replicas = training.run.replicas.reset_index()
    rows = replicas.query("arm == @arm").sort_values("seed")["replica"].to_numpy()
    found = {}
    for path in sorted(training.run.directory.glob("samples-*.npz")):
        with np.load(path) as file:
            found |= dict(zip(file["replica"], file[name], strict=True))
    return np.stack([found[row] for row in rows])


def test_sigma_of_z_is_that_of_the_generator_that_ended_seed_by_seed(source, student):
    """The examples of both runs have the same latents, seed by seed, and 64 of them each."""
    expected = of_arm(source, "heteroscedastic", "scale_average")
    for weights in evaluation.WEIGHTS:  # of the student's mean: its noise is one and the same
        found = of_arm(student, "frozen", f"scale_{weights}")
        # exp of a sum of 8 products that is about 3, each rounded in programs of their own.
        np.testing.assert_allclose(found, expected, rtol=32 * 2.0**-24)
    assert 0.05 * (1 - 1e-6) <= expected.min() < STUDENT["sigma_floor"]
    assert np.ptp(expected, axis=1).min() > 1e-3  # it depends on z
    assert np.max(np.abs(expected[0] - expected[1])) > 1e-2  # and on the seed
    last = of_arm(source, "heteroscedastic", "scale_last")
    assert np.max(np.abs(expected - last)) > 1e-3  # mutant: the last iterate


def program(training):
    """Spec, hypers and generator of the first replica whose sigma(z) is frozen."""
    config = runs.load_config(training.run.directory, GanConfig, command="gan")
    prepared = plan.prepare(config, frozen.stored(config, training.run.directory))
    index, group = next(
        (index, one) for index, one in enumerate(prepared.groups) if one.spec.observation.copier
    )
    root = jax.random.key(config.seed)
    own = plan.hypers(group.replicas[0], group.spec, config.steps, root, given=group.given[0])
    player = jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), training.programs[index].state.player)
    return group.spec, own, player


def test_no_gradient_reaches_the_copy(student):
    spec, own, player = program(student)
    z = gan.latent(spec, jax.random.key(1), 16)
    drawn = gan.draws(spec, jax.random.key(2), 16)

    def total(player, copy, z):
        hypers = own._replace(noise=own.noise._replace(given=copy))
        return jnp.sum(generate(spec, player, hypers, z, drawn, jnp.asarray(3)).x ** 2)

    of_player, of_copy, of_z = jax.jit(jax.grad(total, (0, 1, 2)))(player, own.noise.given, z)
    assert all(not np.any(leaf) for leaf in jax.tree.leaves(of_copy))
    assert all(np.any(leaf) for leaf in jax.tree.leaves(of_player.network))
    assert np.all(np.any(of_z, axis=1))
    assert of_player.noise == {}


def test_the_config_holds_a_digest_and_the_run_the_copies(source, student):
    directory = student.run.directory
    config = runs.load_config(directory, GanConfig, command="gan")
    kept = constants.load(directory)
    assert config.frozen_values == ()
    assert config.frozen_sha256 == kept.digest
    label = "heteroscedastic"
    assert frozen.learned(source.run.directory, label, range(2)).digest == kept.digest
    assert constants.FILE in json.loads((directory / "manifest.json").read_text())["files"]
    # One number of one seed, or the option of a bound: another digest.
    head = kept.arrays["['head']['bias']"].copy()
    head[1, 0] = np.nextafter(head[1, 0], 1, dtype=np.float32)
    other = constants.Constants({**kept.arrays, "['head']['bias']": head})
    assert other.digest != kept.digest


def test_what_does_not_fit_the_copies_is_refused_in_one_sentence(source, student, tmp_path):
    config = runs.load_config(student.run.directory, GanConfig, command="gan")
    kept = frozen.stored(config, student.run.directory)
    for changes, told in (
        ({"latent_dim": 3}, "--latent-dim is 3, and --frozen-from learned sigma"),
        ({"latent": "uniform"}, "--latent is uniform"),
        ({"seeds": 3}, "of 2 seeds, not of 3; give --seeds 2"),
        ({"dataset": "ring"}, r"of shape \(3,\), and these have \(2,\)"),
        ({"frozen_values": (0.1, 0.1)}, "--frozen-values and --frozen-sha256 exclude"),
    ):
        with pytest.raises(ValueError, match=told):
            plan.prepare(dataclasses.replace(config, **changes), kept)
    gone = dataclasses.replace(config, frozen_from=tmp_path / "gone")
    with pytest.raises(ValueError, match="give --frozen-from RUN"):
        frozen.stored(gone)
    with pytest.raises(ValueError, match="holds other constants"):
        frozen.stored(dataclasses.replace(config, frozen_sha256="0" * 64), student.run.directory)
    with pytest.raises(ValueError, match="--frozen-sha256 is not what"):
        frozen.resolved(dataclasses.replace(config, frozen_cell="per_pixel"))


def test_many_numbers_lie_in_a_file_and_are_given_as_few_in_the_config_are(
    source, student, tmp_path, monkeypatch
):
    """Programs and their inputs are the same, and so are bits."""
    run = runs.load_config(student.run.directory, GanConfig, command="gan")
    asked = dataclasses.replace(run, frozen_cell="per_pixel", frozen_sha256=None)
    few = frozen.resolved(asked)
    monkeypatch.setattr(frozen, "MOST", 5)
    many = frozen.resolved(asked)
    assert [len(one.frozen_values) for one in (few, many)] == [6, 0]
    kept = frozen.stored(many)  # no run holds it yet
    with contextlib.suppress(KeyboardInterrupt), runs.create(tmp_path / "run", "gan", many) as own:
        constants.save(own, kept)
        raise KeyboardInterrupt
    gone = dataclasses.replace(many, frozen_from=tmp_path / "gone")
    again = plan.prepare(gone, frozen.stored(gone, tmp_path / "run"))
    for first, second in zip(plan.prepare(few).groups, again.groups, strict=True):
        jax.tree.map(np.testing.assert_array_equal, first.given, second.given)
        assert first.spec.observation == second.spec.observation
