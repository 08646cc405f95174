"""The options of ``--launcher``, and the seeds that each job gets.

Like every ``config.py``, this module imports nothing heavy: nothing of submitit either.
"""

import dataclasses
import os
from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

from sigmaprop.names import shown, unknown

GENERIC = (
    *("name", "timeout_min", "mem_gb", "nodes", "cpus_per_task", "gpus_per_node"),
    "tasks_per_node",
)
"""What a job of SLURM may ask for under submitit's own names, ..."""
OF_SLURM = (
    *("account", "comment", "constraint", "cpus_per_gpu", "dependency", "exclude", "exclusive"),
    *("gpus_per_task", "gres", "mail_type", "mail_user", "mem_per_cpu", "mem_per_gpu", "nodelist"),
    *("partition", "qos", "setup", "signal_delay_s", "wckey"),
)
"""... and under those of SLURM, where submitit knows them."""
KEYS = {
    "local": ("timeout_min",),
    "slurm": tuple(sorted((*GENERIC, *OF_SLURM))),
}
"""The keys of ``--launcher-option``, by launcher."""
_NUMBERS = ("timeout_min", "nodes", "cpus_per_task", "gpus_per_node", "tasks_per_node")
_NUMBERS += ("signal_delay_s", "mem_gb")
"""Keys whose value is a number above 0."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class JobsOptions:
    """Whether and how the seeds of a sweep run as jobs of their own."""

    launcher: Literal["local", "slurm"] | None = None
    """Who runs the seeds as jobs, each with a run directory of its own below --run-dir: local, as
    processes of this machine, or slurm. The command waits for them and makes one report; given
    again, it goes on with those that have not ended. Needs the extra `launcher`. None: one process
    runs all."""
    launcher_jobs: int | None = None
    """Jobs that --seeds are split over, at most one a seed. None: one for each seed; of local as
    many as there are cores, if these are fewer."""
    launcher_option: tuple[str, ...] = ()
    """What each job asks for, such as partition=gpu gpus_per_node=1 timeout_min=600, by the names
    of submitit. A job that ran longer, or was preempted, is queued again and goes on."""
    launcher_detach: bool = False
    """Whether to leave once the jobs are submitted. The same command without it waits for them and
    makes the report."""


class Part(NamedTuple):
    """The seeds of one job.

    Attributes:
        name: of its run directory.
        first_seed: number of the first.
        seeds: how many.
    """

    name: str
    first_seed: int
    seeds: int

    @property
    def title(self) -> str:
        """Its name with its seeds."""
        last = self.first_seed + self.seeds - 1
        which = f"seed {last}" if self.seeds == 1 else f"seeds {self.first_seed} to {last}"
        return f"{self.name} ({which})"


def check(options: JobsOptions, config: Any) -> None:
    """Checks all that needs no package and no cluster.

    Args:
        options: of the jobs.
        config: of the experiment.

    Raises:
        ValueError: one sentence that names the option, its value and what is allowed.
    """
    if options.launcher is None:
        for name in ("launcher_jobs", "launcher_option", "launcher_detach"):
            if getattr(options, name):
                flag = "--" + name.replace("_", "-")
                raise ValueError(f"{flag} means nothing without --launcher; give both or neither")
        return
    if options.launcher_jobs is not None and not 1 <= options.launcher_jobs <= config.seeds:
        raise ValueError(
            f"--launcher-jobs is {shown(options.launcher_jobs)}; it must lie between 1 and "
            f"{config.seeds}, the number of seeds"
        )
    asked(options)


def asked(options: JobsOptions) -> dict[str, Any]:
    """What ``--launcher-option`` says, by key.

    Raises:
        ValueError: a word is not KEY=VALUE, a key is unknown or named twice, or its value is none.
    """
    found: dict[str, Any] = {}
    for word in options.launcher_option:
        key, equals, value = word.partition("=")
        if not equals or not value:
            raise ValueError(
                f"--launcher-option holds {shown(word)}; give KEY=VALUE, such as timeout_min=60"
            )
        known = KEYS[options.launcher or "local"]
        if key not in known:
            raise unknown(
                f"key of --launcher-option with --launcher {options.launcher}", key, known
            )
        if key in found:
            raise ValueError(f"--launcher-option names {key} twice; name it once")
        found[key] = _value(key, value)
    return found


def parts(options: JobsOptions, config: Any) -> list[Part]:
    """The seeds in pieces that differ by one at most, in order."""
    num = options.launcher_jobs or config.seeds
    if options.launcher_jobs is None and options.launcher == "local":
        from sigmaprop.runs import environment  # which --help can do without

        num = min(num, environment.cores())
    ends = [config.first_seed + config.seeds * place // num for place in range(num + 1)]
    digits = max(2, len(str(num - 1)))
    return [
        Part(f"job-{place:0{digits}}", ends[place], ends[place + 1] - ends[place])
        for place in range(num)
    ]


def cores() -> list[int]:
    """The cores that this process may use; empty where the system does not say."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def without(words: Iterable[str], options: Iterable[str]) -> list[str]:
    """The words of a command all of whose words are options, without some of these."""
    left_out, kept, keep = set(options), [], True
    for word in words:
        if word.startswith("--"):
            keep = word.partition("=")[0].replace("_", "-") not in left_out
        if keep:
            kept.append(word)
    return kept


def _value(key: str, text: str) -> Any:
    """The value of a key as submitit takes it."""
    if key in _NUMBERS:
        kind = float if key == "mem_gb" else int
        try:
            number = kind(text)
            if not 0 < number < 10**9:
                raise ValueError
        except ValueError:
            noun = "a number" if kind is float else "an integer"
            raise ValueError(
                f"--launcher-option {key} is {shown(text)}; give {noun} above 0"
            ) from None
        return number
    if key == "setup":
        return [text]
    return True if key == "exclusive" and text == "True" else text
