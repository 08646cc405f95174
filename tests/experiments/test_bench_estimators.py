"""The benchmark of the estimators at a small size: its lines, its arithmetic, its peers."""

import json
import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sigmaprop import estimators as known


@pytest.fixture
def bench(monkeypatch):
    from sigmaprop.experiments.bench import estimators as bench_estimators

    monkeypatch.setattr(bench_estimators, "DIM", 4)
    monkeypatch.setattr(bench_estimators, "NUM_SAMPLES", 2**9)
    monkeypatch.setattr(bench_estimators, "OBJECTIVES", ("sine", "quartic"))
    monkeypatch.setattr(bench_estimators, "TARGET_OBJECTIVES", ("sine",))
    monkeypatch.setattr(bench_estimators, "RANK", 2)
    return bench_estimators


@pytest.fixture
def no_tfp(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_probability", None)


def _fake_tfp(monkeypatch) -> None:
    """What the benchmark uses of TensorFlow Probability, and nothing else."""

    class Normal:
        def __init__(self, mean, scale):
            self.mean, self.scale = mean, scale

        def sample(self, number, seed):
            noise = jax.random.normal(seed, (number, *self.mean.shape))
            return self.mean + self.scale * noise

        def log_prob(self, x):
            return jax.scipy.stats.norm.logpdf(x, self.mean, self.scale).sum(axis=-1)

    def expectation(f, samples, log_prob, use_reparameterization):
        if use_reparameterization:
            return jnp.mean(f(samples))
        fixed = jax.lax.stop_gradient(samples)
        return jnp.mean(
            f(fixed) * jnp.exp(log_prob(fixed) - jax.lax.stop_gradient(log_prob(fixed)))
        )

    fake = types.ModuleType("tensorflow_probability.substrates.jax")
    fake.distributions = types.SimpleNamespace(MultivariateNormalDiag=Normal)
    fake.monte_carlo = types.SimpleNamespace(expectation=expectation)
    names = ("tensorflow_probability", "tensorflow_probability.substrates", fake.__name__)
    made = [types.ModuleType(names[0]), types.ModuleType(names[1]), fake]
    made[0].substrates, made[1].jax = made[1], fake
    for name, module in zip(names, made, strict=True):
        monkeypatch.setitem(sys.modules, name, module)


def _sound(ratios) -> bool:
    numbers = [[ratio.median, ratio.low, ratio.high] for ratio in ratios]
    return bool(np.all(np.isfinite(numbers)) and np.min(numbers) > 0)


def test_parts_are_what_a_draw_evaluates(bench):
    def parts(label, noise="iid", dim=64):
        return [tuple(part) for part in bench._evaluated(known.of_label(label, noise), dim)]

    assert parts("pathwise") == parts("mixed") == [(("gradient",), 1)]
    assert parts("pathwise", "antithetic") == [(("gradient",), 2)]
    assert parts("score_function+leave_one_out+fitted") == [(("value",), 1)]
    assert parts("antithetic_difference") == [(("value",), 2)]
    assert parts("pathwise+delta+fitted") == [(("gradient", "product"), 1)]
    assert parts("score_function+delta") == [(("value", "product"), 1)]
    assert parts("measure_valued") == [(("value",), 257)]
    assert parts("measure_valued+uncoupled") == [(("value",), 193)]
    assert parts("bonnet_price") == [(("gradient",), 1), (("curvature",), 1)]
    assert parts("bonnet_price", dim=32) == [(("gradient",), 1), (("curvature",), 32)]


def test_parts_call_f_as_often_as_the_estimator(bench):
    # The calls that an estimate really makes at its draws, counted by f itself.
    calls = []

    def f(x):
        jax.debug.callback(lambda _: calls.append(1), x[0])
        return jnp.sum(jnp.sin(x))

    gaussian = bench.Diagonal(jnp.zeros(3), jnp.ones(3))

    def count(label, samples):
        calls.clear()
        bench._estimate(f, gaussian, label, samples).run()
        jax.effects_barrier()
        return len(calls)

    for label in ("score_function", "measure_valued", "measure_valued+uncoupled"):
        estimator = known.of_label(label)
        points = sum(part.points for part in bench._evaluated(estimator, 3))
        # What is evaluated once, at the mean, does not depend on the number of samples.
        assert count(label, 7) - count(label, 5) == 2 * points


def test_chunks_hold_all_rows():
    from sigmaprop.experiments.bench import parts

    assert parts.cut(2**16, 64) == (16, 2**12)
    assert parts.cut(10, 64) == (1, 10)
    program, weight = parts.normals(5000, 64)
    program.run()
    assert weight == 5000 / 8192


def test_the_target_is_for_pathwise_alone(bench, monkeypatch):
    monkeypatch.setattr(bench, "_labels", lambda: ("pathwise", "score_function"))
    monkeypatch.setattr(bench, "_TARGET", 1e9)
    sine = bench._every_estimator("sine", 3)
    quartic = bench._every_estimator("quartic", 3)
    assert [ratio.verdict for ratio in sine + quartic] == ["met", "", "", ""]
    assert _sound(sine + quartic)
    monkeypatch.setattr(bench, "_TARGET", 1e-9)
    assert bench._every_estimator("sine", 3)[0].verdict == "missed"


def test_missing_peers_are_told_in_one_line_each(bench, no_tfp, monkeypatch):
    monkeypatch.setattr(bench, "in_child", lambda *arguments, path: "[]")
    for ratios, note in (bench._tfp(3), bench._optax(3, None)):
        assert ratios == []
        assert "pip install --no-deps --target DIR" in note
        assert "\n" not in note


def test_tfp_is_compared_where_it_is_found(bench, monkeypatch):
    _fake_tfp(monkeypatch)
    ratios, note = bench._tfp(3)
    assert (len(ratios), note) == (6, "")
    assert _sound(ratios)


def test_optax_is_compared_where_it_has_monte_carlo(bench, monkeypatch, capsys):
    import optax

    def jacobians(function, params, normal, key, samples):
        mean, log_scale = params
        noise = jax.random.normal(key, (samples, *mean.shape))
        gradients = jax.vmap(jax.grad(function))(mean + jnp.exp(log_scale) * noise)
        return [gradients, gradients * noise]

    names = ("pathwise_jacobians", "score_function_jacobians", "measure_valued_jacobians")
    fake = types.SimpleNamespace(**dict.fromkeys(names, jacobians))
    monkeypatch.setattr(optax, "monte_carlo", fake, raising=False)
    bench._optax_child(3, "quartic", (8, 8, 8))
    printed = capsys.readouterr().out
    monkeypatch.setattr(bench, "in_child", lambda *arguments, path: printed)
    monkeypatch.setattr(bench, "OPTAX_SAMPLES", {"quartic": (8, 8, 8)})
    ratios, note = bench._optax(3, None)
    assert (len(ratios), note) == (3, "")
    assert _sound(ratios)
    assert all(ratio.target == 0.1 and ratio.verdict for ratio in ratios)


def test_a_child_imports_the_given_directory_first(bench, tmp_path):
    (tmp_path / "optax").mkdir()
    (tmp_path / "optax" / "__init__.py").touch()
    (tmp_path / "optax" / "__main__.py").write_text("print('theirs')")
    assert bench.in_child("optax", path=tmp_path) == "theirs"


def test_results_are_printed_and_written_whole(sigmaprop, bench, no_tfp, monkeypatch, tmp_path):
    monkeypatch.setattr(bench, "_labels", lambda: ("pathwise", "score_function+leave_one_out"))
    monkeypatch.setattr(bench, "_memory", list)
    monkeypatch.setattr(bench, "in_child", lambda *arguments, path: "[]")
    for name in ("_noise_schemes", "_families"):
        monkeypatch.setattr(bench, name, lambda repeats: [])
    out = tmp_path / "bench.json"
    ended = sigmaprop("bench", "estimators", "--repeats", 3, "--out", out)
    assert "load average" in ended.out
    assert all(note in ended.out for note in (bench._NO_TFP, bench._NO_OPTAX))
    assert list(tmp_path.iterdir()) == [out]
    content = json.loads(out.read_text())
    assert len(content["ratios"]) == 2 * 2 + 1
    assert content["notes"] == [bench._NO_TFP, bench._NO_OPTAX]
    assert content["repeats"] == 3
    assert ended.status == int(any(ratio["verdict"] == "missed" for ratio in content["ratios"]))


@pytest.mark.slow
def test_every_line_has_a_ratio(bench):
    ratios = bench._every_estimator("sine", 3)
    assert len(ratios) == len(bench._labels()) >= 20
    others = [*bench._noise_schemes(3), *bench._families(3), bench._exact_price(3)]
    assert len(others) == 2 * 4 + 6 + 1
    assert _sound(ratios + others)


@pytest.mark.slow
def test_memory_is_that_of_children(bench, monkeypatch):
    monkeypatch.setattr(bench, "MEMORY_LABELS", ("pathwise", "measure_valued"))
    monkeypatch.setattr(bench, "MEMORY_SAMPLES", (2**9, 2**12))
    ratios = bench._memory()
    assert _sound(ratios)
    assert [ratio.what[:21] for ratio in ratios] == [
        "peak memory, pathwise",
        "peak memory, measure_",
    ]
