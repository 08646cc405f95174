"""How a scale is made of its raw parameter, and how it is kept within bounds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sigmaprop.generators import parameterisation
from sigmaprop.generators.parameterisation import Bounds

BOUNDS = Bounds(jnp.asarray(0.01), jnp.asarray(2.0))
SCALES = np.geomspace(0.01, 2.0, 9).astype(np.float32)
FORMULAS = {"log": np.exp, "softplus": lambda raw: np.log1p(np.exp(raw))}
FORMULAS |= dict.fromkeys(("signed", "linear"), lambda raw: raw)


@pytest.fixture(params=parameterisation.names())
def chosen(request):
    return parameterisation.get(request.param)


def test_the_scale_is_its_formula(chosen):
    raw = np.linspace(-6.0, 2.0, 9)
    found = chosen.scale(jnp.asarray(raw, jnp.float32))
    np.testing.assert_allclose(found, FORMULAS[chosen.name](raw), rtol=8 * 2.0**-24)


def test_raw_and_scale_are_inverses(chosen):
    found = chosen.scale(chosen.raw(jnp.asarray(SCALES)))
    # exp amplifies the rounding of a raw parameter of size 4.6.
    np.testing.assert_allclose(found, SCALES, rtol=32 * 2.0**-24)


def test_softplus_inverts_small_and_large_scales():
    chosen = parameterisation.get("softplus")
    scales = np.array([1e-6, 1e-4, 30.0], np.float32)
    exact = scales.astype(np.float64) + np.log(-np.expm1(-scales.astype(np.float64)))
    np.testing.assert_allclose(chosen.raw(jnp.asarray(scales)), exact, rtol=4 * 2.0**-24)


def test_project_moves_to_the_nearest_bound_and_leaves_the_inside_alone(chosen):
    outside = chosen.raw(jnp.asarray([0.001, 5.0]))
    found = chosen.scale(chosen.project(outside, BOUNDS))
    np.testing.assert_allclose(found, [0.01, 2.0], rtol=32 * 2.0**-24)
    inside = chosen.raw(jnp.asarray(SCALES[1:-1]))
    np.testing.assert_array_equal(chosen.project(inside, BOUNDS), inside)


def test_a_signed_scale_keeps_its_sign():
    chosen = parameterisation.get("signed")
    raw = jnp.asarray([-5.0, -0.5, -0.001, 0.0, 0.001, 0.5, 5.0])
    expected = np.array([-2.0, -0.5, -0.01, 0.01, 0.01, 0.5, 2.0], np.float32)
    np.testing.assert_array_equal(chosen.project(raw, BOUNDS), expected)


def test_clip_inward_has_the_value_of_project(chosen):
    raw = jnp.linspace(-8.0, 8.0, 33)
    np.testing.assert_array_equal(chosen.clip_inward(raw, BOUNDS), chosen.project(raw, BOUNDS))


@pytest.mark.parametrize(
    ("where", "descent_leads", "passes"),
    [
        ("below", "up", True),
        ("below", "down", False),
        ("inside", "up", True),
        ("inside", "down", True),
        ("above", "up", False),
        ("above", "down", True),
    ],
)
def test_a_gradient_passes_unless_descent_along_it_leads_further_out(
    chosen, where, descent_leads, passes
):
    raw = chosen.raw(jnp.asarray({"below": 0.001, "inside": 0.3, "above": 5.0}[where]))
    slope = {"up": -3.0, "down": 3.0}[descent_leads]
    found = jax.grad(lambda raw: slope * chosen.clip_inward(raw, BOUNDS))(raw)
    assert found == (slope if passes else 0.0)


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'softplus'"):
        parameterisation.get("soft-plus")
