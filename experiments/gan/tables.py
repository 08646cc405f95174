"""The scores of `sigmaprop gan` as rows of its metrics."""

import numpy as np
import pyarrow as pa

from sigmaprop.generators import evaluation

from ..training.tables import KEYS, SCHEMA, VALUES, rows
from .programs import CompiledGroup

__all__ = ["KEYS", "SCHEMA", "VALUES", "fitted", "rows", "scores"]


def scores(
    work: CompiledGroup,
    found: np.ndarray,
    step: int,
    what: tuple[str, ...] = evaluation.OF,
) -> pa.Table:
    """Scores [R, weights, of, name], as `evaluation.score` gives them for each replica."""
    reference = work.clean if what == evaluation.TO_CLEAN and work.clean else work.reference
    names = evaluation.names(reference)
    tables = [
        rows(work.numbers, [step], names, found[:, None, w, o], of=of, weights=weights)
        for w, weights in enumerate(evaluation.WEIGHTS[: found.shape[1]])
        for o, of in enumerate(what)
    ]
    return pa.concat_tables(tables)


def fitted(work: CompiledGroup, found: np.ndarray, step: int) -> pa.Table:
    """Sigma of the arm post_hoc by weights: [R, W], or the root mean square of [R, W, D]."""
    size = found if found.ndim == 2 else np.sqrt(np.mean(found**2, axis=-1))
    tables = [
        rows(work.numbers, [step], ("sigma",), size[:, None, None, w], weights=weights)
        for w, weights in enumerate(evaluation.WEIGHTS[: size.shape[1]])
    ]
    return pa.concat_tables(tables)
