"""What our sentences tell a user to type exists: commands, options, packages, make targets."""

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sigmaprop.experiments.cli import arguments
from sigmaprop.experiments.cli import main as program

import sigmaprop
from sigmaprop.extras import install

CHECKOUT = Path(__file__).resolve().parents[2]
FOLDERS = {Path(program.__file__).parents[1], Path(sigmaprop.__file__).parent}
"""In a checkout the commands are not below the library; installed, they are."""
HELPS = {"--help", "--help-all"}
FOREIGN = HELPS | {
    "--sweep.OPTION",
    *("--version", "--no-deps", "--target"),
    *("--tyro-print-completion", "--tyro-write-completion"),
    *("--figure", "--markdown"),
    *("--query-gpu", "--format", "--porcelain", "--error-unmatch", "--no-optional-locks"),
}
"""Options of other programs and modules, and those that come before a command."""


@functools.cache
def texts() -> list[tuple[str, str]]:
    """All `sentences`, read when a test asks for them."""
    return list(sentences())


def sentences() -> Iterator[tuple[str, str]]:
    """(File, text) of every string in our sources; what is put into one shows as {}."""
    for path in sorted({path for folder in FOLDERS for path in folder.rglob("*.py")}):
        tree = ast.parse(path.read_text())
        parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)
                 for part in node.values}  # fmt: skip
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                if id(node) not in parts:
                    yield path.name, node.value
            elif isinstance(node, ast.JoinedStr):
                words = [p.value if isinstance(p, ast.Constant) else "{}" for p in node.values]
                yield path.name, "".join(map(str, words))


COMMANDS = {name: command for name, (command, _) in program.COMMANDS.items()}
OPTIONS = {name: set(arguments.options(command)) for name, command in COMMANDS.items()}


def typed(pattern: str) -> list[tuple[str, re.Match[str]]]:
    """Every match of a pattern, with its file."""
    return [(file, match) for file, text in texts() for match in re.finditer(pattern, text)]


def test_there_are_hints():
    assert len(typed(r"`sigmaprop \w+")) > 20


def test_every_command_exists():
    for file, match in typed(r"(?:`|^ {4})sigmaprop (\w+)"):
        assert match[1] in OPTIONS or match[1] == "COMMAND", (file, match[0])


def test_every_option_of_a_command_exists():
    for file, match in typed(r"(?:`|^ {4})sigmaprop ([a-z]+)([^`\n#]*)"):
        for option in re.findall(r"(?<!\S)--[\w.-]+", match[2]):
            inner = match[2].split()[:1] if match[1] == "compile" else []
            known = set().union(*(OPTIONS.get(name, set()) for name in (match[1], *inner)))
            assert option in known | HELPS, (file, match[0])


def test_every_other_option_exists():
    known = set().union(*OPTIONS.values()) | FOREIGN
    for file, match in typed(r"(?<![\w-])--(?!xla_)[a-z][\w.-]*(?![\w={.-])"):
        assert match[0].rstrip(".").replace("_", "-") in known, (file, match[0])


def test_no_hint_installs_us_from_an_index():
    for file, match in typed(r"pip install ([^`]*)"):
        assert "sigmaprop" not in match[1], (file, match[0])
    for extra in re.findall(r"install\('(\w+)'\)", " ".join(text for _, text in texts())):
        assert install(extra)


@pytest.mark.parametrize(
    ("extra", "command"),
    [
        ("prepare", "pip install 'tensorflow-cpu>=2.21' importlib_resources"),
        ("cuda13", "pip install 'jax[cuda13]'"),
        ("tensorboard", "pip install 'tensorboardX>=2.6'"),
    ],
)
def test_an_extra_is_told_by_its_packages(extra, command):
    assert install(extra) == command


def test_an_unknown_extra_is_refused():
    with pytest.raises(ValueError, match="there is no extra 'nosuch'"):
        install("nosuch")


@pytest.mark.skipif(not (CHECKOUT / "Makefile").exists(), reason="needs the checkout")
def test_every_make_target_exists():
    targets = set(re.findall(r"^([a-z-]+):", (CHECKOUT / "Makefile").read_text(), re.MULTILINE))
    for file, match in typed(r"`make ([a-z-]+)"):
        assert match[1] in targets, (file, match[0])
