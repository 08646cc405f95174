"""The noise of every arm against its formula, and the gates that select it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sigmaprop.generators import observation, parameterisation, schedule
from sigmaprop.generators.observation import Given, NoiseHypers, Observation
from sigmaprop.generators.parameterisation import Bounds

ARMS = {name: arm for name, arm in observation.ARMS.items() if arm.shares}
DIM, FEATURES, RANK, BATCH = 5, 3, 2, 4
START, SIGMA = 0.3, 0.2
FLOOR, CEILING = 0.01, 2.0
ALL = observation.components(tuple(ARMS))


def make(arms=tuple(ARMS), name="log"):
    components = observation.components(arms)
    return Observation(DIM, FEATURES, components, parameterisation.get(name), RANK)


def make_hypers(spec, arm):
    bounds = Bounds(jnp.asarray(FLOOR), jnp.asarray(CEILING))
    gates = observation.gates(arm, spec.components)
    sigma = 0.0 if ARMS[arm].learns or arm == "zero" else SIGMA
    sigmas = schedule.sigma_schedule("constant", sigma, sigma, 1)
    gates = {name: jnp.asarray(gate) for name, gate in gates.items()}
    return NoiseHypers(sigmas, gates, jnp.asarray(START), bounds)


def normal(seed, *shape):
    return jax.random.normal(jax.random.key(seed), shape)


def perturbed(params):
    """Parameters in general position; the same for a component in any program."""
    return {
        name: jax.tree.map(lambda leaf: leaf + 0.3 * normal(leaf.size, *leaf.shape), params[name])
        for name in params
    }


def noise_of(arm, arms=tuple(ARMS)):
    spec = make(arms)
    hypers = make_hypers(spec, arm)
    params = perturbed(observation.init(spec, hypers, jax.random.key(0)))
    sigma = schedule.select_sigma(hypers.schedule, jnp.asarray(3))
    return observation.noise_scale(spec, params, normal(1, BATCH, FEATURES), sigma, hypers), params


def by_formula(arm, params):
    """Scale [B, D] and factor [D, R] in float64."""
    f64 = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
    if arm in ("zero", "fixed", "scheduled"):
        scale = 0.0 if arm == "zero" else np.float32(SIGMA)
    elif arm == "heteroscedastic":
        head, features = f64[arm], np.asarray(normal(1, BATCH, FEATURES), np.float64)
        scale = np.clip(np.exp(features @ head["kernel"] + head["bias"]), FLOOR, CEILING)
    else:
        scale = np.exp(f64[arm]["raw"] if arm == "low_rank" else f64[arm])
    factor = f64[arm]["factor"] if arm == "low_rank" else np.zeros((DIM, RANK))
    return np.broadcast_to(scale, (BATCH, DIM)), factor


@pytest.mark.parametrize("arm", ARMS)
def test_each_arm_among_all_has_the_noise_of_its_formula(arm):
    noise, params = noise_of(arm)
    scale, factor = by_formula(arm, params)
    found = jnp.broadcast_to(noise.scale, (BATCH, DIM))
    np.testing.assert_allclose(found, scale, rtol=16 * 2.0**-24)
    np.testing.assert_array_equal(noise.factor, np.float32(factor))
    eps, zeta = normal(2, BATCH, DIM), normal(3, BATCH, RANK)
    mean = normal(4, BATCH, DIM)
    exact = np.asarray(mean, np.float64) + scale * eps + np.asarray(zeta, np.float64) @ factor.T
    np.testing.assert_allclose(noise.add_to(mean, eps, zeta), exact, atol=32 * 2.0**-24)


@pytest.mark.parametrize("arm", ARMS)
def test_an_arm_alone_has_the_bits_that_it_has_among_all(arm):
    among, _ = noise_of(arm)
    alone, _ = noise_of(arm, (arm,))
    shape = (BATCH, DIM)
    np.testing.assert_array_equal(
        jnp.broadcast_to(alone.scale, shape), jnp.broadcast_to(among.scale, shape)
    )
    factor = jnp.zeros((DIM, RANK)) if alone.factor is None else alone.factor
    np.testing.assert_array_equal(factor, among.factor)


def test_zero_is_exactly_zero_and_given_arms_are_without_rounding():
    noise, _ = noise_of("zero")
    assert np.all(np.asarray(noise.scale) == 0.0)
    mean, eps, zeta = normal(4, BATCH, DIM), normal(2, BATCH, DIM), normal(3, BATCH, RANK)
    np.testing.assert_array_equal(noise.add_to(mean, eps, zeta), mean)
    fixed, _ = noise_of("fixed")
    np.testing.assert_array_equal(fixed.scale, np.full((BATCH, DIM), np.float32(SIGMA)))


@pytest.mark.parametrize("arm", ARMS)
def test_gradients_reach_the_arms_own_component_alone(arm):
    spec = make()
    hypers = make_hypers(spec, arm)
    params = observation.init(spec, hypers, jax.random.key(0))
    eps, zeta = normal(2, BATCH, DIM), normal(3, BATCH, RANK)

    def total(params):
        noise = observation.noise_scale(
            spec, params, normal(1, BATCH, FEATURES), hypers.schedule.first, hypers
        )
        return jnp.sum(noise.add_to(jnp.zeros((BATCH, DIM)), eps, zeta) ** 2)

    gradient = jax.grad(total)(params)
    for name in ALL:
        moved = [np.any(np.asarray(leaf) != 0.0) for leaf in jax.tree.leaves(gradient[name])]
        assert all(moved) if name == ARMS[arm].component else not any(moved)


@pytest.mark.parametrize("name", parameterisation.names())
@pytest.mark.parametrize("arm", [arm for arm in ARMS if ARMS[arm].learns])
def test_learned_noise_starts_where_it_is_told(arm, name):
    spec = make((arm,), name)
    hypers = make_hypers(spec, arm)
    params = observation.init(spec, hypers, jax.random.key(0))
    noise = observation.noise_scale(spec, params, normal(1, BATCH, FEATURES), jnp.zeros(()), hypers)
    share = np.sqrt(0.75) if arm == "low_rank" else 1.0
    np.testing.assert_allclose(noise.scale, share * START, rtol=32 * 2.0**-24)


def test_the_variance_of_low_rank_noise_starts_right_on_average():
    spec = make(("low_rank",))
    hypers = make_hypers(spec, "low_rank")
    keys = jax.random.split(jax.random.key(0), 2000)

    def variance(key):
        params = observation.init(spec, hypers, key)
        noise = observation.noise_scale(
            spec, params, jnp.zeros((1, FEATURES)), jnp.zeros(()), hypers
        )
        return observation.rms_sigma(noise, DIM) ** 2

    found = np.asarray(jax.vmap(variance)(keys), np.float64)
    error = found.std(ddof=1) / np.sqrt(found.size)
    assert abs(found.mean() - START**2) < 5 * error


@pytest.mark.parametrize("arm", ["fixed", "per_pixel", "heteroscedastic", "low_rank"])
def test_the_root_mean_square_and_the_coordinates_are_those_of_the_covariance(arm):
    noise, params = noise_of(arm)
    scale, factor = by_formula(arm, params)
    variances = scale**2 + np.sum(factor**2, axis=1)
    found = observation.per_coordinate_std(noise, BATCH, DIM)
    np.testing.assert_allclose(found, np.sqrt(variances), rtol=16 * 2.0**-24)
    found = observation.rms_sigma(noise, DIM)
    np.testing.assert_allclose(found, np.sqrt(variances.mean()), rtol=16 * 2.0**-24)


def test_project_bounds_what_is_stored_and_leaves_the_factor():
    spec = make()
    hypers = make_hypers(spec, "global")
    params = observation.init(spec, hypers, jax.random.key(0))
    low = observation.project(spec, jax.tree.map(lambda leaf: leaf - 10.0, params), hypers.bounds)
    for raw in (low["global"], low["per_pixel"], low["low_rank"]["raw"]):
        np.testing.assert_allclose(np.exp(raw), FLOOR, rtol=32 * 2.0**-24)
    np.testing.assert_array_equal(low["low_rank"]["factor"], params["low_rank"]["factor"] - 10.0)


def test_the_time_at_bounds_counts_learned_scales_alone():
    spec = make()
    raw = jnp.log(jnp.asarray([FLOOR, 0.5, 0.5, CEILING, CEILING]))
    hypers = make_hypers(spec, "per_pixel")
    noise = observation.NoiseScale(jnp.exp(raw), None, ())
    np.testing.assert_allclose(observation.at_bounds(noise, hypers), [0.2, 0.4])
    fixed = make_hypers(spec, "fixed")
    np.testing.assert_array_equal(observation.at_bounds(noise, fixed), [0.0, 0.0])


def test_the_slope_is_the_derivative_along_a_common_shift():
    spec = make(("low_rank", "heteroscedastic", "per_pixel", "global"))
    hypers = make_hypers(spec, "global")
    params = observation.init(spec, hypers, jax.random.key(0))
    ones = jax.tree.map(jnp.ones_like, params)
    assert observation.log_sigma_grad(ones) == 1 + 3 * DIM


def test_bad_arms_and_ranks_are_refused():
    with pytest.raises(ValueError, match="unknown arm 'globl'; did you mean 'global'"):
        observation.components(("globl",))
    for rank in (0, DIM + 1):
        with pytest.raises(ValueError, match=f"--rank is {rank}; it must be between 1 and {DIM}"):
            observation.check_rank(rank, DIM)
    observation.check_rank(DIM, DIM)


@pytest.mark.parametrize("columns", [0, RANK])
def test_given_arrays_are_the_noise_and_no_gradient_moves_them(columns):
    spec = make(())._replace(given_factor=columns > 0)
    scale, factor = jnp.abs(normal(5, DIM)), normal(6, DIM, columns) if columns else None
    hypers = make_hypers(spec, "zero")._replace(given=Given(scale, factor))
    noise = observation.noise_scale(spec, {}, normal(1, BATCH, FEATURES), jnp.zeros(()), hypers)
    mean, eps, zeta = normal(4, BATCH, DIM), normal(2, BATCH, DIM), normal(3, BATCH, RANK)
    exact = np.asarray(mean, np.float64) + np.asarray(scale, np.float64) * eps
    if columns:
        exact = exact + np.asarray(zeta, np.float64) @ np.asarray(factor, np.float64).T
    found = noise.add_to(mean, eps, zeta if spec.has_factor else None)
    np.testing.assert_allclose(found, exact, atol=32 * 2.0**-24)
    assert spec.has_factor == (columns > 0)
    assert not observation.learns(hypers)


def test_an_equal_scale_for_each_coordinate_has_the_bits_of_the_number():
    spec = make(())
    numbers = make_hypers(spec, "fixed")
    arrays = make_hypers(spec, "zero")._replace(given=Given(jnp.full(DIM, SIGMA, jnp.float32)))
    mean, eps = normal(4, BATCH, DIM), normal(2, BATCH, DIM)
    first, second = (
        observation.noise_scale(
            spec, {}, normal(1, BATCH, FEATURES), own.schedule.first, own
        ).add_to(mean, eps, None)
        for own in (numbers, arrays)
    )
    np.testing.assert_array_equal(first, second)
