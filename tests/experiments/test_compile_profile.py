"""`sigmaprop compile --profile`: kernels by the function that asks for them."""

import jax
import jax.numpy as jnp
import pytest
from sigmaprop.experiments.compile import hlo, profile

from ..documented import ROOT

TEXTS = ROOT / "tests" / "experiments" / "hlo"
MODULE = """HloModule one, is_scheduled=true

FileNames
1 "/anywhere/step.py"
2 "C:\\\\anywhere\\\\base.py"

FunctionNames
1 "outer.<locals>.inner.<locals>.<lambda>"
2 "Dense.__call__"

FileLocations
1 {file_name_id=1 function_name_id=1 line=3 end_line=3 column=1 end_column=9}
2 {file_name_id=2 function_name_id=2 line=5 end_line=5 column=1 end_column=9}

StackFrames
1 {file_location_id=1 parent_frame_id=1}
2 {file_location_id=2 parent_frame_id=2}

ENTRY %main (a: f32[8]) -> f32[8] {
  %a = f32[8]{0} parameter(0)
  %b = f32[8]{0} exponential(%a), metadata={op_name="jit(f)/exp" stack_frame_id=1}
  %c = f32[8]{0} multiply(%a, %b), metadata={op_name="jit(f)/jvp()/mul" stack_frame_id=2}
  %d = f32[8]{0} negate(%c), metadata={op_name="jit(f)/transpose(jvp())/neg" stack_frame_id=2}
  %e = f32[8]{0} sine(%d), metadata={op_name="jit(f)/transpose(jvp())/sin" stack_frame_id=2}
  ROOT %copy.1 = f32[8]{0} copy(%e)
}
"""


def test_kernels_and_bytes_are_those_of_the_functions_that_ask_for_them():
    assert profile.profile(MODULE) == [
        profile.Row("base.Dense.__call__, backward", 2, 0, 4 * 32),
        profile.Row("base.Dense.__call__", 1, 0, 3 * 32),
        profile.Row("step.outer.inner", 1, 0, 2 * 32),
        profile.Row(profile.UNNAMED, 0, 1, 2 * 32),
    ]


def test_the_largest_is_first():
    wide = MODULE.replace("f32[8]{0} exponential", "f32[80]{0} exponential")
    first, *_ = profile.profile(wide, by_bytes=True)
    assert (first.origin, first.bytes) == ("base.Dense.__call__", 320 + 2 * 32)
    assert profile.profile(wide)[0].origin == "base.Dense.__call__, backward"


@pytest.mark.parametrize("name", ["h100", "v5e", "cpu"])
def test_nothing_is_lost_where_a_program_names_no_functions(name):
    """Its parts are the whole, as `hlo.turn` counts it."""
    text = (TEXTS / f"{name}.txt").read_text()
    rows, whole = profile.profile(text), hlo.turn(text)
    assert [row.origin for row in rows] == [profile.UNNAMED]
    assert sum(row.kernels for row in rows) == whole.kernels + whole.collectives
    assert sum(row.copies for row in rows) == whole.copies
    assert sum(row.bytes for row in rows) == pytest.approx(whole.bytes)


def _turned(x, w):
    return jnp.tanh(x @ w)


def test_a_program_of_this_compiler_names_the_function_in_its_loop():
    """The text is XLA's own, of the installed version: its tables are still where they were."""
    x, w = jnp.ones((8, 8)), jnp.ones((8, 8))
    looped = jax.jit(lambda n, x, w: jax.lax.fori_loop(0, n, lambda _, x: _turned(x, w), x))
    text = looped.lower(3, x, w).compile().as_text()
    rows = profile.profile(text)
    assert "test_compile_profile._turned" in [row.origin for row in rows]
    assert sum(row.bytes for row in rows) == pytest.approx(hlo.turn(text).bytes)
