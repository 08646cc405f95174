"""The shell lines and Python blocks of the README and the pages, as they are printed."""

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")))
MARK = re.compile(r"#.*\[(network|gpu|checkout|long|quiet)\]")
"""What a line that cannot run anywhere says at its end: what it needs. One that takes minutes says
"long": it runs without the sizes that it names. One that judges times needs a "quiet" machine."""
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


class Step(NamedTuple):
    """One thing to run.

    Attributes:
        kind: "sh" or "python".
        text: a shell command of one or more lines, or a whole Python block.
        needs: what it is marked with, empty for a step that runs anywhere.
    """

    kind: str
    text: str
    needs: str


def steps(page: Path) -> list[Step]:
    """All of a page, in its order."""
    found = []
    for kind, body in _BLOCK.findall(page.read_text()):
        if kind == "python":
            found.append(Step(kind, body, ""))
        elif kind == "sh":
            found += [Step(kind, text, _needs(text)) for text in _commands(body)]
        else:
            assert kind in ("", "text"), f"{page.name}: a block of {kind!r} that no test runs"
    return found


def _commands(body: str) -> list[str]:
    """Commands of a shell block: here-documents and continued lines stay whole."""
    commands, lines = [], iter(body.splitlines())
    for line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        text = line
        while text.endswith("\\"):
            text += "\n" + next(lines)
        if (here := re.search(r"<<\s*'?(\w+)'?", line)) is not None:
            for more in lines:
                text += "\n" + more
                if more == here[1]:
                    break
        commands.append(text)
    return commands


def _needs(text: str) -> str:
    mark = MARK.search(text)
    return mark[1] if mark else ""
