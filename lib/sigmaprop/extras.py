"""How to install what an optional feature needs, in words that work as they stand."""

import re
import shlex
from importlib import metadata


def install(extra: str) -> str:
    """The command that installs the packages of one of our extras.

    It names the packages, for ``sigmaprop`` itself may have come from a checkout or a file, from
    where no index has it.

    Args:
        extra: its name, as under optional-dependencies.

    Raises:
        ValueError: there is no such extra.
    """
    ours = re.compile(rf"""(.+?)\s*;\s*extra\s*==\s*["']{re.escape(extra)}["']""")
    found = [match[1] for line in _requirements() if (match := ours.fullmatch(line))]
    if not found:
        raise ValueError(f"there is no extra {extra!r}; name one of optional-dependencies")
    return f"pip install {shlex.join(found)}"


def _requirements() -> list[str]:
    """What the installed package requires, with the extra that each line belongs to."""
    return metadata.requires("sigmaprop") or []
