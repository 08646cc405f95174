"""What the options of `sigmaprop gan` and `sigmaprop vae` can name, for `sigmaprop list`."""

from typing import Any

from rich.table import Table

from sigmaprop.data import options as data_options
from sigmaprop.generators import losses, networks, optimizers, parameterisation
from sigmaprop.generators.arms import ARMS, VAE_ARMS
from sigmaprop.metrics import METRICS, registered

from ..gan.presets import GAN_PRESETS
from ..training.sweep import swept
from ..vae.config import VAE_PRESETS
from .listing_tables import add, table

_PENALTIES = {
    "--r1": "|grad D|^2 / 2 at real examples",
    "--r2": "|grad D|^2 / 2 at generated examples",
    "--gradient-penalty": "(|grad D| - 1)^2 between real and generated examples",
    "--roth": "Roth's regulariser of the Jensen-Shannon loss",
    "--approximate-r1": "|D(x + s eps) - D(x)|^2 at real examples, s of --penalty-sigma",
    "--approximate-r2": "the same at generated examples",
    "--spectral-norm": "the discriminator's kernels over their spectral norms",
    "--instance-noise": "noise on all that the discriminator sees",
    "--entropy-weight": "pays the generator for its entropy",
}


def tables() -> tuple[Table, ...]:
    """Arms, losses, penalties, networks, data sets, presets and metrics."""
    return (
        _described("Arms (--arm)", {name: arm.text for name, arm in ARMS.items()}),
        _described("Losses (--loss), l the logit", {n: losses.get(n).text for n in losses.names()}),
        _described("What restrains the players", _PENALTIES),
        _described("Networks and their parts", _parts()),
        _data_sets(),
        _presets("gan", GAN_PRESETS),
        _described("Arms of vae (--arm)", {name: arm.text for name, arm in VAE_ARMS.items()}),
        _presets("vae", VAE_PRESETS),
        _described("Metrics (--metrics); * is scored during `sigmaprop gan`", _metrics()),
    )


def _described(title: str, entries: dict[str, str]) -> Table:
    found = table(title, "name", "what it is")
    for name, text in entries.items():
        add(found, name, text)
    return found


def _parts() -> dict[str, str]:
    return {
        "--generator": ", ".join(networks.generator_names()),
        "--discriminator": ", ".join(networks.discriminator_names()),
        "--activation": ", ".join(
            f"{name} ({entry.smoothness})" for name, entry in networks.ACTIVATIONS.items()
        ),
        "--output": ", ".join(networks.OUTPUTS),
        "--optimizer": ", ".join(optimizers.names()),
        "--parameterisation": ", ".join(parameterisation.names()),
    }


def _metrics() -> dict[str, str]:
    """Each with what it measures, its good end, and what is registered of it."""
    return {
        f"{name}{' *' if metric.tracked else ''}": "; ".join(
            filter(None, (metric.meaning, metric.good, registered.told(name, dim=16)))
        )
        for name, metric in METRICS.items()
    }


def _data_sets() -> Table:
    found = table("Data sets (--dataset)", "name", "shape", "train, validation, test")
    for name, entry in data_options.CATALOGUE.items():
        rows = ", ".join(f"{count:,}" for count in entry.rows)
        add(found, name, " x ".join(map(str, entry.shape)), rows)
    add(found, "path/to/file.npz", "x [N, D] or [N, H, W, C]", "its own, or 80%, 10%, 10%")
    return found


def _presets(command: str, presets: dict[str, Any]) -> Table:
    title = f"Presets of {command} (--preset)"
    found = table(title, "name", "data set", "swept", "steps x seeds")
    for name, config in presets.items():
        over = "; ".join(f"{k}: {', '.join(map(str, v))}" for k, v in swept(config.sweep).items())
        add(found, name, config.dataset, over, f"{config.steps:,} x {config.seeds}")
    return found
