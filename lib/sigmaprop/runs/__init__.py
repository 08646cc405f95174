"""Run directories: what a run keeps, how it is locked, sealed, read, resumed and compared.

* `run`: makes a run directory and reads a finished one. `lifecycle`: the process that owns it.
* `configs`, `environment`, `tables`, `checkpoints`: what lies in it.
* `resuming`: going on with a run that was stopped. `own_sources`: files of the user's functions.
* `files`, `signals`, `orbax_errors`: whole files or none, and what may interrupt their writing.

Everything is imported when it is first used.
"""

from typing import TYPE_CHECKING

from sigmaprop import lazy

if TYPE_CHECKING:
    from sigmaprop.runs.configs import load_command, load_config
    from sigmaprop.runs.files import RunError, write_atomic
    from sigmaprop.runs.lifecycle import Run, State, Terminated, seal, state
    from sigmaprop.runs.resuming import Resumed, check_begun, resume
    from sigmaprop.runs.run import Finished, create, include, load, new_directory, verify
    from sigmaprop.runs.tables import (
        Damage,
        Difference,
        append_part,
        compare_tables,
        damage,
        drop_parts_after,
        merge_parts,
        read_metrics,
        write_metrics,
    )

_HOMES = {
    "Damage": "tables",
    "Difference": "tables",
    "Finished": "run",
    "Resumed": "resuming",
    "Run": "lifecycle",
    "RunError": "files",
    "State": "lifecycle",
    "Terminated": "lifecycle",
    "append_part": "tables",
    "check_begun": "resuming",
    "compare_tables": "tables",
    "create": "run",
    "damage": "tables",
    "drop_parts_after": "tables",
    "include": "run",
    "load": "run",
    "load_command": "configs",
    "load_config": "configs",
    "merge_parts": "tables",
    "new_directory": "run",
    "read_metrics": "tables",
    "resume": "resuming",
    "seal": "lifecycle",
    "state": "lifecycle",
    "verify": "run",
    "write_atomic": "files",
    "write_metrics": "tables",
}

__all__ = [
    "Damage",
    "Difference",
    "Finished",
    "Resumed",
    "Run",
    "RunError",
    "State",
    "Terminated",
    "append_part",
    "check_begun",
    "compare_tables",
    "create",
    "damage",
    "drop_parts_after",
    "include",
    "load",
    "load_command",
    "load_config",
    "merge_parts",
    "new_directory",
    "read_metrics",
    "resume",
    "seal",
    "state",
    "verify",
    "write_atomic",
    "write_metrics",
]

__getattr__, __dir__ = lazy.attach(__name__, _HOMES)
