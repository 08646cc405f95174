"""How `sigmaprop list` sets its tables."""

from rich.table import Table
from rich.text import Text

from sigmaprop.reporting.terminal import titled


def table(title: str, *headings: str) -> Table:
    """A table that fits into 80 columns; its first column is never broken."""
    found = titled(title)
    for heading in headings:
        found.add_column(heading, overflow="fold")
    found.columns[0].no_wrap = True
    return found


def add(found: Table, *cells: str) -> None:
    """A row of cells in which brackets are brackets, not styles."""
    found.add_row(*(Text(cell) for cell in cells))
