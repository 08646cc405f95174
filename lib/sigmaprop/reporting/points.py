"""The rows that charts draw: tables joined, gaps filled, curves named."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from sigmaprop.reporting.fmt import with_noise
from sigmaprop.reporting.marks import mark

_DEFAULTS: dict[str, Any] = {
    **{"run": 0, "error": np.nan, "theory": np.nan, "low": np.nan, "high": np.nan, "look": None},
    **{"kind": "measured", "legend": "", "dashes": ":", "curve": "", "x": np.nan, "value": np.nan},
}


def tidy(tables: Iterable[pd.DataFrame | None], **attrs: Any) -> pd.DataFrame | None:
    """The rows of several tables as one; ``attrs`` fill in a title, ``heading`` a figure's own."""
    kept = [table for table in tables if table is not None and not table.empty]
    if not kept:
        return None
    for table in kept:
        table.attrs = {}
    rows = pd.concat(kept, ignore_index=True)
    rows.attrs |= attrs
    return rows


def filled(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with a default in every column and in every gap."""
    columns = {}
    for name, default in _DEFAULTS.items():
        if name not in rows:
            columns[name] = [default] * len(rows)
        elif isinstance(default, (str, int)):
            columns[name] = [default if v is None or v != v else v for v in rows[name]]
    return rows.assign(**columns)


def named(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with the name and the look of their estimators' curves."""
    pairs = rows[["estimator", "noise"]].drop_duplicates().itertuples(index=False)
    looks = {(e, n): (with_noise(e, n), mark(e, n)) for e, n in pairs}
    found = [looks[e, n] for e, n in zip(rows["estimator"], rows["noise"], strict=True)]
    looks = pd.Series([look for _, look in found], rows.index, dtype=object)
    return rows.assign(curve=[name for name, _ in found], look=looks)
