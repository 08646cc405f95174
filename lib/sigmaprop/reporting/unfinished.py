"""What there is to say of a run that is not complete."""

from pathlib import Path
from typing import Any

from sigmaprop.names import shortened
from sigmaprop.runs import state
from sigmaprop.runs.files import RunError, read_json

_PARTS = {
    "limit": ("objective", "objectives"),
    "estimators": ("studies", "studies"),
    "metrics": ("metrics", "metrics"),
}
"""Commands whose runs are recorded by parts: the option that lists these, and their name."""


def notice(directory: Path, called: str = "") -> str:
    """How far a run has come and how to go on with it; empty where it is complete.

    Args:
        directory: of the run. One without a status is taken as it is.
        called: its path as a command should name it, by default its last part.

    Raises:
        RunError: a file of the run is damaged.
    """
    directory = Path(directory)
    if not (directory / "status.json").exists() or (status := state(directory)) == "complete":
        return ""
    content = read_json(directory / "config.json")
    command, config = _entry(content, "command"), _entry(content, "config")
    called = called or directory.resolve().name
    where = _where(directory, str(command), config)
    if status == "running":
        text = f"{called} is still running{where}"
        wait = "this is what there is so far"
        return f"{text}: {wait if has_numbers(directory) else 'wait for its first numbers'}"
    how = f"was interrupted{where}"
    if status == "failed":
        reason = shortened(str(_entry(read_json(directory / "status.json"), "reason")), 200)
        how = f"failed{where} ({' '.join(reason.split())})"
    again = f"go on with `sigmaprop resume {called}`"
    numbers = "" if has_numbers(directory) else ", before its first numbers were written"
    return f"{called} {how}{numbers}: {again}"


def has_numbers(directory: Path) -> bool:
    """Whether a run has written metrics, whole or in part."""
    return (directory / "metrics.parquet").exists() or bool(_steps(directory))


def _where(directory: Path, command: str, config: Any) -> str:
    """The last recorded step, or the parts that are recorded, in words; empty before the first."""
    recorded = max(_steps(directory), default=0)
    if not recorded:
        return ""
    if command in _PARTS:
        option, noun = _PARTS[command]
        return f" after {recorded} of {len(_entry(config, option))} {noun}"
    if type(steps := _entry(config, "steps")) is not int or steps < 1:
        return ""
    group, step = divmod(recorded - 1, steps)
    of_group = f" of its program {group + 1}" if group else ""
    return f" at step {step + 1:,} of {steps:,}{of_group}"


def _steps(directory: Path) -> list[int]:
    """The steps at which parts of the metrics were written, all programs one behind the other."""
    names = [path.stem.removeprefix("part-") for path in directory.glob("metrics/part-*.parquet")]
    return [int(name) for name in names if name.isdecimal()]


def _entry(content: Any, name: str) -> Any:
    """An entry of what a JSON file holds."""
    try:
        return content[name]
    except (KeyError, TypeError, IndexError) as error:
        raise RunError(
            f"a JSON file of the run has no {name!r}; restore it or choose another run"
        ) from error
