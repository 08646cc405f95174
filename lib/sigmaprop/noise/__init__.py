"""Standard normal draws, addressed by their row: independent, in pairs, orthogonal, Sobol.

* `rows`: threefry's rows, their orthogonal blocks, and the names of the schemes.
* `sobol`: scrambled Sobol points as normal rows.
* `schedules`: the standard deviations and batch sizes that a sweep runs through.
"""

from sigmaprop.noise.rows import (
    COUNTED,
    NAMES,
    RADII,
    SCHEMES,
    check_key,
    check_name,
    normal_rows,
    orthogonal_blocks,
)

__all__ = [
    "COUNTED",
    "NAMES",
    "RADII",
    "SCHEMES",
    "check_key",
    "check_name",
    "normal_rows",
    "orthogonal_blocks",
]
