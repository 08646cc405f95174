"""The README's Python runs."""

import re
from pathlib import Path

README = (Path(__file__).resolve().parents[1] / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_python_blocks_run_one_after_the_other():
    names = {}
    for block in BLOCKS:
        exec(compile(block, "README.md", "exec"), names)
    assert names["mean"].max() < 0  # the smoothed step is lowest where no coordinate is above 0


def test_figures_and_folders_named_exist():
    root = Path(__file__).resolve().parents[1]
    for path in re.findall(r"\]\(([a-z][^)#]*)\)", README):
        assert (root / path).exists(), path
    assert BLOCKS
    assert "@@" not in README
