"""Every objective against quadrature, samples and its own definition; float64 unless stated."""

import functools
import re
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from sigmaprop import objectives
from sigmaprop.gaussians import Diagonal, Full, Isotropic, LowRank
from sigmaprop.objectives import Objective
from sigmaprop.objectives.networks import ridge_weights

EPS = np.finfo(np.float64).eps
# An upper bound on the roundings between the input and the output of a closed form, of f or of a
# weight of the quadrature, each of relative size EPS / 2; it multiplies a sum of magnitudes.
NUM_ROUNDINGS = 100

WITHOUT = ("digit_classifier", "leaky_relu_network", "softplus_network")
CLOSED = tuple(name for name in objectives.names() if name not in WITHOUT)
SMOOTHNESS = {"absolute": "kink", "relu": "kink", "step": "jump", "leaky_relu_network": "kink"}
SMOOTH = tuple(name for name in CLOSED if name not in SMOOTHNESS)
SPREADS = np.array([0.05, 0.2, 0.5])


@pytest.fixture(scope="module", autouse=True)
def cache_dir(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIGMAPROP_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


@functools.cache
def batched(objective):
    return jax.jit(jax.vmap(objective))


def hermite_rule(num_nodes):
    """Nodes and weights of the standard normal, exact for polynomials of degree 2 n - 1."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(num_nodes)
    return nodes, weights / np.sqrt(2 * np.pi)


def split_rule(num_nodes, edge):
    """The standard normal by Gauss-Legendre on both sides of an edge; tails beyond 12 are 1e-33."""
    nodes, weights = np.polynomial.legendre.leggauss(num_nodes)
    rules = []
    for low, high in ((-12.0, edge), (edge, 12.0)):
        eps = (low + high) / 2 + nodes * (high - low) / 2
        density = np.exp(-(eps**2) / 2) / np.sqrt(2 * np.pi)
        rules.append((eps, weights * density * (high - low) / 2))
    return tuple(np.concatenate(parts) for parts in zip(*rules, strict=True))


def tensor_product(rules):
    """One rule in D dimensions, nodes [M, D] and weights [M], of D rules in one."""
    nodes = np.meshgrid(*(rule[0] for rule in rules), indexing="ij")
    weights = functools.reduce(np.multiply.outer, [rule[1] for rule in rules])
    return np.stack([node.ravel() for node in nodes], axis=-1), weights.ravel()


def score_terms(values, eps, spread):
    """[M, 1 + 2 D]: f, and f times the scores of the mean and the standard deviations.

    Only values of f enter, so that the formulas hold for kinks and jumps too and share nothing
    with the derivative of a closed form.
    """
    values = np.asarray(values)[:, None]
    return np.hstack([values, values * eps / spread, values * (eps**2 - 1) / spread])


def integrate(objective, spread, num_nodes):
    """By two numbers of nodes: E of the score terms [1 + 2 D], and E of their magnitudes."""
    edges = -objective.point / spread
    rules = []
    for num in num_nodes:
        if objective.smoothness == "smooth":
            rules.append(tensor_product([hermite_rule(num)] * objective.dim))
        else:
            rules.append(tensor_product([split_rule(num, edge) for edge in edges]))
    # One call, one compilation.
    eps = np.concatenate([rule[0] for rule in rules])
    terms = score_terms(batched(objective)(objective.point + spread * eps), eps, spread)
    parts = np.split(terms, [len(rules[0][0])])
    return [
        (weights @ part, weights @ np.abs(part))
        for (_, weights), part in zip(rules, parts, strict=True)
    ]


def closed_terms(objective, gaussian):
    """The same by the closed form; the last D are one number for an Isotropic Gaussian."""
    gradient = objective.smoothed_gradient(gaussian)
    assert type(gradient) is type(gaussian)
    parts = [objective.smoothed(gaussian), gradient.mean, gradient.scale]
    return np.concatenate([np.atleast_1d(part) for part in parts])


def as_isotropic(terms, dim):
    """Terms of a Gaussian whose standard deviations are one number."""
    return np.append(terms[: 1 + dim], terms[1 + dim :].sum())


def check_against_quadrature(name, dim, spread, isotropic):
    objective = objectives.get(name, dim)
    num_nodes = 80 if dim < 3 else 40
    (coarse, _), (fine, magnitude) = integrate(objective, spread, (num_nodes - 12, num_nodes))
    if isotropic:
        coarse, fine, magnitude = (as_isotropic(t, dim) for t in (coarse, fine, magnitude))
        gaussian = Isotropic(jnp.asarray(objective.point), jnp.asarray(spread[0]))
    else:
        gaussian = Diagonal(jnp.asarray(objective.point), jnp.asarray(spread))
    tolerance = np.abs(fine - coarse) + NUM_ROUNDINGS * EPS * magnitude
    assert np.all(tolerance < 1e-9 * magnitude), "the quadrature has not converged"
    error = np.abs(closed_terms(objective, gaussian) - fine)
    assert np.all(error <= tolerance), (error, tolerance)


DIMS = [(name, dim) for name in CLOSED for dim in (1, 2) if (name, dim) != ("rosenbrock", 1)]


@pytest.mark.parametrize(("name", "dim"), DIMS)
def test_closed_forms_equal_quadrature_in_one_and_two_dimensions(name, dim):
    for scale in (0.05, 0.5):
        check_against_quadrature(name, dim, np.full(dim, scale), isotropic=True)
    check_against_quadrature(name, dim, SPREADS[1 : 1 + dim], isotropic=False)


@pytest.mark.parametrize("name", SMOOTH)
def test_closed_forms_equal_quadrature_in_three_dimensions(name):
    check_against_quadrature(name, 3, SPREADS, isotropic=False)


@pytest.mark.parametrize("name", ["linear", "exponential"])
def test_functions_of_one_linear_form_equal_quadrature_along_it(name):
    objective = objectives.get(name)
    mean = jnp.asarray(objective.point)
    spread = np.resize(SPREADS, objective.dim)
    slope = jax.grad(objective)(mean)
    direction = slope / jnp.linalg.norm(slope)
    # a.x ~ N(a.m, sum a^2 s^2) and f changes along a only.
    step = np.sqrt(np.sum((direction * spread) ** 2))
    eps, weights = hermite_rule(36)
    values = batched(objective)(mean + step * eps[:, None] * direction)
    rounding = NUM_ROUNDINGS * EPS * (weights @ np.abs(values))
    error = objective.smoothed(Diagonal(mean, jnp.asarray(spread))) - weights @ values
    assert np.abs(error) < rounding


@pytest.mark.parametrize("name", CLOSED)
def test_closed_forms_equal_sample_means_at_the_default_dimension(name):
    objective = objectives.get(name)
    spread = np.resize(SPREADS, objective.dim)
    num_samples = 2**14
    eps = np.asarray(jax.random.normal(jax.random.key(0), (num_samples, objective.dim)))
    values = np.asarray(batched(objective)(objective.point + spread * eps))
    gaussian = Diagonal(jnp.asarray(objective.point), jnp.asarray(spread))
    expected = closed_terms(objective, gaussian)
    # A constant baseline changes no expectation of a score.
    terms = score_terms(values - float(expected[0]), eps, spread)
    terms[:, 0] += expected[0]
    sem = terms.std(axis=0) / np.sqrt(num_samples)
    error = np.abs(terms.mean(axis=0) - expected)
    assert np.all(error < 5 * sem + NUM_ROUNDINGS * EPS * np.abs(values).max()), error / sem


def test_ridge_network_equals_quadrature_of_each_unit_in_ten_thousand_dimensions():
    dim = 10_000
    objective = objectives.get("ridge_network", dim)
    w, b, c = ridge_weights(dim)
    mean, spread = objective.point, np.resize(SPREADS, dim)
    centre = (w @ mean + b)[:, None]
    width = np.sqrt((w**2) @ spread**2)[:, None]

    def by_quadrature(num_nodes):
        eps, weights = hermite_rule(num_nodes)
        y = centre + width * eps
        density = np.exp(-(y**2) / 2) / np.sqrt(2 * np.pi)
        value = c @ (scipy.special.ndtr(y) @ weights)
        # Bonnet: E grad f; Price: s_i E d^2 f / d x_i^2.
        to_mean = (c * (density @ weights)) @ w
        to_scale = (c * ((-y * density) @ weights)) @ w**2 * spread
        return np.concatenate([[value], to_mean, to_scale])

    fine = by_quadrature(80)
    # Rounding of a dot product, D EPS |w||m|, reaches f through slopes of at most one.
    rounding = dim * EPS * np.linalg.norm(w, axis=1).max() * np.linalg.norm(mean)
    tolerance = np.abs(fine - by_quadrature(64)) + rounding * np.abs(c).sum() + NUM_ROUNDINGS * EPS
    assert tolerance.max() < 1e-6
    gaussian = Diagonal(jnp.asarray(mean), jnp.asarray(spread))
    assert np.all(np.abs(closed_terms(objective, gaussian) - fine) < tolerance)
    assert 0.1 < abs(fine[0]) < 10


@functools.cache
def derivatives(objective):
    """At the point: f, its gradient [D], its Hessian [D, D], its Laplacian's gradient [D]."""

    def laplacian(x):
        hessian = jax.vmap(lambda v: jax.jvp(jax.grad(objective), (x,), (v,))[1])(jnp.eye(x.size))
        return jnp.trace(hessian), hessian

    def all_of_them(x):
        to_laplacian, hessian = jax.grad(laplacian, has_aux=True)(x)
        return *jax.value_and_grad(objective)(x), hessian, to_laplacian

    return tuple(map(np.asarray, jax.jit(all_of_them)(jnp.asarray(objective.point))))


def rounding_bounds(objective, eps):
    """Bounds for f and its gradient: relative errors of x and of the result, by conditioning."""
    value, gradient, hessian, _ = map(np.abs, derivatives(objective))
    size = np.abs(objective.point)
    to_value, to_gradient = value + gradient @ size, gradient + hessian @ size
    return NUM_ROUNDINGS * eps * to_value, NUM_ROUNDINGS * eps * to_gradient.max()


def all_families(mean, scale):
    """One Gaussian of each family, and a LowRank without columns."""
    scale = jnp.asarray(scale, mean.dtype)
    each, factor = jnp.broadcast_to(scale, mean.shape), jnp.tile(scale, (*mean.shape, 2))
    return (
        Isotropic(mean, scale),
        Diagonal(mean, each),
        Full(mean, jnp.diag(each)),
        LowRank(mean, each, factor),
        LowRank(mean, each, factor[:, :0]),
    )


@pytest.mark.parametrize("name", SMOOTH)
def test_smooth_closed_forms_at_scale_zero_are_f(name):
    objective = objectives.get(name)
    x = jnp.asarray(objective.point)
    value, slope, *_ = derivatives(objective)
    value_bound, gradient_bound = rounding_bounds(objective, EPS)
    for gaussian in all_families(x, 0.0):
        found, gradient = jax.jit(jax.value_and_grad(objective.smoothed))(gaussian)
        assert jnp.abs(found - value) < value_bound
        to_mean, *to_spread = jax.tree.leaves(gradient)
        assert jnp.all(jnp.abs(to_mean - slope) <= gradient_bound)
        assert all(jnp.all(leaf == 0.0) for leaf in to_spread)


@pytest.mark.parametrize("name", objectives.names())
def test_float32_agrees_with_float64(name):
    objective = objectives.get(name)
    value_bound, gradient_bound = rounding_bounds(objective, np.finfo(np.float32).eps)
    value, gradient = jax.value_and_grad(objective)(jnp.asarray(objective.point, jnp.float32))
    exact_value, exact_gradient, *_ = derivatives(objective)
    assert np.abs(value - exact_value) <= value_bound
    assert np.all(np.abs(gradient - exact_gradient) <= gradient_bound)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32, jnp.float64])
@pytest.mark.parametrize("name", objectives.names())
def test_nothing_promotes(name, dtype):
    objective = objectives.get(name)
    x = jnp.asarray(objective.point, dtype)
    programs = [(jax.value_and_grad(objective), x)]
    if objective.has_closed_form:
        gaussians = all_families(x, 0.1)
        smoothed = jax.value_and_grad(objective.smoothed)
        programs += [(smoothed, g) for g in gaussians[: 5 if dtype == jnp.bfloat16 else 1]]
    for program, argument in programs:
        jaxpr = jax.make_jaxpr(program)(argument)
        shapes = [(), *(leaf.shape for leaf in jax.tree.leaves(argument))]
        assert [out.shape for out in jaxpr.out_avals] == shapes
        assert {out.dtype for out in jaxpr.out_avals} == {jnp.dtype(dtype)}
        assert dtype == jnp.float64 or "f64" not in str(jaxpr)


@pytest.mark.parametrize("name", objectives.names())
def test_bfloat16_has_a_value(name):
    objective = objectives.get(name)
    value = objective(jnp.asarray(objective.point, jnp.bfloat16))
    # x, the constants and the terms are rounded to 8 bits; cancellation may cost some of them.
    value_bound, _ = rounding_bounds(objective, float(jnp.finfo(jnp.bfloat16).eps))
    assert abs(float(value) - float(derivatives(objective)[0])) <= value_bound


@pytest.mark.parametrize("name", objectives.names())
def test_every_entry_is_well_formed(name):
    objective = objectives.get(name)
    assert objective.name == name
    dims = dict.fromkeys(WITHOUT[1:], 8) | dict.fromkeys(("ridge_network", WITHOUT[0]), 64)
    assert objective.dim == dims.get(name, 16)
    assert objective.smoothness == SMOOTHNESS.get(name, "smooth")
    assert objective.formula
    assert objective.has_closed_form == (name in CLOSED)
    assert objective.point.shape == (objective.dim,)
    assert objective.point.dtype == np.float64
    assert not objective.point.flags.writeable
    assert objective is objectives.get(name, objective.dim)


@pytest.mark.parametrize("name", [*SMOOTH, "digit_classifier"])
def test_the_point_of_a_smooth_objective_is_not_degenerate(name):
    value, gradient, hessian, to_laplacian = derivatives(objectives.get(name))
    assert np.abs(value) > 0.1
    assert np.linalg.norm(gradient) > 0.1
    if name != "linear":
        assert np.linalg.norm(hessian) > 0.1
        assert np.abs(np.trace(hessian)) > 0.1
    if name not in ("linear", "quadratic"):
        assert np.linalg.norm(to_laplacian) > 0.1


def test_the_leaky_network_bends_for_autodiff_by_its_loss_alone():
    # f = softplus(-D): where D is linear, Hess f = (1 - p)/p grad f grad f', p = 1 - exp(-f).
    for name, bends in (("leaky_relu_network", False), ("softplus_network", True)):
        value, gradient, hessian, _ = derivatives(objectives.get(name))
        p = -np.expm1(-value)
        by_loss = (1 - p) / p * np.outer(gradient, gradient)
        gap = np.abs(hessian - by_loss).max()
        assert (gap > 1e-3) == bends
        assert bends or gap < NUM_ROUNDINGS * EPS


@pytest.mark.parametrize("name", ["absolute", "relu", "step"])
def test_the_point_of_a_kink_or_jump_lies_on_both_sides_of_it(name):
    point = objectives.get(name).point
    np.testing.assert_array_equal(np.abs(point), 0.05)
    assert np.all(point[::2] > 0)
    assert np.all(point[1::2] < 0)


def test_the_quadratic_has_the_condition_asked_for():
    objective = objectives.get("quadratic", 8, condition=1e3)
    _, _, hessian, _ = derivatives(objective)
    eigenvalues = np.linalg.eigvalsh(hessian)
    # Weyl: rounding moves an eigenvalue by at most the norm of the rounding error of the matrix.
    bound = NUM_ROUNDINGS * EPS * 1e3
    assert np.abs(eigenvalues - np.geomspace(1, 1e3, 8)).max() < bound
    assert np.abs(hessian).min() > 0


def test_the_digit_is_a_test_image_classified_with_doubt():
    objective = objectives.get("digit_classifier")
    probability = np.exp(-objective(objective.point))
    assert 0.5 < probability < 0.7
    assert set(objective.point * 16) <= set(range(17))


def test_without_a_closed_form_the_error_names_the_remedy():
    objective = objectives.get("digit_classifier")
    with pytest.raises(ValueError, match=r"'digit_classifier' has no closed form .* large indep"):
        objective.smoothed(Isotropic(jnp.asarray(objective.point), jnp.asarray(0.1)))


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(ValueError, match=r"unknown objective 'quartik'; did you mean 'quartic'\?"):
        objectives.get("quartik")


@pytest.mark.parametrize(
    ("name", "dim", "allowed"),
    [
        ("rosenbrock", 1, "at least 2"),
        ("digit_classifier", 16, "exactly 64"),
        ("quartic", 0, "at least 1"),
        ("sine", -3, "at least 1"),
        ("sine", 2.5, "at least 1"),
    ],
)
def test_a_dim_that_is_not_allowed_is_answered_with_what_is(name, dim, allowed):
    with pytest.raises(ValueError, match=f"'{name}' does not allow dim {dim}; .* {allowed}"):
        objectives.get(name, dim)


def test_options_are_checked():
    with pytest.raises(ValueError, match="'sine' has no option 'condition'; its options: none"):
        objectives.get("sine", condition=3.0)
    with pytest.raises(ValueError, match=r"needs condition >= 1, not 0\.5"):
        objectives.get("quadratic", condition=0.5)


@pytest.mark.unchecked
def test_x_of_another_shape_or_kind_is_refused():
    objective = objectives.get("quartic", 3)
    for x in (jnp.ones(4), jnp.ones((2, 3)), jnp.arange(3)):
        with pytest.raises(ValueError, match=r"'quartic' takes one floating x of shape \(3,\)"):
            objective(x)


@pytest.mark.parametrize(
    ("gaussian", "needed", "given"),
    [
        (Isotropic(np.ones(2), np.ones(())), "Isotropic .* mean (3,), scale ()", "(2,), scale ()"),
        (Isotropic(np.ones(3), np.ones(3)), "Isotropic .* mean (3,), scale ()", "(3,), scale (3,)"),
        (Diagonal(np.ones(3), np.ones(2)), "Diagonal .* mean (3,), scale (3,)", "(3,), scale (2,)"),
        (Full(np.ones(3), np.ones(3)), "Full .* mean (3,), scale (3, 3)", "(3,), scale (3,)"),
        (
            LowRank(np.ones(3), np.ones(3), np.ones((2, 4))),
            "LowRank .* mean (3,), scale (3,), factor (3, 4)",
            "(3,), scale (3,), factor (2, 4)",
        ),
        (
            LowRank(np.ones(3), np.ones(3), np.ones(())),
            "LowRank .* mean (3,), scale (3,), factor (3, 1)",
            "(3,), scale (3,), factor ()",
        ),
    ],
)
def test_a_gaussian_of_other_shapes_is_refused(gaussian, needed, given):
    pattern = re.escape(f"{needed}, not mean {given}").replace(re.escape(" .* "), " .* ")
    with pytest.raises(ValueError, match=f"'quartic' has dim 3: it takes {pattern}$"):
        objectives.get("quartic", 3).smoothed(gaussian)


def test_what_is_no_gaussian_is_refused():
    with pytest.raises(ValueError, match="one of Isotropic, Diagonal, Full, LowRank, not tuple"):
        objectives.get("quartic", 3).smoothed((1, 2))  # pyright: ignore[reportArgumentType]


def mine(**changes):
    fields = {"name": "mine", "dim": 2, "function": lambda x: x[0] * x[1], "point": np.ones(2)}
    return Objective(**{**fields, **changes})


def test_your_own_function_makes_an_objective():
    objective = mine()
    assert objective(np.array([2.0, 3.0])) == 6.0
    assert not objective.has_closed_form
    known = mine(expectation=lambda mean, covariance: mean[0] * mean[1])
    gradient = known.smoothed_gradient(Isotropic(jnp.array([2.0, 3.0]), jnp.asarray(1.0)))
    np.testing.assert_array_equal(gradient.mean, [3.0, 2.0])
    assert gradient.scale == 0.0


def test_your_own_objective_is_checked_and_keeps_its_point():
    with pytest.raises(ValueError, match=r"'mine' has dim 2: .* shape \(2,\), not \(3,\)"):
        mine(point=np.ones(3))
    with pytest.raises(ValueError, match=r"'mine': smoothness is .* not 'rough'"):
        mine(smoothness="rough")
    point = np.ones(2)
    objective = mine(point=point)
    point[0] = 5.0
    np.testing.assert_array_equal(objective.point, 1.0)


def test_an_objective_passes_through_jit_and_is_compiled_once():
    num_traces = 0

    @jax.jit
    def evaluate(objective, xs):
        nonlocal num_traces
        num_traces += 1
        return jax.vmap(objective)(xs)

    xs = jnp.arange(6.0).reshape(2, 3)
    evaluate(objectives.get("quartic", 3), xs)
    values = evaluate(objectives.get("quartic", 3), xs)
    np.testing.assert_array_equal(values, np.sum(np.asarray(xs) ** 4, axis=1))
    assert num_traces == 1


def test_the_closed_form_maps_over_scales():
    objective = objectives.get("sine")
    mean, scales = jnp.asarray(objective.point), jnp.array([0.1, 0.2])
    mapped = jax.jit(jax.vmap(lambda s: objective.smoothed(Isotropic(mean, s))))(scales)
    for value, scale in zip(mapped, scales, strict=True):
        expected = objective.smoothed(Isotropic(mean, scale))
        assert jnp.abs(value - expected) < NUM_ROUNDINGS * EPS * jnp.abs(expected)


def test_the_names_are_known_without_training_or_heavy_imports():
    program = (
        "import sys; from sigmaprop import objectives; objectives.names(); "
        "assert not {'sklearn', 'optax', 'sigmaprop.objectives.classifier'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
