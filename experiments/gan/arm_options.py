"""What single arms ask of their options, and of the program that they run in."""

from typing import Any

from sigmaprop.generators import proximal
from sigmaprop.generators.arms import ARMS

from .config import GanOptions


def program(options: GanOptions, dim: int) -> tuple[Any, ...]:
    """What replicas of one program agree in beside the static options."""
    return late(options, dim), fitted(options)


def late(options: GanOptions, dim: int) -> int:
    """Latents that enter at the generator's last hidden layer, for examples of D coordinates."""
    if options.arm != "more_latents":
        return 0
    return dim if options.more_latents is None else options.more_latents


def fitted(options: GanOptions) -> Any:
    """The noise that is fitted behind the means where they are scored, None for none."""
    return options.post_hoc if options.arm == "post_hoc" else None


def is_proximal(options: GanOptions) -> bool:
    """Whether a learned sigma takes the part log sigma of its entropy by a proximal step."""
    paid = options.entropy_weight > 0 and options.sigma_player == "generator"
    return paid and options.parameterisation == "linear" and ARMS[options.arm].learns


def check(options: GanOptions) -> None:
    """Refuses what an arm cannot do.

    Raises:
        ValueError: one sentence that names the option, its value and what is allowed.
    """
    if options.arm == "more_latents" and options.generator not in ("mlp", "residual"):
        raise ValueError(
            f"--arm more_latents adds latents to the last hidden layer of the generator mlp or "
            f"residual, not of {options.generator}; choose one of these, or another --arm"
        )
    if not is_proximal(options):
        return
    which = f"--parameterisation linear with --entropy-weight {options.entropy_weight:g}"
    if options.arm not in proximal.ARMS:
        raise ValueError(
            f"{which} takes its proximal step on a scale that is a parameter itself, not on --arm "
            f"{options.arm}; choose {' or '.join(proximal.ARMS)}, or another --parameterisation"
        )
    if options.sigma_optimizer != "sgd":
        raise ValueError(
            f"{which} moves by plain gradient steps, not by --sigma-optimizer "
            f"{options.sigma_optimizer}; give --sigma-optimizer sgd"
        )
    if momentum := max(options.momentum, options.momentum_last):
        raise ValueError(
            f"{which} moves by plain gradient steps, without --momentum {momentum:g}; leave it out"
        )
