"""The arms: where the sigma of a generator comes from. Nothing here imports JAX."""

from typing import Literal, NamedTuple

from sigmaprop.names import Registry


class Arm(NamedTuple):
    """One arm, as help, listings, plans and figures read it.

    Attributes:
        text: what it is, in one line.
        given: what an arm that does not learn is given: nothing, the number one, one sigma, one
            for each step, what fits the batch best, the noise that the data were given, or what
            another run learned.
        component: the entry of `observation.COMPONENTS` that it learns, None where sigma is given.
        maps: whether it learns a sigma for each coordinate, which can be drawn as an image.
        alone: whether it needs a program of its own.
    """

    text: str
    given: Literal["nothing", "one", "sigma", "schedule", "batch", "data", "run"] = "nothing"
    component: str | None = None
    maps: bool = False
    alone: bool = False

    @property
    def learns(self) -> bool:
        """Whether sigma is learned."""
        return self.component is not None

    @property
    def noiseless(self) -> bool:
        """Whether its players train on the means alone."""
        return self.given == "nothing" and not self.learns

    @property
    def borrows(self) -> bool:
        """Whether the data or another run give its noise, and not the options alone."""
        return self.given in ("data", "run")

    @property
    def shares(self) -> bool:
        """Whether the options alone say all of it, in one program with other arms."""
        return not self.alone and not self.borrows


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
        "more_latents": Arm(
            "exactly 0, and --more-latents latents more at the last hidden layer", alone=True
        ),
        "post_hoc": Arm(
            "zero, with the noise behind it that suits validation examples best where it is scored",
            alone=True,
        ),
        "oracle": Arm("the noise that --data.noise-std added to the data", given="data"),
        "frozen": Arm(
            "what --frozen-from learned, seed by seed, as constants; a sigma(z) by a copy",
            given="run",
        ),
    },
)


VAE_ARMS = Registry(
    "arm",
    {
        "unit": Arm("sigma is exactly 1", given="one"),
        "fixed": ARMS["fixed"],
        "global": ARMS["global"],
        "optimal": Arm("one number: the root mean square error of the batch", given="batch"),
        "per_pixel": ARMS["per_pixel"],
        "heteroscedastic": ARMS["heteroscedastic"],
        "low_rank": ARMS["low_rank"],
    },
)
"""Those of a variational autoencoder, whose likelihood needs a density: zero has none."""


def get(name: str) -> Arm:
    """The arm of this name, of either kind of generator.

    Raises:
        ValueError: unknown arm; the nearest is named.
    """
    return VAE_ARMS[name] if name in VAE_ARMS and name not in ARMS else ARMS[name]
