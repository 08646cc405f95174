"""Functions from files: what is accepted, and one sentence for everything that is not."""

import hashlib
import re
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sigmaprop import objectives
from sigmaprop.objectives import from_file as own_objective

BOWL = """
import jax.numpy as jnp

WEIGHTS = jnp.array([0.5, 1.0, 2.0])
width = 3.0

def bowl(x):
    return jnp.sum(jnp.asarray(WEIGHTS, x.dtype) * x**2)

bowl.dim = 3
bowl.point = [1.0, -2.0, 0.5]
bowl.formula = "sum_i w_i x_i^2"

def edge(x):
    return jnp.sum(jnp.abs(x))

edge.smoothness = "kink"
"""


@pytest.fixture
def write(tmp_path):
    def to_file(text, name="own.py"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    return to_file


@pytest.fixture
def file(write):
    return write(BOWL)


def refusal(spec, dim=None):
    """The one sentence that refuses it."""
    with pytest.raises(ValueError, match=r"\.py") as caught:
        objectives.get(spec, dim)
    message = str(caught.value)
    assert "\n" not in message
    return message


def own_modules():
    return [name for name in sys.modules if name.startswith("_sigmaprop_own")]


def test_a_name_is_a_function_in_a_file_if_it_says_so():
    assert own_objective.is_own("a/b.py:f")
    assert not any(own_objective.is_own(name) for name in (*objectives.names(), "b.py", "a:b"))


def test_a_function_with_attributes_needs_no_more(file):
    objective = objectives.get(f"{file}:bowl")
    assert objective.name == f"{file}:bowl"
    assert (objective.dim, objective.smoothness) == (3, "smooth")
    assert objective.formula == "sum_i w_i x_i^2"
    assert not objective.has_closed_form
    np.testing.assert_array_equal(objective.point, [1.0, -2.0, 0.5])


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_it_has_values_and_gradients_under_jit(file, dtype):
    objective = objectives.get(f"{file}:bowl")
    with jax.enable_x64(True):
        x = jnp.asarray(objective.point, dtype)
        value, gradient = jax.jit(jax.value_and_grad(objective))(x)
        assert (value.dtype, gradient.dtype) == (dtype, dtype)
        assert value == 5.0
        np.testing.assert_array_equal(gradient, [1.0, -4.0, 2.0])


def test_it_can_be_found_within_a_trace(file):
    @jax.jit
    def evaluate(x):
        return objectives.get(f"{file}:bowl")(x)

    assert evaluate(jnp.ones(3)) == 3.5
    assert objectives.get(f"{file}:bowl")(jnp.ones(3)) == 3.5


def test_without_a_point_there_is_a_fixed_generic_one(file, write):
    point = objectives.get(f"{file}:edge", 4).point
    assert np.all((np.abs(point) >= 0.3) & (np.abs(point) <= 1.2))
    assert len(set(np.abs(point))) == 4
    again = objectives.get(f"{write(BOWL, 'other.py')}:edge", 6).point
    np.testing.assert_array_equal(again[:4], point)


def test_the_dim_asked_for_wins(write):
    file = write("def f(x):\n    return x.sum()\nf.dim = 3\n")
    assert objectives.get(f"{file}:f").dim == 3
    assert objectives.get(f"{file}:f", 5).dim == 5
    assert objectives.get(f"{file}:f", np.int64(5)) is objectives.get(f"{file}:f", 5)


def test_the_same_arguments_give_the_same_object(file, monkeypatch):
    objective = objectives.get(f"{file}:bowl")
    assert objectives.get(f"{file}:bowl") is objective
    assert objectives.get(f"{file}:bowl", 3) is objective
    assert objectives.get(f"{file}:edge", 3) is not objective
    monkeypatch.chdir(file.parent)
    near = objectives.get("own.py:bowl")
    assert near.name == "own.py:bowl"
    assert near.function is objective.function


def test_a_path_is_read_where_it_points_now(write, monkeypatch):
    for folder, factor in (("one", 2), ("two", 3)):
        path = write(f"def f(x):\n    return {factor} * x.sum()\nf.dim = 1\n", f"{folder}/own.py")
        monkeypatch.chdir(path.parent)
        assert objectives.get("own.py:f")(jnp.ones(1)) == factor


def test_a_path_may_start_at_home(file, monkeypatch):
    monkeypatch.setenv("HOME", str(file.parent))
    assert objectives.get("~/own.py:bowl").name == "~/own.py:bowl"


def test_a_changed_file_is_read_again(write):
    # The same length and within one second: times and sizes would not tell.
    def read(factor):
        path = write(f"def f(x):\n    return {factor} * x.sum()\n")
        return objectives.get(f"{path}:f", 2)

    old, new = read(2), read(3)
    assert new is not old
    assert (old(jnp.ones(2)), new(jnp.ones(2))) == (4.0, 6.0)
    assert read(2) is old


def test_the_checksum_is_that_of_the_file(file):
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert own_objective.sha256(f"{file}:bowl") == digest
    with pytest.raises(ValueError, match=r"none\.py cannot be read \(No such file or directory\)"):
        own_objective.sha256(f"{file.parent}/none.py:bowl")


def test_a_file_imports_its_own_neighbours(write):
    text = "import helper\nimport parts.inner\n\ndef f(x):\n    return helper.C * x.sum()\n"
    before = list(sys.path)
    for folder, constant in (("one", 2.0), ("two", 3.0)):
        write(f"C = {constant}\n", f"{folder}/helper.py")
        (write("", f"{folder}/own.py").parent / "parts").mkdir()
        write("", f"{folder}/parts/__init__.py")
        write("", f"{folder}/parts/inner.py")
        path = write(text, f"{folder}/own.py")
        assert objectives.get(f"{path}:f", 1)(jnp.ones(1)) == constant
    assert sys.path == before
    assert not {"helper", "parts", "parts.inner"} & set(sys.modules)
    assert not list(path.parent.glob("__pycache__/own*"))


def test_constants_do_not_depend_on_the_mode_in_which_the_file_is_read(file):
    with jax.enable_x64(True):
        function = objectives.get(f"{file}:bowl").function
    assert function.__wrapped__.__globals__["WEIGHTS"].dtype == jnp.float32


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("none.py:bowl", r"/none\.py cannot be read \(No such file or directory\)"),
        ("folder.py:bowl", r"/folder\.py cannot be read \(Is a directory\)"),
        ("own.py:bowll", r"/own\.py has no function 'bowll'; did you mean 'bowl'\?"),
        ("own.py:", r"/own\.py has no function ''; it defines bowl, edge"),
        ("empty.py:f", r"/empty\.py has no function 'f'; it defines none"),
        ("own.py:width", "'own.py:width': width is of type float, not a function"),
        ("own.py:edge", "'own.py:edge': it needs a dimension: give --dim, or set .* dim"),
    ],
)
def test_what_is_not_there_is_refused(file, write, monkeypatch, spec, reason):
    write("import jax\n", "empty.py")
    (file.parent / "folder.py").mkdir()
    monkeypatch.chdir(file.parent)
    assert re.search(reason, refusal(spec))


@pytest.mark.parametrize("dim", [0, -1, 2.5, True, "3"])
def test_a_dim_that_is_not_allowed_is_refused(file, dim):
    message = refusal(f"{file}:edge", dim)
    assert message.endswith(f"edge': its dim is a whole number of at least 1, not {dim!r}")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import jax\nx = = 1\n", r"SyntaxError: invalid syntax \(own\.py, line 2\)"),
        ("raise KeyError('weights')", "KeyError: 'weights'"),
        ("raise RuntimeError('first line.\\nsecond')", "RuntimeError: first line$"),
        ("assert False", "AssertionError$"),
        ("import sys\nsys.exit('usage')", "SystemExit: usage"),
        ("import no_such_neighbour", "ModuleNotFoundError: No module named 'no_such_neighbour'"),
    ],
)
def test_a_file_that_fails_is_refused_and_leaves_nothing_behind(write, text, reason):
    before = own_modules(), list(sys.path)
    message = refusal(f"{write(text)}:f", 2)
    assert re.search(rf"/own\.py cannot be imported: {reason}", message)
    assert (own_modules(), sys.path) == before


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_constants_of_another_dtype_do_not_change_that_of_the_value(write, dtype):
    path = write(
        "import jax.numpy as jnp\n\ndef f(x):\n    return jnp.sum(jnp.where(x > 0, 1.0, 0.0))\n"
    )
    objective = objectives.get(f"{path}:f", 2)
    with jax.enable_x64(True):
        assert objective(jnp.ones(2, dtype)).dtype == dtype


def test_an_interrupted_import_leaves_nothing_behind(write):
    before = own_modules(), list(sys.path)
    with pytest.raises(KeyboardInterrupt):
        objectives.get(f"{write('raise KeyboardInterrupt')}:f", 2)
    assert (own_modules(), sys.path) == before


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("return x", r"returns float64 of shape \(2,\), not a floating scalar"),
        ("return (x.sum(), 1)", "returns an object of type tuple, not a floating"),
        ("return None", "returns an object of type NoneType, not a floating"),
        ("return jnp.argmax(x)", r"returns int64 of shape \(\), not a floating"),
        ("return x.sum() > 0", r"returns bool of shape \(\), not a floating"),
        ("return x @ jnp.ones(3)", r"for x of shape \(2,\) it raises TypeError: "),
        ("return x.sum() if x[0] > 0 else 0.0", "it raises TracerBoolConversionError: "),
        ("return undefined", "it raises NameError: name 'undefined' is not defined"),
        ("import json_of_mine", "it raises ModuleNotFoundError: "),
        ("return jnp.log(-jnp.sum(x**2))", r"it is nan at its point \["),
        ("return jnp.sum(x**2) / 0.0", r"it is inf at its point \["),
        ("return jax.pure_callback(fail, x[0], x)", "at its point it raises "),
    ],
)
def test_a_function_that_is_no_floating_scalar_is_refused(write, body, reason):
    head = "import jax\nimport jax.numpy as jnp\nimport numpy as np\n\n"
    head += "def fail(x):\n    raise OSError('gone')\n\n"
    path = write(f"{head}def f(x):\n    {body}\n")
    message = refusal(f"{path}:f", 2)
    assert re.search(reason, message)
    assert "own.py:f'" in message


@pytest.mark.parametrize(
    ("attribute", "reason"),
    [
        ("dim = 'two'", "its dim is a whole number of at least 1, not 'two'"),
        ("point = [1.0, 2.0, 3.0]", r"has dim 2: its point needs the shape \(2,\), not \(3,\)"),
        ("point = ['a', 'b']", "its point is no sequence of numbers: ValueError: "),
        ("point = [[1.0], 2.0]", "its point is no sequence of numbers: ValueError: "),
        ("point = [1.0, float('inf')]", "its point has coordinates that are not finite"),
        ("smoothness = 'rough'", "smoothness is 'smooth', 'kink' or 'jump', not 'rough'"),
        ("formula = 3", "its formula is of type int, not str"),
    ],
)
def test_attributes_are_checked(write, attribute, reason):
    text = f"def f(x):\n    return x.sum()\nf.dim = 2\nf.{attribute}\n"
    message = refusal(f"{write(text)}:f")
    assert re.search(reason, message)
    assert "own.py:f'" in message


def test_it_takes_no_options(file):
    with pytest.raises(ValueError, match="has no option 'units'; it takes none"):
        objectives.get(f"{file}:bowl", units=3)
