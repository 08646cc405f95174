"""The arms: where the sigma of a generator comes from. Nothing here imports JAX."""

from typing import Literal, NamedTuple

from sigmaprop.names import Registry


class Arm(NamedTuple):
    """One arm, as help, listings, plans and figures read it.

    Attributes:
        text: what it is, in one line.
        given: what an arm that does not learn is given: nothing, one sigma, or one for each step.
        component: the entry of `observation.COMPONENTS` that it learns, None where sigma is given.
        maps: whether it learns a sigma for each coordinate, which can be drawn as an image.
    """

    text: str
    given: Literal["nothing", "sigma", "schedule"] = "nothing"
    component: str | None = None
    maps: bool = False

    @property
    def learns(self) -> bool:
        """Whether sigma is learned."""
        return self.component is not None


ARMS = Registry(
    "arm",
    {
        "zero": Arm("sigma is exactly 0: the samples are the means"),
        "fixed": Arm("--sigma at every step", given="sigma"),
        "scheduled": Arm("from --sigma to --sigma-last over all steps", given="schedule"),
        "global": Arm("one learned number", component="global"),
        "per_pixel": Arm(
            "one learned number for each coordinate", component="per_pixel", maps=True
        ),
        "heteroscedastic": Arm(
            "sigma(z): a linear head on the generator's features",
            component="heteroscedastic",
            maps=True,
        ),
        "low_rank": Arm(
            "one for each coordinate, and a factor of --rank columns",
            component="low_rank",
            maps=True,
        ),
    },
)


def get(name: str) -> Arm:
    """The arm of this name.

    Raises:
        ValueError: unknown arm; the nearest is named.
    """
    return ARMS[name]
