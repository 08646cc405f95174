"""Markdown as the pages of docs/ have it, and the same as HTML."""

import re
import textwrap
from collections.abc import Callable, Mapping

import markupsafe
from markdown_it import MarkdownIt

from sigmaprop.reporting.page import Table

WIDTH = 100
"""Columns of prose."""
_WHOLE = ("|", "```", "    ", "#", "<", "![")
"""Beginnings of what is not wrapped."""
_ITEM = re.compile(r"(?:[*-]|\d+\.) ")


def table(one: Table) -> str:
    """A table, numbers to the right."""
    numeric = [
        all(row[place].kind == "number" for row in one.rows) for place in range(len(one.headings))
    ]
    rules = ["---:" if is_number and one.rows else "---" for is_number in numeric]
    lines = [one.headings, rules, *([_cell(cell.text) for cell in row] for row in one.rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", "<br>")


def wrapped(text: str) -> str:
    """Paragraphs and lists filled to the width; one empty line between blocks."""
    found = []
    for block in _blocks(text):
        first = block.splitlines()[0]
        if first.startswith(_WHOLE):
            found.append(block)
        elif _ITEM.match(first):
            found.append("\n".join(_filled(item) for item in _items(block)))
        else:
            found.append(_filled(block))
    return "\n\n".join(found) + "\n"


def _blocks(text: str) -> list[str]:
    """Parts between empty lines; a fenced one is whole."""
    found: list[str] = []
    fenced = False
    for block in re.split(r"\n\s*\n", text.strip("\n")):
        if fenced:
            found[-1] += f"\n\n{block}"
        elif block.strip():
            found.append(block.strip("\n"))
        fenced ^= block.count("```") % 2 == 1
    return found


def _items(block: str) -> list[str]:
    """The items of a list."""
    found: list[str] = []
    for line in block.splitlines():
        if _ITEM.match(line):
            found.append(line)
        else:
            found[-1] += f" {line.strip()}"
    return found


def _filled(text: str) -> str:
    item = _ITEM.match(text)
    return textwrap.fill(
        " ".join(text.split()),
        WIDTH,
        subsequent_indent=" " * len(item[0]) if item else "",
        break_long_words=False,
        break_on_hyphens=False,
    )


def html(text: str, parts: Mapping[str, Callable[[], str]]) -> markupsafe.Markup:
    """Markdown as HTML, with parts of the page in the places that name them.

    Args:
        text: in which ``<!-- NAME -->``, a block of its own, is the place of a part.
        parts: by name; HTML.
    """
    content = MarkdownIt("commonmark", {"html": True}).render(text)
    content = re.sub(r"<h2>(.*?)</h2>", lambda m: f'<h2 id="{anchor(m[1])}">{m[1]}</h2>', content)
    return markupsafe.Markup(
        re.sub(r"<!-- (\S+) -->", lambda m: parts[m[1]]() if m[1] in parts else m[0], content)
    )


def inline(text: str) -> markupsafe.Markup:
    """A caption in Markdown as HTML."""
    return markupsafe.Markup(MarkdownIt("commonmark").renderInline(" ".join(text.split())))


def anchor(heading: str) -> str:
    """The anchor of a heading, as GitHub makes it."""
    plain = re.sub(r"<[^>]*>|&\w+;|[^\w\s-]", "", heading).strip().lower()
    return re.sub(r"\s", "-", plain)
