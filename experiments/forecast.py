"""What a run will take, told before it begins: ``--dry-run``.

Rates are those of two cores of the machine that ``results/`` names, so minutes are an order of
magnitude elsewhere; counts and memory are exact or upper bounds.
"""

from typing import Any, NamedTuple

COMPILING = 2.5
"""Seconds that a program takes to compile, of any experiment."""
DRAWING = 0.5
"""Seconds that a figure takes to draw."""
NANOSECONDS = {
    "draw": 6.0,  # a standard normal, made for one coordinate
    "evaluation": 2.5,  # grad f, f and the sums of one estimator, a coordinate of a draw
}
"""Of `sigmaprop limit`, by what they are spent on."""
FLOPS = 2.4e11
"""Floating-point operations a second that a step of `sigmaprop gan` reaches."""


class Forecast(NamedTuple):
    """What a run will take.

    Attributes:
        parts: how many of what, in words: ("6 objectives", "25 sigmas").
        programs: that are compiled.
        mebibytes: of arrays that are alive at once.
        seconds: of two cores, drawing and compiling included.
    """

    parts: tuple[str, ...]
    programs: int
    mebibytes: float
    seconds: float

    @property
    def sentence(self) -> str:
        """All of it in words."""
        minutes = self.seconds / 60
        time = f"{minutes:.1f} minutes" if minutes < 10 else f"{minutes:.0f} minutes"
        if minutes > 180:
            time = f"{minutes / 60:.0f} hours"
        return (
            f"{' x '.join(self.parts)}; {self.programs} compiled "
            f"program{'' if self.programs == 1 else 's'}; about {max(self.mebibytes, 1):.0f} MiB "
            f"of arrays; about {time} on two cores (an estimate; nothing was run or written)"
        )


def parameters(net: Any) -> int:
    """Weights and biases of a network with ``init``, which is not called."""
    import jax  # which most of what reads this module can do without

    return sum(leaf.size for leaf in jax.tree.leaves(jax.eval_shape(net.init, jax.random.key(0))))
