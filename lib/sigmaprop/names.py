"""One sentence for a name that nobody knows."""

import difflib
from collections.abc import Iterable

_MOST_LISTED = 40


def unknown(kind: str, name: str, known: Iterable[str]) -> ValueError:
    """The error for an unknown ``name`` of some ``kind``: the nearest one, then all if not many."""
    known = tuple(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.0) or [""]
    rest = f"Known: {', '.join(known)}" if len(known) <= _MOST_LISTED else "--help lists them all"
    return ValueError(f"unknown {kind} {name!r}; did you mean {near[0]!r}? {rest}")
