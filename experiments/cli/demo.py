"""The two main experiments at their smallest, one after the other.

    sigmaprop demo        # the sweep of sigma to 0, then four treatments of a generator's sigma

Expect: the bias of the limit falls as sigma^2 for a sine and not at the kink of |x|; a fixed sigma
brings generated digits nearer to real ones, and learned sigmas fall.
"""

from pathlib import Path

from sigmaprop import runs

from ..gan.presets import GAN_PRESETS
from ..limit.config import LIMIT_PRESETS
from ..terminal import Terminal
from . import launch, registry
from .tiny import cut

_PARTS = {"limit": LIMIT_PRESETS, "gan": GAN_PRESETS}


def show(directory: Path | None) -> int:
    """Runs both presets `demo`, each in a directory of its own, and ends with the two reports.

    Args:
        directory: for both runs, new or empty; None for a fresh one under runs/.

    Raises:
        RunError: the directory is occupied or cannot be written.

    Returns:
        0, the exit status.
    """
    terminal = Terminal()
    parent = runs.new_directory(directory, "demo")
    reports = []
    for number, (name, presets) in enumerate(_PARTS.items(), 1):
        terminal.say(f"part {number} of {len(_PARTS)}: sigmaprop {name} --preset demo")
        config = cut(name, presets["demo"])
        launch.launch(registry.get(name), config, parent / name)
        reports.append(parent / name / "report.html")
        terminal.say("")
    terminal.say("Two reports to open in a browser:")
    for name, report in zip(_PARTS, reports, strict=True):
        terminal.say(f"  {name + ':':6} {report}")
    return 0
