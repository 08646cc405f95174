"""`sigmaprop compile`: what it takes. Like `commands`, this module imports nothing heavy."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from ..compile import devices
from ..compile.targets import TARGETS, Target
from ..jobs.options import JobsOptions
from ..options import flag
from .commands import Shared
from .presets import ENTRIES

Positional = tyro.conf.Positional
if TYPE_CHECKING:
    Name = str
else:  # the names of the record, which a type checker cannot know
    Name = Literal[tuple(ENTRIES)]


@dataclasses.dataclass(frozen=True)
class CompileCommand:
    """Compile what a command would run for an accelerator that need not be here; run nothing.

    `sigmaprop compile gan --preset digits --target h100` takes the options of `sigmaprop gan` and
    says of each program how much memory of a device it takes and how many replicas fit, what one
    step does (operations, bytes, kernels, copies, collectives), what bounds it, how fast it is at
    most, and what the run costs at least. Exit status 1 where something does not fit. The compiler
    of a TPU is the extra `aot-tpu`, that of a GPU `aot-cuda`.
    """

    command: Positional[Name]
    """Whose programs: gan, vae or limit. Its own options stand beside those here."""
    target: str | None = None
    """For what to compile: h100, h200, a100, tpu-v4, tpu-v5e, tpu-v5p, tpu-v6e, with a number of
    chips if you like (h100:8, tpu-v5e:4x4), cpu, or a file of your own, path/to/target.json."""
    hlo: Path | None = None
    """File for the optimised program; further ones get a number before its suffix. None: none."""
    steps_only: bool = False
    """Whether to leave out what runs once or between the steps: the beginning, scores, pictures."""
    profile: bool = False
    """Whether to say of the steps' kernels, copies and bytes which functions ask for them."""
    json: bool = False
    """Whether to print everything as JSON instead of tables."""


_WITH_PROGRAMS = ("gan", "vae", "limit")
_OF_RUNS = (
    *("--run-dir", "--dry-run"),
    *(flag(field.name) for kind in (JobsOptions, Shared) for field in dataclasses.fields(kind)),
)


def checked(command: CompileCommand, inner: set[str]) -> Target:
    """The target, once it is known that the options mean something together.

    Raises:
        ValueError: one sentence; ``inner`` are the options of the command inside.
    """
    if command.command not in _WITH_PROGRAMS:
        raise ValueError(
            f"compile has no programs of {command.command}, which makes them as it goes; it takes "
            f"{', '.join(_WITH_PROGRAMS[:-1])} or {_WITH_PROGRAMS[-1]}"
        )
    if command.target is None:
        raise ValueError(
            f"compile needs --target: one of {', '.join(TARGETS)}, with chips if you like "
            "(tpu-v5e:4x4), or path/to/target.json"
        )
    for option in _OF_RUNS:
        if option in inner:
            raise ValueError(f"compile runs nothing, so {option} means nothing; leave it out")
    from ..compile import target_files

    target = target_files.target(command.target)
    if sentence := devices.missing(target):
        raise ValueError(sentence)
    return target


def prepare(target: Target) -> None:
    """Sets what JAX and the compilers read when they start."""
    devices.prepare_environment(target)
