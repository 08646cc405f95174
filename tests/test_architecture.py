"""The tree: imports point down and in no circle, private names stay at home, files stay short."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LAYERS = (
    *(
        {"names", "lazy"},
        {"counts", "extras", "processes"},
        {"meshes"},
        {"statistics", "runs"},
        {"noise"},
        {"gaussians"},
    ),
    *({"estimators", "likelihood"}, {"data", "metrics"}, {"objectives"}, {"limit"}, {"comparison"}),
    *({"generators"}, {"study"}, {"reporting"}, {"experiments"}),
)
"""Packages and modules below ``sigmaprop``, the lowest first; each may import those before it."""
MOST_LINES, MOST_OF_A_FUNCTION = 450, 60


def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name."""
    found = {}
    for folder, name in ((ROOT / "lib/sigmaprop", "sigmaprop"), (ROOT / "experiments", "")):
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            prefix = [name] if name else ["sigmaprop", "experiments"]
            dotted = ".".join([*prefix, *parts])
            found[dotted.removesuffix(".__init__")] = path
    return found


MODULES = modules()
TREES = {name: ast.parse(path.read_text()) for name, path in MODULES.items()}


def absolute(name: str, node: ast.ImportFrom) -> str:
    """The module that a ``from`` names."""
    if not node.level:
        return node.module or ""
    package = name.split(".") if MODULES[name].name == "__init__.py" else name.split(".")[:-1]
    base = package[: len(package) - node.level + 1]
    return ".".join([*base, *([node.module] if node.module else [])])


def is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


def imports(name: str, *, everywhere: bool) -> Iterator[str]:
    """The modules of ours that a module imports, those inside functions too if so asked."""
    skipped = {
        id(inner)
        for node in ast.walk(TREES[name])
        if is_for_types(node) or (not everywhere and isinstance(node, ast.FunctionDef))
        for inner in ast.walk(node)
    }
    for node in ast.walk(TREES[name]):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom):
            target = absolute(name, node)
            for alias in node.names:
                inner = f"{target}.{alias.name}"
                if inner in MODULES:
                    yield inner
                elif target in MODULES:
                    yield target


def layer(name: str) -> int:
    """The place of a module's part in the order; the package itself only names others, lazily."""
    if name == "sigmaprop":
        return -1
    return next(i for i, parts in enumerate(LAYERS) if name.split(".")[1] in parts)


def test_every_package_has_its_place():
    parts = {name.split(".")[1] for name in MODULES if name.count(".")}
    assert parts == set().union(*LAYERS)


def test_no_import_points_upward():
    wrong = [
        f"{name} imports {target}"
        for name in MODULES
        if name != "sigmaprop"
        for target in imports(name, everywhere=True)
        if layer(target) > layer(name)
    ]
    assert wrong == []


def test_packages_of_one_layer_do_not_import_one_another():
    wrong = [
        f"{name} imports {target}"
        for name in MODULES
        for target in imports(name, everywhere=True)
        if layer(target) == layer(name) >= 0 and target.split(".")[1] != name.split(".")[1]
    ]
    assert wrong == []


def test_files_do_not_import_in_circles():
    """Imports inside functions count: they are there because of a circle."""
    edges = {name: set(imports(name, everywhere=True)) - {name} for name in MODULES}
    reached: dict[str, set[str]] = {}
    for name in MODULES:
        todo, seen = list(edges[name]), set()
        while todo:
            one = todo.pop()
            if one not in seen:
                seen.add(one)
                todo += edges[one]
        reached[name] = seen
    circles = {
        frozenset(other for other in reached[name] if name in reached[other])
        for name in MODULES
        if name in reached[name]
    }
    assert circles == set()


def private_uses(name: str) -> Iterator[str]:
    """Private names of other modules that a module imports or reads as ``module._name``."""
    aliases = {}
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.ImportFrom):
            target = absolute(name, node)
            for alias in node.names:
                if f"{target}.{alias.name}" in MODULES:
                    aliases[alias.asname or alias.name] = f"{target}.{alias.name}"
                if target in MODULES and re.match("_[^_]", alias.name):
                    yield f"{name} imports {alias.name} of {target}"
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Attribute) and re.match("_[^_]", node.attr):
            owner = getattr(node.value, "id", None)
            if owner in aliases:
                yield f"{name} uses {node.attr} of {aliases[owner]}"


def test_what_is_private_is_used_at_home():
    assert {use for name in MODULES for use in private_uses(name)} == set()


def test_no_file_is_long():
    long = {
        path.relative_to(ROOT).as_posix()
        for path in MODULES.values()
        if len(path.read_text().splitlines()) > MOST_LINES
    }
    assert long == set()


@pytest.mark.parametrize("name", list(MODULES))
def test_no_function_is_long(name):
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.FunctionDef):
            text = ast.get_docstring(node, clean=False) or ""
            length = (node.end_lineno or 0) - node.lineno + 1 - len(text.splitlines())
            assert length <= MOST_OF_A_FUNCTION, f"{name}.{node.name} has {length} lines"


def test_the_library_imports_no_tensorflow():
    for name, tree in TREES.items():
        for node in ast.iter_child_nodes(tree):
            named = [alias.name for alias in getattr(node, "names", [])]
            named.append(getattr(node, "module", None) or "")
            assert not any(one.split(".")[0] == "tensorflow" for one in named), name
