"""The README's Python runs."""

import re
from pathlib import Path

import pytest

README = (Path(__file__).resolve().parents[1] / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS)
def test_python_blocks_run(block):
    exec(compile(block, "README.md", "exec"), {})


def test_figures_and_folders_named_exist():
    root = Path(__file__).resolve().parents[1]
    for path in re.findall(r"\]\(([a-z][^)#]*)\)", README):
        assert (root / path).exists(), path
    assert BLOCKS
    assert "@@" not in README
