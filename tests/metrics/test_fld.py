"""Feature likelihood divergence: the fit against SciPy's optimiser, and what it must see."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import logsumexp

from sigmaprop.metrics import fld

measure = jax.jit(fld.divergence, static_argnames=("num_iterations", "chunk"))


def log_likelihood(log_variances, centres, rows):
    """Sum over the rows of log(mixture + background), the last variance being the background's."""
    dim = centres.shape[1]
    apart = np.sum((rows[:, None] - centres) ** 2, axis=-1)
    far = 0.81 * np.sum((rows - rows.mean(axis=0)) ** 2, axis=-1)
    v = np.exp(log_variances)
    logs = -0.5 * (apart / v[:-1] + dim * np.log(2 * np.pi * v[:-1])) - np.log(len(centres))
    background = -0.5 * (far / v[-1] + dim * np.log(2 * np.pi * v[-1]))
    return logsumexp(np.column_stack([logs, background]), axis=1).sum()


def test_the_fit_is_a_maximum_of_the_likelihood():
    rng = np.random.default_rng(0)
    centres, rows = rng.normal(size=(6, 2)), rng.normal(size=(60, 2))
    variances = np.asarray(
        jax.jit(fld.fit, static_argnames="num_iterations")(
            jnp.asarray(centres, jnp.float32), jnp.asarray(rows, jnp.float32), num_iterations=400
        ),
        np.float64,
    )
    # The background's variance is not returned: it is fitted with the others held.
    own = minimize(
        lambda last: -log_likelihood(np.append(np.log(variances), last), centres, rows), [0.0]
    )
    found = np.append(np.log(variances), own.x)
    best = minimize(lambda logs: -log_likelihood(logs, centres, rows), found, tol=1e-10)
    assert -own.fun == pytest.approx(-best.fun, abs=1e-3)


def test_one_sample_and_one_row_a_side_by_hand():
    # Without the background's help: rows at distance 2 in one dimension give the variance 4, and
    # the density of a held-out row at distance 0 is N(0; 0, 4).
    rows, centre = jnp.array([[2.0], [-2.0]]), jnp.zeros((1, 1))
    variance = fld.fit(centre, rows, num_iterations=0)
    assert float(variance[0]) == pytest.approx(4)


def halves(key, num, dim=8):
    return jax.random.normal(key, (3, num, dim))


def test_real_data_score_about_zero_and_worse_ones_more():
    x, train, held_out = halves(jax.random.key(0), 600, 2)
    real = measure(x, train, held_out)
    narrow = measure(0.3 * x, train, held_out)
    wide = measure(2.0 * x, train, held_out)
    # Half of train is a smaller sample than x, so real data are about as good as their baseline.
    assert abs(float(real.fld)) < 3
    assert float(narrow.fld) > 5
    assert float(wide.fld) > 20


def test_above_a_few_dimensions_it_prefers_samples_that_are_too_near_together():
    """Their variances are fitted: wide Gaussians around narrow samples explain more."""
    x, train, held_out = halves(jax.random.key(0), 600)
    assert float(measure(0.6 * x, train, held_out).fld) < float(measure(x, train, held_out).fld)


def test_copies_are_found():
    x, train, held_out = halves(jax.random.key(1), 400)
    honest, copied = measure(x, train, held_out), measure(train, train, held_out)
    assert abs(float(honest.fld_gap)) < 40
    assert float(copied.fld_gap) < -300
    assert float(copied.fld) > float(honest.fld) + 300


def test_chunks_change_rounding_only():
    x, train, held_out = halves(jax.random.key(2), 90)
    whole, cut = (measure(x, train, held_out, chunk=chunk) for chunk in (256, 13))
    np.testing.assert_allclose(whole, cut, rtol=1e-3, atol=1e-2)
