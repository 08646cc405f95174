"""The commands that start from a preset: their options, presets, and what the parser fills.

Like `commands`, this module imports nothing heavy.
"""

from typing import Any, NamedTuple

from ..estimators.config import ESTIMATORS_PRESETS, EstimatorsConfig
from ..evaluate.config import EVALUATE_PRESETS, EvaluateConfig
from ..gan.config import GanConfig
from ..gan.presets import GAN_PRESETS
from ..limit.config import LIMIT_PRESETS, LimitConfig
from ..metrics.config import METRICS_PRESETS, MetricsConfig
from ..penalties.config import PENALTIES_PRESETS, PenaltiesConfig
from ..vae.config import VAE_PRESETS, VaeConfig
from . import commands


class Entry(NamedTuple):
    """One command.

    Attributes:
        config: the type of its options, which checks them.
        presets: by name; the first is where a command without options starts.
        command: what the parser fills.
        options: the field of it that has the options, which checks nothing.
    """

    config: type
    presets: dict[str, Any]
    command: type
    options: type

    def filled(self, base: Any) -> Any:
        """What the parser starts from: the command with these options."""
        return self.command(self.options(**vars(base)))


ENTRIES = {
    "limit": Entry(LimitConfig, LIMIT_PRESETS, commands.LimitCommand, commands.LimitOptions),
    "estimators": Entry(
        EstimatorsConfig,
        ESTIMATORS_PRESETS,
        commands.EstimatorsCommand,
        commands.EstimatorsOptions,
    ),
    "gan": Entry(GanConfig, GAN_PRESETS, commands.GanCommand, commands.GanCommandOptions),
    "vae": Entry(VaeConfig, VAE_PRESETS, commands.VaeCommand, commands.VaeCommandOptions),
    "evaluate": Entry(
        EvaluateConfig, EVALUATE_PRESETS, commands.EvaluateCommand, commands.EvaluateOptions
    ),
    "metrics": Entry(
        MetricsConfig, METRICS_PRESETS, commands.MetricsCommand, commands.MetricsOptions
    ),
    "penalties": Entry(
        PenaltiesConfig, PENALTIES_PRESETS, commands.PenaltiesCommand, commands.PenaltiesOptions
    ),
}
"""By name."""
