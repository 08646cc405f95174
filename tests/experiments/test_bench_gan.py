"""The benchmark of the GANs at a small size: its counts, its arithmetic, its peers, its lines."""

import itertools
import json
import math
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sigmaprop.experiments.bench import ratios, timing

LATENT, WIDTH, DIM, BATCH = 4, 8, 3, 6
RATES = "replica-steps a second"


@pytest.fixture
def programs(monkeypatch):
    from sigmaprop.experiments.bench import gan_programs as bench_gan_programs

    small = {
        "LATENT": LATENT,
        "WIDTHS": (WIDTH, WIDTH),
        "DIM": DIM,
        "BATCH": BATCH,
        "EXAMPLES": 20,
        "LEAST_STEPS": 2,
    }
    for name, value in small.items():
        monkeypatch.setattr(bench_gan_programs, name, value)
    monkeypatch.setattr(timing, "SECONDS", 1e-3)
    return bench_gan_programs


@pytest.fixture
def script(monkeypatch, tmp_path):
    """Replaces PyTorch's process by one that runs the given lines."""
    from sigmaprop.experiments.bench import gan_peers as bench_gan_peers

    def replace(lines: str) -> Path:
        path = tmp_path / "peer.py"
        path.write_text(lines)
        monkeypatch.setattr(bench_gan_peers, "_SCRIPT", path)
        return bench_gan_peers.interpreter(Path(sys.executable))

    return replace


ANSWERS = """
import sys
print('{"torch": "9.9"}', flush=True)
for line in sys.stdin:
    print(.1, flush=True)
"""


def _layers(*sizes):
    return [a * b for a, b in itertools.pairwise(sizes)]


def _multiplications() -> int:
    """Of a step: forward, to the weights, and to the inputs of all layers that need them."""
    generator = _layers(LATENT, WIDTH, WIDTH, DIM)
    judge = _layers(DIM, WIDTH, WIDTH, 1)
    judging = 2 * BATCH * (2 * sum(judge) + sum(judge[1:]))
    through_judge = BATCH * 2 * sum(judge)
    making = BATCH * (3 * sum(generator) + sum(generator[1:]))
    return judging + through_judge + making


def test_operations_are_those_of_the_formula(programs):
    made = programs.make_spec(["global"])
    counted = programs.work(made)
    assert counted.flops == 2 * _multiplications()
    body, start = programs.linear_products(made)
    trace = jax.make_jaxpr(body)(jnp.asarray(0), start)
    products = sum(flops for flops, _ in programs.products(trace.jaxpr))
    assert products == counted.flops


def test_xla_counts_the_products_and_little_more(programs, monkeypatch):
    for name, value in {"WIDTHS": (64, 64), "DIM": 64, "LATENT": 32, "BATCH": 64}.items():
        monkeypatch.setattr(programs, name, value)
    made = programs.make_spec(["global"])
    flops = programs.work(made).flops
    # At most 200 operations a normal draw (20 rounds of 6, then its inversion), 30 a parameter of
    # Adam's, and 40 a unit and example.
    draws = 2 * 64 * (32 + 64)
    parameters = 32 * 64 + 2 * 64 * 64 + 2 * 64 * 64 + 64 + 5 * 64 + 1
    units = 2 * 64 * (3 * 64) + 3 * 64 * (2 * 64 + 1)
    others = 200 * draws + 30 * parameters + 40 * units
    assert flops < programs.counted_by_xla(made) < flops + others


def test_convolutions_count_what_each_output_sums(programs):
    def convolve(x, kernel):
        numbers = ("NHWC", "HWIO", "NHWC")
        return jax.lax.conv_general_dilated(x, kernel, (2, 2), "SAME", dimension_numbers=numbers)

    shapes = [jax.ShapeDtypeStruct(s, jnp.float32) for s in ((5, 8, 8, 3), (4, 4, 3, 7))]
    (found,) = programs.products(jax.make_jaxpr(convolve)(*shapes).jaxpr)
    result = 5 * 4 * 4 * 7
    moved = 4 * (result + sum(math.prod(shape.shape) for shape in shapes))
    assert found == (2.0 * result * 4 * 4 * 3, moved)


def test_times_are_taken_in_turns(monkeypatch):
    # As if the machine slowed down 10 times half way: ratios taken in turns do not see it.
    durations = iter([4.0, 1.0, 4.0, 1.0, 40.0, 10.0, 40.0, 10.0])
    monkeypatch.setattr(timing, "timed", lambda program: next(durations))
    sized = timing.Program("a", lambda: None, 2.0)
    seconds = timing.time_interleaved({"a": sized, "b": sized}, 4)
    assert seconds["a"].tolist() == [2.0, 2.0, 20.0, 20.0]
    above, below = (ratios.terms(seconds, {name: 1}) for name in "ab")
    found = ratios.ratio("a / b", above, below, 5.0)
    assert (found.median, found.low, found.high, found.verdict) == (4.0, 4.0, 4.0, "met")


def test_runs_last_as_long_as_they_should(programs, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(timing.time, "perf_counter", lambda: clock[0])

    def run(count):
        clock[0] += 1e-5 * count

    assert timing.calibrate_steps(run) == 100
    assert timing.calibrate_steps(run, most=5) == 5
    assert timing.calibrate_steps(run, least=300) == 300


def test_a_chain_multiplies_as_often_as_it_says(programs):
    from sigmaprop.generators import replicas

    mesh = replicas.layout(2).mesh
    run = programs.repeat_on_devices(mesh, lambda _, x: x + 1.0, jnp.zeros(()))
    assert [np.asarray(run(3)).tolist(), np.asarray(run(2)).tolist()] == [[3.0] * 2, [5.0] * 2]
    made = programs.matmul_chain(mesh, 4, 8, jnp.float32)
    assert made.amount % (2 * 4 * 8 * 8 * 2) == 0


def test_peers_answer_and_end(programs, script):
    from sigmaprop.experiments.bench import gan_peers as peers

    python = script(ANSWERS)
    with peers.torch_programs(python, "cpu") as others:
        found, notes = others.programs, others.notes
        for one in found.values():
            one.run()
        assert peers.PER_CORE in found
        assert all(name in found for name in peers.eager_names(found))
        assert peers.PER_CORE not in peers.eager_names(found)
    assert all(note.endswith("PyTorch 9.9") for note in notes)
    assert others.versions == {"torch": "9.9"}


def test_a_peer_that_fails_is_a_note(programs, script):
    from sigmaprop.experiments.bench import gan_peers as peers

    python = script("raise SystemExit('no compiler here')")
    with peers.torch_programs(python, "cpu") as others:
        assert others.programs == {}
    assert all("not compared" in note and "no compiler here" in note for note in others.notes)
    with peers.torch_programs(None, "cpu") as others:
        assert others == ({}, [peers.NOT_FOUND], {})


def test_pytorch_plays_the_same_game(programs):
    torch = pytest.importorskip("torch")
    from sigmaprop.experiments.bench import gan_torch as peer

    from sigmaprop.generators import networks

    made = networks.mlp_discriminator(peer.DIM)
    params = made.init(jax.random.key(0))
    leaky = lambda: torch.nn.LeakyReLU(0.2)  # noqa: E731
    theirs = peer.network((peer.DIM, peer.HIDDEN, peer.HIDDEN, 1), leaky)
    linear = [layer for layer in theirs if isinstance(layer, torch.nn.Linear)]
    for layer, name in zip(linear, ("hidden_0", "hidden_1", "output"), strict=True):
        layer.weight.data = torch.tensor(np.asarray(params[name]["kernel"]).T.copy())
        layer.bias.data = torch.tensor(np.asarray(params[name]["bias"]).copy())
    x = np.asarray(jax.random.normal(jax.random.key(1), (5, peer.DIM)))
    expected = theirs(torch.tensor(x))[:, 0].detach().numpy()
    # Sums of 256 float32 products of size one.
    assert np.allclose(made.apply(params, x), expected, atol=256 * 2**-24 * 4)
    peer.make_step("cpu", compiled=False)()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["limit", "--replicas", 2], "--replicas 2 goes with `bench gan` only"),
        (["estimators", "--torch-python", "x"], "--torch-python x goes with `bench gan` only"),
        (["gan", "--replicas", 0, 2], "--replicas is 0 2; it needs whole numbers >= 1"),
        (["gan", "--torch-python", "nowhere"], "--torch-python nowhere is not a file"),
        (["gan", "--optax-path", "x"], "--optax-path x goes with `bench estimators` only"),
    ],
)
def test_options_that_cannot_be_are_refused(sigmaprop, options, told):
    ended = sigmaprop("bench", *options)
    assert ended.status == 2
    assert told in ended.err
    assert ended.err.count("\n") == 1


def _sound(ratios) -> bool:
    return all(np.isfinite([ratio.median, ratio.low, ratio.high]).all() for ratio in ratios)


@pytest.mark.slow
def test_the_command_prints_and_writes_all_lines(sigmaprop, programs, script, monkeypatch):
    from sigmaprop.experiments.bench import gan as bench_gan

    python = script(ANSWERS)
    monkeypatch.setattr(bench_gan, "LARGE", 16)
    ended = sigmaprop(
        *("bench", "gan", "--repeats", 3, "--replicas", 1, 7),
        *("--torch-python", python, "--out", "bench.json"),
    )
    assert ended.status in (0, 1)
    assert "of the peak" in ended.out
    content = json.loads(Path("bench.json").read_text())
    lines = [ratio["what"] for ratio in content["ratios"]]
    assert "7 replicas of all arms / of one" in lines
    assert sum(line.startswith("7 replicas / ") for line in lines) == 4
    shares = [r["median"] for r in content["ratios"][-6:]]
    assert all(np.isfinite(shares))


@pytest.mark.slow
def test_an_accelerators_lines_are_of_its_roofline(programs, monkeypatch):
    from sigmaprop.experiments.bench import gan as bench_gan
    from sigmaprop.experiments.bench import gan_peers as peers

    small = {"ACCELERATOR_LARGE": 16, "COPIED": 64, "IMAGE_WIDTHS": (2,), "FULL": 2}
    for name, value in small.items():
        monkeypatch.setattr(bench_gan, name, value)
    monkeypatch.setattr(bench_gan, "IMAGE_REPLICAS", 2)
    peer = timing.Program("PyTorch eager", lambda: None)
    others = peers.Peers({peer.what: peer}, [], {"torch": "9.9"})
    sections, notes = bench_gan.measure(bench_gan.on_an_accelerator([2]), others, 3)
    assert len(notes) == 3 * 2
    assert all("of the roofline" in note for note in notes)
    times = sections["times"]
    assert len(times) == len(notes) + 1
    assert sum(ratio.target == 2.0 for ratio in times) == 6
    assert _sound([ratio for ratios in sections.values() for ratio in ratios])
