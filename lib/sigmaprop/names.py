"""One sentence for a name that nobody knows."""

import difflib
from collections.abc import Iterable


def unknown(kind: str, name: str, known: Iterable[str]) -> ValueError:
    """The error for an unknown ``name`` of some ``kind``: it names the nearest one, then all."""
    known = tuple(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.0) or [""]
    return ValueError(
        f"unknown {kind} {name!r}; did you mean {near[0]!r}? Known: {', '.join(known)}"
    )
