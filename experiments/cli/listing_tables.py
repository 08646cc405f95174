"""How `sigmaprop list` sets its tables."""

from rich import box
from rich.table import Table
from rich.text import Text


def table(title: str, *headings: str) -> Table:
    """A table that fits into 80 columns; its first column is never broken."""
    found = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for heading in headings:
        found.add_column(heading, overflow="fold")
    found.columns[0].no_wrap = True
    return found


def add(found: Table, *cells: str) -> None:
    """A row of cells in which brackets are brackets, not styles."""
    found.add_row(*(Text(cell) for cell in cells))
