"""Options of `sigmaprop penalties`: a frozen dataclass whose field docstrings are the help."""

import dataclasses
from typing import Literal

from ..options import LARGEST_SIGMA, check_list, check_ranges, option

Kind = Literal["linear", "softplus", "silu", "tanh", "gelu", "leaky_relu", "relu"]


@dataclasses.dataclass(frozen=True)
class PenaltiesConfig:
    """Measure where noise, finite differences and gradient penalties are the same thing."""

    discriminators: tuple[Kind, ...] = ("softplus", "leaky_relu")
    """Activations of random discriminators; linear: one without a hidden layer."""
    dtypes: tuple[Literal["float32", "bfloat16"], ...] = ("float32", "bfloat16")
    """In which the discriminators' products are computed."""
    sigmas: tuple[float, ...] = option(
        (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 3e-4, 1e-4), within=(1e-12, LARGEST_SIGMA)
    )
    """Std of the noise, in units of x, above 0."""
    logits: tuple[float, ...] = option((0.01, 0.1, 1.0, 3.0), within=(1e-6, 1e6))
    """Root mean square logits: how far from D = 1/2 instance noise is compared with penalties."""
    noise_sigma: float = option(0.03, within=(1e-6, LARGEST_SIGMA))
    """Std of that instance noise where the logits are varied, in units of x."""
    networks: int = option(6, within=(3, 1000))
    """Random discriminators of each kind, which intervals are made from, 3 to 1000."""
    examples: int = option(512, within=(16, 2**20))
    """Examples x ~ N(0, I), with a draw of noise each, a multiple of 8, 16 to 2^20."""
    dim: int = option(64, within=(1, 10**5))
    """Dimension of x."""
    widths: tuple[int, ...] = option((128, 128), within=(1, 10**5))
    """Hidden layers."""
    seed: int = option(0, within=(0, 2**32 - 1))
    """Seed of all draws, 0 to 4294967295."""

    def __post_init__(self) -> None:
        """Checks all values; errors name option, value and remedy."""
        for name in ("discriminators", "dtypes", "sigmas", "logits"):
            check_list(name, getattr(self, name))
        if not self.widths:
            raise ValueError("--widths is empty; the discriminator linear has no hidden layer")
        check_ranges(PenaltiesConfig, vars(self))
        if self.examples % 8:
            raise ValueError(f"--examples is {self.examples}; give a multiple of 8")


PENALTIES_PRESETS = {
    "quick": PenaltiesConfig(),
    "full": PenaltiesConfig(
        discriminators=("linear", "softplus", "silu", "leaky_relu", "relu"),
        logits=(0.01, 0.03, 0.1, 0.3, 1.0, 3.0),
        networks=8,
        examples=4096,
    ),
}
