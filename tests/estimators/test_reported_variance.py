"""The reported variance is that of the estimate, with few units of draws and far from the mean.

`test_unbiased` compares the two for every label, noise scheme and family; here are the hard cases
of a baseline that the batch itself gives, and what single units say.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sigmaprop import Options, estimate
from sigmaprop.gaussians import Diagonal

from . import gradient_checks as checks
from .gradient_checks import Case


def lifted(x):
    """E f is far from f(m): a baseline has much to do."""
    return checks.f(x)[checks.SMOOTH] + 3.0 * jnp.sum(x**2)


FEW = [
    ("score_function+leave_one_out", "iid", 2, 2),
    ("score_function+leave_one_out", "antithetic", 8, 2),
    ("score_function+leave_one_out", "orthogonal", 30, 2),
    ("score_function+leave_one_out", "sobol", 16, 4),
]
SLOW = [
    ("score_function+mean", "iid", 2, 2),
    ("score_function+leave_one_out", "iid", 8, 2),
    ("score_function+leave_one_out", "antithetic", 4, 2),
    ("score_function+leave_one_out", "orthogonal", 9, 2),
    ("score_function+leave_one_out", "orthogonal", 240, 2),
    ("score_function+leave_one_out", "sobol", 32, 8),
    ("score_function+leave_one_out", "sobol", 128, 32),
    ("measure_valued", "sobol", 16, 4),
    ("pathwise", "orthogonal", 6, 2),
    ("pathwise+delta+fitted", "iid", 512, 2),
    ("score_function+delta+fitted", "antithetic", 512, 2),
    ("score_function+leave_one_out+fitted", "sobol", 512, 128),
    ("inverse_variance", "iid", 512, 2),
    ("mixed", "orthogonal", 384, 2),
]


@pytest.mark.parametrize(
    ("label", "noise", "num_samples", "nets"),
    FEW + [pytest.param(*case, marks=pytest.mark.slow) for case in SLOW],
)
def test_the_variance_is_right_for_any_number_of_units(label, noise, num_samples, nets):
    # Every case has 6 numbers; the level is that of all comparisons of this kind together.
    case = Case(label, noise, "diagonal")
    changed = {}
    if noise == "sobol":
        changed["options"] = Options(fitted="fitted" in label, randomizations=nets)
    repeats = 1000 if num_samples > 200 else 8000
    found = checks.run(case, function=lifted, num_samples=num_samples, repeats=repeats, **changed)
    checks.check_variance(found.gradient, found.variance, num_samples)


@pytest.mark.parametrize(
    ("noise", "num_samples"), [("iid", 1), ("antithetic", 2), ("orthogonal", 3)]
)
def test_one_unit_cannot_tell_its_variance(noise, num_samples):
    found = estimate(
        lifted,
        Diagonal(jnp.array([0.3, -0.7, 0.2]), jnp.array([0.4, 0.7, 0.5])),
        jax.random.key(0),
        num_samples,
        noise=noise,
    )
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(found.gradient))
    assert all(np.isnan(leaf).all() for leaf in jax.tree.leaves(found.variance))
    assert np.isfinite(found.value)


@pytest.mark.slow
def test_a_variance_is_never_negative():
    # 2 nets: the correction for what nets share may exceed the spread of two numbers.
    case = Case("score_function+leave_one_out", "sobol", "diagonal")
    found = checks.run(
        case,
        function=lifted,
        num_samples=4,
        repeats=500,
        options=Options(randomizations=2),
    )
    assert all(np.all(leaf >= 0) for leaf in jax.tree.leaves(found.variance))
