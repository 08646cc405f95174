"""Presets cut to a few seconds of work, to try the commands out: every line of the README, say.

`SIGMAPROP_TINY` in the environment, set to anything but 0, replaces sizes of a preset; options
given on the command line and those of `--config` stay what they are. What was run is recorded as
ever: the run directory's config holds the sizes that were used.
"""

import dataclasses
import os
import sys
from typing import Any

VARIABLE = "SIGMAPROP_TINY"
SIZES: dict[str, dict[str, Any]] = {
    "limit": {
        "objective": ("quartic", "absolute"),
        "dim": 4,
        "num_sigmas": 5,
        "num_samples": 2**10,
    },
    "estimators": {
        "studies": ("grid", "coupling", "piecewise_linear"),
        "objective": ("sine",),
        "estimators": ("pathwise", "score_function+leave_one_out"),
        "sigmas": (0.5,),
        "num_samples": (64,),
        "replicates": 32,
    },
    "gan": {
        "steps": 40,
        "seeds": 2,
        "evaluations": 2,
        "eval_samples": 128,
        "gap_evaluations": 1,
        "gap_samples": 64,
    },
    "evaluate": {
        "metrics": ("energy", "coverage"),
        "num_samples": 64,
        "halves": 3,
        "num_examples": 4,
        "num_chains": 4,
        "num_temperatures": 20,
        "importance_samples": 20,
        "refit_steps": 10,
        "refit_examples": 16,
    },
    "metrics": {
        "metrics": ("mmd2", "sliced_wasserstein", "coverage"),
        "num_samples": 64,
        "num_held_out": 64,
        "repeats": 16,
        "draws": 20,
    },
    "penalties": {"sigmas": (0.1, 0.01), "logits": (0.01, 1.0), "examples": 16, "widths": (8,)},
    "vae": {"steps": 40, "seeds": 2, "evaluations": 1, "eval_draws": 4, "eval_examples": 32},
    "study": {
        "configurations": 2,
        "selection_seeds": 1,
        "test_seeds": 3,
        "overrides": {
            "*": {"steps": 40, "evaluations": 2, "eval_samples": 64, "sigma_learning_rate": 1.0}
        },
        "vae": {"steps": 40, "evaluations": 1, "eval_draws": 4, "eval_examples": 32},
        "evaluate": {
            "num_examples": 4,
            "num_chains": 4,
            "num_temperatures": 20,
            "refit_steps": 10,
            "refit_examples": 16,
        },
        "gate": {"repeats": 16, "draws": 20},
    },
    "advise": {"budget": 20_000},
}
"""By command: the options that are cut. The numbers that come out mean nothing."""


def cut(command: str, config: Any) -> Any:
    """The config with its sizes cut where the environment asks for it, saying so once."""
    if command not in SIZES or os.environ.get(VARIABLE, "0") in ("", "0"):
        return config
    print(
        f"sigmaprop: {VARIABLE} is set: sizes are cut to a few seconds of work, so numbers and "
        "verdicts mean nothing",
        file=sys.stderr,
    )
    return dataclasses.replace(config, **SIZES[command])
