"""Arms whose noise is given: that of the data, and what another run learned."""

import dataclasses
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sigmaprop.experiments.gan import frozen, given, late, plan, programs
from sigmaprop.experiments.gan.config import GanConfig, GanSweep

import sigmaprop as library
from sigmaprop import data
from sigmaprop.data import DataOptions, transforms
from sigmaprop.generators import evaluation

SMALL = {
    **{"dataset": "linear_gaussian", "seeds": 2, "steps": 20, "batch_size": 8, "latent_dim": 2},
    **{"widths": (8,), "discriminator_widths": (8,), "eval_samples": 64, "metrics_every": 5},
    **{"evaluations": 1, "gap_evaluations": 0},
}
NOISE = {"data": DataOptions(dim=3, num=200, noise_std=0.5)}


def config(*arms, sigmas=None, **options):
    return GanConfig(**(SMALL | NOISE | options), sweep=GanSweep(arm=arms, sigma=sigmas))


def trained(own, scored=False):
    """Players and clean scores of every replica after all steps, by arm, sigma and seed."""
    prepared = plan.prepare(own)
    reference = programs.make_reference(own, prepared)
    players, scores = {}, {}
    for group in prepared.groups:
        work = programs.compile_group(own, prepared, group, reference)
        state, _ = work.engine.run(
            work.engine.init(work.hypers), work.hypers, work.data, 0, own.steps
        )
        found = [None] * len(group.replicas)
        if scored:
            step = jnp.asarray(own.steps)
            found = np.asarray(work.score(state, work.held_out, work.hypers, work.clean, step))
        kept = jax.device_get(state.player.network)
        for row, one in enumerate(group.replicas):
            name = one.cell.options.arm, one.cell.options.sigma, one.seed
            players[name] = jax.tree.map(lambda leaf, row=row: leaf[row], kept)
            scores[name] = found[row]
    return players, scores


def same(first, second):
    jax.tree.map(np.testing.assert_array_equal, first, second)


@pytest.fixture(scope="module")
def fixed():
    """Of two sigmas."""
    return trained(config("fixed", sigmas=(0.3, 0.12345)))[0]


def test_a_frozen_number_has_the_bits_of_fixed_at_that_value_seed_by_seed(fixed):
    players, _ = trained(config("zero", "frozen", frozen_values=(0.3, 0.12345)))
    same(players["frozen", 0.1, 0], fixed["fixed", 0.3, 0])
    same(players["frozen", 0.1, 1], fixed["fixed", 0.12345, 1])
    with pytest.raises(AssertionError):  # seeds the other way round
        same(players["frozen", 0.1, 1], fixed["fixed", 0.3, 1])


def test_equal_frozen_coordinates_train_as_the_number_does(fixed):
    values = (*(0.3,) * 3, *(0.12345,) * 3)
    players, _ = trained(config("frozen", frozen_values=values))
    same(players["frozen", 0.1, 0], fixed["fixed", 0.3, 0])
    same(players["frozen", 0.1, 1], fixed["fixed", 0.12345, 1])


def test_oracle_with_white_noise_has_the_bits_of_fixed_at_its_std():
    players, _ = trained(config("oracle", "fixed", sigma=0.5))
    same(players["oracle", 0.5, 1], players["fixed", 0.5, 1])


def test_oracle_is_given_the_covariance_of_the_noise_on_images():
    options = DataOptions(noise_std=0.2, noise_length=1.5, resize=4)
    own = config("zero", "oracle", dataset="digits", data=options)
    first, second = plan.prepare(own).groups
    assert (first.given, first.spec.observation.given_factor) == ((None, None), False)
    assert second.spec.observation.given_factor
    noise = second.given[0]
    assert noise is not None
    assert noise.factor is not None
    exact = transforms.noise_covariance((4, 4), 0.2, 1.5)
    # The roots are float32: 16 entries of a product round to a few units of 2^-24 of .04.
    np.testing.assert_allclose(noise.factor @ noise.factor.T, exact, atol=64 * 0.04 * 2.0**-24)
    assert not np.any(noise.scale)


@pytest.mark.parametrize("name", ["digits", "ring", "linear_gaussian"])
def test_noised_data_keep_their_clean_copy(name):
    noised = data.load(name, DataOptions(noise_std=0.25))
    assert noised.clean is not None
    added = np.asarray(noised.x, np.float64) - noised.clean
    # A variance of n normal numbers has the relative standard error sqrt(2 / n).
    assert abs(added.var() / 0.25**2 - 1) < 5 * np.sqrt(2 / added.size)
    if name != "linear_gaussian":  # which has noise of its own
        plain = data.load(name)
        np.testing.assert_array_equal(noised.clean, plain.x)
        assert plain.clean is None


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"arms": ("oracle",), "dataset": "ring", "data": DataOptions()}, "--data.noise-std SIGMA"),
        ({"arms": ("frozen",)}, "give --frozen-from RUN"),
        ({"arms": ("zero",), "frozen_values": (0.1,)}, "no meaning without --arm frozen"),
        ({"arms": ("frozen",), "frozen_values": (0.1,) * 5}, "holds 5 numbers for 2 seeds"),
        (
            {
                **{"arms": ("oracle",), "dataset": "digits", "entropy_weight": 0.1},
                "data": DataOptions(noise_std=0.2, noise_length=1.5),
            },
            "--entropy-weight 0.1 has no meaning in the arm oracle",
        ),
    ],
)
def test_what_cannot_be_given_is_refused_in_one_sentence(options, told):
    arms = options.pop("arms")
    with pytest.raises(ValueError, match=told):
        plan.prepare(config(*arms, **options))


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A run of learned arms, to freeze."""
    x = np.random.default_rng(0).normal(size=(200, 3))
    small = {name: value for name, value in SMALL.items() if name not in ("dataset", "seeds")}
    arms = ("zero", "global", "per_pixel", "low_rank")
    directory = tmp_path_factory.mktemp("source") / "A"
    options = small | {"rank": 1, "sigma_learning_rate": 0.1, "ema_decay": 0.0, "evaluations": 3}
    return library.train(x, arms=arms, seeds=2, run_dir=directory, verbose=False, **options)


def test_a_number_is_the_mean_over_the_last_fifth_of_the_steps(source):
    found = numbers(source.run.directory, "global").ravel()
    rows = source.frame.query("metric == 'sigma' and arm == 'global'")
    last = rows[rows["step"] > 16].groupby("seed")["value"].mean()
    np.testing.assert_array_equal(found, last)
    assert not np.allclose(found, rows.groupby("seed")["value"].mean(), rtol=1e-3)


def numbers(directory, label):
    """What a cell of the run learned, [S, N]."""
    found = frozen.learned(directory, label, range(2)).values
    assert found is not None
    return found


def of_arm(source, arm):
    """Its replicas, by seed."""
    replicas = source.run.replicas.reset_index()
    return replicas.query("arm == @arm").sort_values("seed")["replica"].to_numpy()


def scales(raw):
    """The scale of each coordinate and its std by the factor, [S, D], and the factor.

    Of no factor one of no columns.
    """
    own = raw if isinstance(raw, dict) else {"raw": raw, "factor": np.zeros((*raw.shape, 0))}
    factor = np.float64(own["factor"])
    return np.exp(np.float64(own["raw"])), np.sqrt(np.sum(factor**2, axis=-1)), factor


@pytest.fixture(scope="module")
def looks(source):
    """The raw parameters of every replica after thirds of the last fifth, of a training anew."""
    own = library.runs.load_config(source.run.directory, GanConfig, command="gan")
    prepared = plan.prepare(own)
    work = programs.compile_group(
        own, prepared, prepared.groups[0], programs.make_reference(own, prepared)
    )
    state, now, found = work.engine.init(work.hypers), 0, []
    for step in (17, 19, 20):
        state, _ = work.engine.run(state, work.hypers, work.data, now, step)
        now = step
        found.append(jax.device_get(state.player.noise))
    return found


@pytest.mark.parametrize("arm", ["per_pixel", "low_rank"])
def test_arrays_are_means_over_the_last_fifth(source, looks, arm):
    rows = of_arm(source, arm)
    each = [scales(jax.tree.map(lambda leaf: leaf[rows], look[arm])) for look in looks]
    expected = np.mean([scale for scale, *_ in each], axis=0)
    found = numbers(source.run.directory, arm)
    noise = given._split(found.ravel(), 2, 3)[1]
    assert noise.columns == (1 if arm == "low_rank" else 0)
    # exp in float32, of a raw parameter of 24 bits and size up to 4: 4 + 2 units of 2^-24.
    np.testing.assert_allclose(found[:, :3], expected, rtol=8 * 2.0**-24)
    assert np.max(np.abs(found[:, :3] / each[-1][0] - 1)) > 1e-3  # not those of the last step
    if arm == "low_rank":
        factor, size = found[:, 3:].reshape(2, 3, 1), np.mean([size for _, size, _ in each], 0)
        np.testing.assert_allclose(np.linalg.norm(factor, axis=-1), size, rtol=8 * 2.0**-24)
        last = each[-1][2] / each[-1][1][..., None]
        np.testing.assert_allclose(factor / size[..., None], last, rtol=8 * 2.0**-24)


def test_a_run_without_means_gives_the_arrays_that_it_ended_with(source, tmp_path):
    older = tmp_path / "A"
    shutil.copytree(source.run.directory, older)
    (older / late.file_name(0)).unlink()
    for arm in ("per_pixel", "low_rank"):
        rows = of_arm(source, arm)
        raw = jax.tree.map(lambda leaf, rows=rows: leaf[rows], source.state.player.noise[arm])
        scale, _, factor = scales(raw)
        expected = np.concatenate([scale, factor.reshape(2, -1)], axis=1)
        found = numbers(older, arm)
        np.testing.assert_allclose(found, expected, rtol=8 * 2.0**-24)


def test_the_config_records_the_constants_and_needs_the_run_no_longer(source):
    asked = config("frozen", frozen_from=source.run.directory, frozen_cell="global")
    known = frozen.resolved(asked)
    assert known.frozen_values == tuple(numbers(source.run.directory, "global").ravel())
    assert frozen.resolved(known) == known
    gone = dataclasses.replace(known, frozen_from=source.run.directory / "gone")
    assert frozen.resolved(gone) == gone
    with pytest.raises(ValueError, match="is not what --frozen-from"):
        frozen.resolved(dataclasses.replace(asked, frozen_values=(0.1, 0.2)))


def test_runs_and_cells_that_cannot_be_frozen_are_refused(source, tmp_path):
    directory = source.run.directory
    with pytest.raises(ValueError, match="'global', 'per_pixel', 'low_rank'"):
        frozen.learned(directory, None, range(2))
    with pytest.raises(ValueError, match="--frozen-cell is 'zero'"):
        frozen.learned(directory, "zero", range(2))
    with pytest.raises(ValueError, match="has no seed 2"):
        frozen.learned(directory, "global", range(3))
    with pytest.raises(library.runs.RunError):
        frozen.learned(tmp_path, None, range(2))


@pytest.mark.slow
def test_with_known_noise_the_mean_is_closer_to_the_clean_data():
    """A line in the plane with noise of std .5: the mean of zero has to fit the noise as well.

    The clean line has no width, and a mean that fits x has .5, a sliced distance of some .25. Of
    each seed the oracle's mean is closer, and by more than 3 standard errors over the seeds.
    """
    own = config(
        *("zero", "oracle"),
        **{"data": DataOptions(dim=2, latent_dim=1, num=2000, noise_std=0.5), "seeds": 4},
        **{"steps": 800, "batch_size": 64, "widths": (16,), "discriminator_widths": (32,)},
        **{"learning_rate": 2e-3, "r1": 0.1, "eval_samples": 500},
    )
    _, scores = trained(own, scored=True)
    names = evaluation.distances()
    found = {
        arm: np.array([scores[arm, 0.1, seed][0, 0] for seed in range(4)])
        for arm in ("zero", "oracle")
    }
    for name in ("mmd2", "sliced_wasserstein"):
        column = names.index(name)
        gain = found["zero"][:, column] - found["oracle"][:, column]
        assert gain.mean() > 3 * gain.std(ddof=1) / np.sqrt(4), (name, found)
