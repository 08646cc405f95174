"""The table of faults names tests that exist, are slow, and are all that there are."""

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from .documented import ROOT

PAGE = ROOT / "docs" / "faults.md"
FOLDER = ROOT / "tests" / "faults"


def rows() -> list[list[str]]:
    """The cells of each line of the table but its head."""
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def there(paths: Iterable[Path]) -> Iterator[tuple[str, bool]]:
    """Every test of these files as pytest names it, and whether it is marked as slow."""
    for path in sorted(paths):
        text = path.read_text()
        whole = "\npytestmark = pytest.mark.slow\n" in text
        for node in ast.parse(text).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                marks = {ast.unparse(mark) for mark in node.decorator_list}
                name = f"{path.relative_to(ROOT).as_posix()}::{node.name}"
                yield name, whole or "pytest.mark.slow" in marks


def named() -> list[str]:
    """The test of each line."""
    return [row[-1].strip("`") for row in rows()]


def test_every_promise_has_all_its_cells_and_a_test():
    for row in rows():
        assert len(row) == 5
        assert all(row), row
        assert re.fullmatch(r"`tests/\w+/test_\w+\.py::test_\w+`", row[-1]), row[-1]


def test_the_table_names_the_tests_that_there_are_each_once():
    own = [name for name in named() if name.startswith("tests/faults/")]
    assert sorted(own) == sorted(name for name, _ in there(FOLDER.glob("test_*.py")))


def test_all_of_them_are_there_and_slow():
    known = dict(there({ROOT / name.partition("::")[0] for name in named()}))
    assert [name for name in named() if not known.get(name)] == []
    assert len(set(named())) == len(named())


def test_the_page_is_linked_where_runs_are_explained():
    assert "(docs/faults.md)" in (ROOT / "README.md").read_text()
    assert "(faults.md)" in (ROOT / "docs" / "run-directory.md").read_text()
