"""What is registered of the metrics of a run: the sigma that each prefers, the change it sees."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sigmaprop.metrics import METRICS, distances, registered
from sigmaprop.reporting.frame import read_arrays
from sigmaprop.runs.files import RunError


def opinion(directory: Path, config: Mapping[str, Any], metric: str) -> str:
    """That of one metric, in a few words; empty where nothing is registered."""
    return registered.told(metric, str(config.get("dataset", "")), _dim(directory))


def opinions(directory: Path, config: Mapping[str, Any]) -> str:
    """Those of the distances, in a sentence; empty where nothing is registered."""
    known = [(METRICS[name].title, opinion(directory, config, name)) for name in distances()]
    texts = [f"{title} {text}" for title, text in known if text]
    return f"The sigma that a metric prefers: {'; '.join(texts)}" if texts else ""


def _dim(directory: Path) -> int:
    """The length of an example; 1 where none was kept."""
    try:
        return int(read_arrays(directory / "real.npz")["x"].shape[-1])
    except (KeyError, RunError):
        return 1
