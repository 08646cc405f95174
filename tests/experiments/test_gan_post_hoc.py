"""The arm post_hoc in runs: trained as zero, scored with noise that suits validation examples."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sigmaprop.experiments.evaluate import models
from sigmaprop.experiments.gan import plan, programs
from sigmaprop.experiments.gan.config import GanConfig, GanSweep

import sigmaprop as library
from sigmaprop.data import DataOptions
from sigmaprop.generators.results import measured, sigma_key

SMALL = {
    **{"batch_size": 8, "latent_dim": 2, "widths": (8,), "discriminator_widths": (8,)},
    **{"eval_samples": 64, "metrics_every": 5, "evaluations": 1, "gap_evaluations": 0},
}
STEPS = 20


def config(*arms, **options):
    base = {"dataset": "linear_gaussian", "data": DataOptions(dim=3, num=400), "seeds": 2}
    return GanConfig(**(SMALL | base | {"steps": STEPS} | options), sweep=GanSweep(arm=arms))


def train(arm, directory):
    """A run of two seeds."""
    x = np.random.default_rng(0).normal(size=(400, 3))
    asked = SMALL | {"seeds": 2, "steps": STEPS, "run_dir": directory, "verbose": False}
    return library.train(x, arms=(arm,), **asked)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return train("post_hoc", tmp_path_factory.mktemp("post_hoc") / "A")


@pytest.mark.slow
def test_its_players_have_the_bits_of_zero(run, tmp_path):
    other = train("zero", tmp_path / "B").run.directory
    zero, own = (np.load(one / "model-0.npz") for one in (other, run.run.directory))
    for name in zero:
        np.testing.assert_array_equal(zero[name], own[name])
    assert set(own) - set(zero) == {"['post_hoc']"}
    zero, own = (np.load(one / "samples-0.npz") for one in (other, run.run.directory))
    np.testing.assert_array_equal(zero["mean_last"], own["mean_last"])
    np.testing.assert_array_equal(zero["x_last"], zero["mean_last"])


def test_its_sigma_is_recorded_where_it_is_scored_and_is_that_of_the_samples(run):
    rows = run.frame.query("metric == 'sigma' and weights == 'last' and arm == 'post_hoc'")
    scored = run.frame.query("metric == 'mmd2' and of == 'x' and weights == 'last'")
    assert set(rows["step"]) == set(scored["step"])
    kept = np.load(run.run.directory / "model-0.npz")["['post_hoc']"]
    last = rows[rows["step"] == STEPS].sort_values("seed")["value"]
    np.testing.assert_array_equal(last.to_numpy(np.float32), kept[:, 0])
    samples = np.load(run.run.directory / "samples-0.npz")
    for place, weights in enumerate(("last", "average")):
        sigma = kept[:, place, None, None]
        np.testing.assert_array_equal(samples[f"scale_{weights}"], sigma + np.zeros((2, 64, 3)))
        eps = (samples[f"x_{weights}"] - samples[f"mean_{weights}"]) / sigma
        # 384 standard normal numbers: the variance within 5 standard errors, sqrt(2 / n).
        assert abs(eps.var() - 1) < 5 * np.sqrt(2 / eps.size)


def test_tables_tell_its_sigma_and_scores_of_x_are_with_it(run):
    found = measured(run.run.directory)
    (own,) = found.cells
    assert sigma_key(found, own._replace(arm="zero")).weights == ""
    late = found.late(sigma_key(found, own), own)
    assert np.all(late > 0)
    noised = found.late(sigma_key(found, own)._replace(metric="mmd2", of="x"), own)
    plain = found.late(sigma_key(found, own)._replace(metric="mmd2", of="mean"), own)
    assert np.all(noised != plain)


def test_a_finished_run_is_evaluated_with_the_fitted_noise(run):
    source = models.load(run.run.directory)
    last, average = source.groups()
    kept = np.load(run.run.directory / "model-0.npz")["['post_hoc']"]
    for place, model in enumerate((last, average)):
        for row in range(2):
            params, own = jax.tree.map(
                lambda leaf, row=row: leaf[row], (model.params, model.hypers)
            )
            gaussian = model.decode(params, own)(jnp.zeros(2))
            np.testing.assert_array_equal(gaussian.scale, np.full(3, kept[row, place]))


def test_it_is_fitted_to_validation_rows_where_scores_are_against_the_test_rows():
    own = config("post_hoc", held_out="test", redraw_split=True)
    prepared = plan.prepare(own)
    (group,) = prepared.groups
    work = programs.compile_group(own, prepared, group, programs.make_reference(own, prepared))
    for row, split in enumerate(prepared.splits):
        np.testing.assert_array_equal(work.held_out.validation[row], split.validation)
        assert not np.isin(work.held_out.validation[row], split.test).any()


@pytest.mark.slow
def test_validation_rows_make_it_and_no_others():
    """Also where scores are against the test rows."""
    own = config("post_hoc", held_out="test", seeds=1)
    prepared = plan.prepare(own)
    (group,) = prepared.groups
    reference = programs.make_reference(own, prepared)
    work = programs.compile_group(own, prepared, group, reference)
    assert work.fit is not None
    state = work.engine.init(work.hypers)
    rows = np.asarray(work.held_out.validation[0])
    np.testing.assert_array_equal(rows, prepared.dataset.splits.validation)
    others = np.setdiff1d(np.arange(len(reference.data)), rows)

    def fitted(changed):
        altered = reference._replace(data=reference.data.at[changed].add(1.0))
        return np.asarray(work.fit(state, work.held_out, work.hypers, altered, jnp.asarray(3)))

    plain = fitted(np.array([], int))
    np.testing.assert_array_equal(fitted(others), plain)
    assert np.all(fitted(rows) > plain)


def test_what_is_fitted_is_a_program_of_its_own():
    sweep = GanSweep(arm=("zero", "post_hoc"), post_hoc=("isotropic", "diagonal"))
    prepared = plan.prepare(GanConfig(**SMALL, dataset="ring", seeds=1, sweep=sweep))
    assert [group.fitted for group in prepared.groups] == [None, "isotropic", "diagonal"]


@pytest.mark.parametrize("arm", ["post_hoc", "more_latents"])
def test_without_noise_in_training_there_is_no_entropy(arm):
    with pytest.raises(ValueError, match=f"no meaning in the arm {arm}, whose samples have no"):
        plan.prepare(config(arm, entropy_weight=0.1))
