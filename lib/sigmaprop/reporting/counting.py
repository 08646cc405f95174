"""How many figures are drawn, of how many: drawing takes long enough to be told."""

from collections.abc import Callable, Iterable, Iterator

from sigmaprop.reporting.canvas import Drawing

Tell = Callable[[int, int], None]
"""Called with the figures that are drawn and those that will be, as far as is known."""


def silent(drawn: int, total: int) -> None:
    """A `Tell` that tells nobody."""


class Count:
    """Counts figures as they are drawn; one that turns out to hold nothing is no longer counted.

    Args:
        total: figures there may be.
        tell: who is told.
    """

    def __init__(self, total: int, tell: Tell = silent):
        self._drawn, self._total, self._tell = 0, total, tell

    def each(self, makes: Iterable[Callable[[], Drawing | None]]) -> Iterator[Drawing]:
        """The drawings that hold something; each counts once it has been used."""
        for make in makes:
            self._tell(self._drawn, self._total)
            if (drawing := make()) is None:
                self._total -= 1
                continue
            yield drawing
            self._drawn += 1
        self._tell(self._drawn, self._total)
