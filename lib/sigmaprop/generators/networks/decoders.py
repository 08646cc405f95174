"""The decoders whose log-likelihoods on MNIST are published.

Source: Wu, Burda, Salakhutdinov, Grosse 2017, "On the quantitative analysis of decoder-based
generative models", section 5.
"""

from sigmaprop.generators.networks.base import Network
from sigmaprop.generators.networks.mlp import build_generator
from sigmaprop.names import unknown

# The latents, then the hidden layers.
WU_SIZES = {"wu10": (10, 64, 256, 256, 1024), "wu50": (50, 1024, 1024, 1024)}


def wu_decoder(
    name: str, dim: int = 784, *, output: str = "sigmoid", dtype: str = "float32"
) -> Network:
    """A decoder 10-64-256-256-1024-D ("wu10") or 50-1024-1024-1024-D ("wu50"), tanh inside.

    Args:
        name: "wu10" or "wu50".
        dim: D.
        output: "sigmoid" as published, "linear" or "tanh".
        dtype: in which products are computed, "float32" or "bfloat16".

    Returns:
        A Network with ``apply(params, z [B, Z]) -> GeneratorOutput``.

    Raises:
        ValueError: a name or a size is unknown.
    """
    if name not in WU_SIZES:
        raise unknown("decoder", name, WU_SIZES)
    return build_generator(
        name, (*WU_SIZES[name], dim), activation="tanh", output=output, dtype=dtype
    )
