"""Run directories: what a run keeps, how it is locked, sealed, read, resumed and compared.

* `run`: makes a run directory, owns it while it goes on, and reads a finished one.
* `configs`, `environment`, `tables`, `checkpoints`: what lies in it.
* `resuming`: going on with a run that was stopped. `own_sources`: files of the user's functions.
* `files`, `signals`, `orbax_io`: whole files or none, and what may interrupt their writing.

Everything is imported when it is first used.
"""

from typing import TYPE_CHECKING

from sigmaprop import lazy

if TYPE_CHECKING:
    from sigmaprop.runs.configs import load_command, load_config
    from sigmaprop.runs.files import RunError, write_atomic
    from sigmaprop.runs.resuming import Resumed, check_begun, resume
    from sigmaprop.runs.run import (
        Finished,
        Run,
        State,
        create,
        include,
        load,
        new_directory,
        seal,
        state,
        verify,
    )
    from sigmaprop.runs.signals import Terminated
    from sigmaprop.runs.tables import (
        Damage,
        Difference,
        append_part,
        compare_tables,
        damage,
        drop_parts_after,
        read_metrics,
        write_metrics,
    )

_HOMES = {
    "configs": "load_command load_config",
    "files": "RunError write_atomic",
    "resuming": "Resumed check_begun resume",
    "run": "Finished Run State create include load new_directory seal state verify",
    "signals": "Terminated",
    "tables": "Damage Difference append_part compare_tables damage drop_parts_after read_metrics"
    " write_metrics",
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
    "new_directory",
    "read_metrics",
    "resume",
    "seal",
    "state",
    "verify",
    "write_atomic",
    "write_metrics",
]

__getattr__, __dir__ = lazy.attach(
    __name__, {name: home for home, names in _HOMES.items() for name in names.split()}
)
