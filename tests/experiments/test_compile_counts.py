"""What `sigmaprop compile` counts: operations in traces, kernels and bytes in programs."""

import jax
import jax.numpy as jnp
import pytest
from sigmaprop.experiments.compile import counting, hlo
from sigmaprop.experiments.gan import ahead, plan
from sigmaprop.experiments.gan.config import GanConfig, GanSweep

from ..documented import ROOT

TEXTS = ROOT / "tests" / "experiments" / "hlo"
"""Optimised programs of 2 replicas a device: a loop over steps with a row of the data [1000, 256],
an inner loop of 3 turns x = sin(x w) on [2, 256, 256], a sum over devices, and a log [2, 8]."""
ROWS, WIDTH = 256, 256
ARRAY = 2 * ROWS * WIDTH * 4


def text(name):
    return (TEXTS / f"{name}.txt").read_text()


def test_kernels_copies_and_bytes_of_a_gpu_are_those_counted_by_hand():
    """Of h100.txt: what each instruction of the two bodies reads and writes, as it stands there."""
    partial = 4 * 512 * 256 * 4  # the product, split in four along its sum
    half = ARRAY // 2  # the product reads the first matrix of w alone
    inner = (ARRAY + half + partial) + (partial + ARRAY) + (4 + 4)
    row_added = (ARRAY + 256 * 4 + 4) + (2 * 256 * 4 + ARRAY)
    outer = row_added + (2 * 256 * 4 + 2 * 4) + (4 + 4) + (2 * 4 + 2 * 4)
    log = (0 + 2 * 4 + 4) + 2 * 4  # the log is written in place: one column of it
    copies, condition = 2 * (4 + 4), 4 + 4 + 1
    found = hlo.turn(text("h100"))
    assert found == hlo.Turn(3 * 3 + 4 + 1, 2, 1, 3 * inner + outer + log + copies + condition, 0)
    assert hlo.collectives(text("h100")) == 1


def test_of_a_tpu_the_scratchpad_and_the_scalar_unit_do_not_count():
    """Of v5e.txt: all arrays of the loop lie in the scratchpad, but for the row of the data."""
    assert hlo.turn(text("v5e")) == hlo.Turn(3 * 1 + 3, 3 * 1, 1, 256 * 4, 0)


def test_of_a_cpu_too():
    found = hlo.turn(text("cpu"))
    assert (found.collectives, found.loops) == (1, 0)
    assert found.bytes > 3 * (ARRAY + ARRAY)  # x is read and written in every inner turn


@pytest.mark.parametrize(
    ("old", "new", "change"),
    [
        ("backend_config={", "backend_config_of_another_kind={", "loops"),
        ("all-reduce-start(", "custom-call(", "collectives"),
        (" fusion(%get-tuple-element.55)", " bitcast(%get-tuple-element.55)", "kernels"),
        ("%copy.17 = s32[] copy(", "%copy.17 = s32[] bitcast(", "copies"),
        ("dynamic-update-slice(%param_0.4,", "add(%param_0.4,", "bytes"),
    ],
)
def test_a_program_that_differs_is_counted_otherwise(old, new, change):
    """Mutants: each change of the text changes the count that it is about."""
    before, after = text("h100"), text("h100").replace(old, new)
    if change == "loops":  # the number of turns is neither told nor to be seen
        after = before.replace('"known_trip_count":{"n":"3"}', "")
    assert after != before
    first, second = hlo.turn(before), hlo.turn(after)
    assert getattr(first, change) != getattr(second, change)


def test_a_program_without_a_loop_is_one_turn():
    module = """HloModule one
%f (p: f32[8]) -> f32[8] {
  %p = f32[8]{0} parameter(0)
  ROOT %e = f32[8]{0} exponential(%p)
}

ENTRY %main (a: f32[8]) -> f32[8] {
  %a = f32[8]{0} parameter(0)
  ROOT %fusion = f32[8]{0} fusion(%a), kind=kLoop, calls=%f
}
"""
    assert hlo.turn(module) == hlo.Turn(1, 0, 0, 64, 0)
    with pytest.raises(ValueError, match="no ENTRY"):
        hlo.turn("what is no program")


def test_padding_to_tiles_is_counted():
    """A TPU lays [4, 1] numbers out in tiles of 8 x 128: 4,096 bytes for 16."""
    module = """HloModule one

ENTRY %main (a: f32[4,1]) -> f32[4,1] {
  %a = f32[4,1]{1,0:T(8,128)} parameter(0)
  ROOT %negate = f32[4,1]{1,0:T(8,128)} negate(%a)
}
"""
    assert hlo.turn(module).bytes == 2 * 8 * 128 * 4


def test_a_branch_counts_as_its_dearest_and_a_scan_as_often_as_it_turns():
    x, w = (jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((4, 8), (8, 8)))

    def scanned(x, w):
        return jax.lax.scan(lambda c, _: (c @ w, None), x, None, length=5)[0]

    def branching(x, w):
        return jax.lax.cond(x[0, 0] > 0, lambda: jnp.tanh(x @ w), lambda: x)

    assert counting.work(scanned, x, w).products == 5 * 2 * 4 * 8 * 8
    found = counting.work(branching, x, w)
    assert found == counting.Work(2 * 4 * 8 * 8 + 4 * 8, 2 * 4 * 8 * 8, 4 * (32 + 64 + 32))


def test_convolutions_are_counted():
    """[1, 8, 8, 3] with 5 filters of 3 x 3: 2 x 8 x 8 x 5 x 27 operations."""
    x, w = (jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((1, 8, 8, 3), (3, 3, 3, 5)))

    def convolved(x, w):
        numbers = ("NHWC", "HWIO", "NHWC")
        return jax.lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=numbers)

    assert counting.work(convolved, x, w).products == 2 * 8 * 8 * 5 * 27


def test_keys_have_bytes():
    assert counting.num_bytes({"key": jax.random.key(0), "x": jnp.zeros(3)}) == 8 + 12


LATENT, HIDDEN, CRITIC, DIM, BATCH = 16, 48, 80, 64, 64


@pytest.fixture(scope="module")
def game():
    """The programs of a small game without penalties, on this machine's devices."""
    config = GanConfig(
        latent_dim=LATENT,
        widths=(HIDDEN,),
        discriminator_widths=(CRITIC,),
        batch_size=BATCH,
        r1=0.0,
        sweep=GanSweep(),
        arm="zero",
        seeds=2,
        steps=7,
        eval_samples=32,
        gap_evaluations=0,
    )
    return ahead.programs(config, plan.prepare(config), jax.devices()[:1])


def by_hand():
    """Each product (m, k, n) of a step: the generator z-h-x, the discriminator x-v-1.

    The discriminator moves first, on real and generated examples at once, then the generator. A
    layer's gradient is a product for its kernel, and one for its input unless that is data.
    """
    make = [(BATCH, LATENT, HIDDEN), (BATCH, HIDDEN, DIM)]

    def judge(rows):
        return [(rows, DIM, CRITIC), (rows, CRITIC, 1)]

    both = 2 * BATCH
    kernels = [(DIM, both, CRITIC), (CRITIC, both, 1)]
    discriminator = [*make, *judge(both), *kernels, (both, 1, CRITIC)]
    to_x = [(BATCH, 1, CRITIC), (BATCH, CRITIC, DIM)]
    own = [(LATENT, BATCH, HIDDEN), (HIDDEN, BATCH, DIM), (BATCH, DIM, HIDDEN)]
    return [*discriminator, *make, *judge(BATCH), *to_x, *own]


def num_parameters():
    generator = LATENT * HIDDEN + HIDDEN + HIDDEN * DIM + DIM
    return generator, DIM * CRITIC + CRITIC + CRITIC + 1


def test_operations_of_a_small_game_are_those_counted_by_hand(game):
    """Products to the last one; of all others Adam, 14 a parameter, and the average, 3, tell most.

    5%: activations, losses, bias gradients, random numbers and the look for divergence are not
    in the count by hand.
    """
    found = game[0].work()
    products = sum(2 * m * k * n for m, k, n in by_hand())
    assert found.products == products
    generator, critic = num_parameters()
    assert found.flops == pytest.approx(
        products + 14 * (generator + critic) + 3 * generator, rel=0.05
    )


def test_bytes_of_a_small_game_are_those_counted_by_hand(game):
    """Operands and results of products once; parameters, two moments, the average, both ways."""
    moved = sum(4 * (m * k + k * n + m * n) for m, k, n in by_hand())
    generator, critic = num_parameters()
    state = 4 * (3 * (generator + critic) + generator)
    assert game[0].work().bytes == pytest.approx(moved + 2 * state, rel=0.05)


def test_a_program_knows_its_turns_and_what_every_device_holds(game):
    steps = game[0]
    laid = steps.lay(2)
    assert [program.name for program in game] == ["steps", "beginning", "scores", "pictures"]
    assert (steps.units, laid.devices, laid.chunk, laid.turns, laid.units) == (2, 1, 1, 14, 2)
    assert laid.shared == pytest.approx(1197 * DIM * 4, abs=64)  # the data; start and stop
    assert steps.lay(1).units == 1
