"""An objective: a function f of x [D], and what is known about it."""

import dataclasses
from collections.abc import Callable
from typing import Literal, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from sigmaprop.gaussians import Gaussian, GaussianT
from sigmaprop.gaussians.covariance import Covariance
from sigmaprop.gaussians.flattening import shape_of

Smoothness: TypeAlias = Literal["smooth", "kink", "jump"]
Function: TypeAlias = Callable[[Array], Array]
Expectation: TypeAlias = Callable[[Array, Covariance], Array]


class Parts(NamedTuple):
    """What a record's function makes of a dim, for the registry to complete.

    Attributes:
        function: f itself, as `Objective` has it.
        expectation: E f, None where it is not known.
        point: where to measure; None: coordinates of random sign, of magnitudes in [0.3, 1.2].
        formula: f in one line, where the dim or an option changes it; else it is the record's.
    """

    function: Function
    expectation: Expectation | None = None
    point: np.ndarray | None = None
    formula: str = ""


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Objective:
    """A function f of x [D], and what is known about it.

    It is static under jax.jit: an argument or a closure, compared by identity; ``get`` returns the
    same object for the same arguments. Your own:
    ``Objective(name="mine", dim=3, function=lambda x: jnp.sum(x**3), point=np.ones(3))``.

    Attributes:
        name: what to call it.
        dim: D.
        function: f itself, of one x [D], to a scalar of the dtype of x.
        point: where experiments measure, [D], stored as read-only float64.
        formula: f in one line, for people.
        smoothness: "smooth" (twice differentiable), "kink" (continuous) or "jump".
        expectation: E f of mean [D] and Covariance, if it is known.
    """

    name: str
    dim: int
    function: Function = dataclasses.field(repr=False)
    point: np.ndarray = dataclasses.field(repr=False)
    formula: str = ""
    smoothness: Smoothness = "smooth"
    expectation: Expectation | None = dataclasses.field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Checks the fields and freezes the point."""
        if self.smoothness not in ("smooth", "kink", "jump"):
            raise ValueError(
                f"objective {self.name!r}: smoothness is 'smooth', 'kink' or 'jump', "
                f"not {self.smoothness!r}"
            )
        point = np.array(self.point, np.float64)
        if point.shape != (self.dim,):
            raise ValueError(
                f"objective {self.name!r} has dim {self.dim}: its point needs the shape "
                f"({self.dim},), not {point.shape}"
            )
        point.flags.writeable = False
        object.__setattr__(self, "point", point)

    def __call__(self, x: Float[ArrayLike, " D"]) -> Float[Array, ""]:
        """f(x) for one ``x`` [D], in the dtype of x; for a batch use jax.vmap.

        Raises:
            ValueError: x has another shape or is not floating.
        """
        x = jnp.asarray(x)
        if x.shape != (self.dim,) or not jnp.issubdtype(x.dtype, jnp.floating):
            raise ValueError(
                f"objective {self.name!r} takes one floating x of shape ({self.dim},), not "
                f"{x.dtype} {x.shape}; for a batch use jax.vmap"
            )
        return self.function(x)

    @property
    def has_closed_form(self) -> bool:
        """Whether ``smoothed`` is known."""
        return self.expectation is not None

    def smoothed(self, gaussian: Gaussian) -> Float[Array, ""]:
        """``E f(x)``, x ~ gaussian, in closed form, in the dtype of the mean.

        Args:
            gaussian: of any family. Where f is smooth its covariance may be singular, even 0;
                kinks and jumps need a variance > 0 of every coordinate.

        Raises:
            ValueError: no closed form is known, or the argument is no Gaussian or one of another
                dimension.
        """
        if self.expectation is None:
            raise ValueError(
                f"objective {self.name!r} has no closed form of E f; "
                "use a large independent sample instead"
            )
        self._check(gaussian)
        dtype = jnp.asarray(gaussian.mean).dtype
        typed = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), gaussian)
        return self.expectation(typed.mean, typed.covariance())

    def smoothed_gradient(self, gaussian: GaussianT) -> GaussianT:
        """The derivative of ``smoothed`` to every field, a Gaussian-shaped pytree."""
        return jax.grad(self.smoothed)(gaussian)

    def _check(self, gaussian: Gaussian) -> None:
        """Refuses what is no Gaussian of this dimension."""
        family = type(gaussian)
        if not hasattr(family, "axes"):
            raise ValueError(
                "smoothed takes a Gaussian of one of Isotropic, Diagonal, Full, LowRank, not "
                f"{family.__name__}"
            )
        given = {f.name: jnp.shape(getattr(gaussian, f.name)) for f in dataclasses.fields(family)}
        *_, rank = (1, *given.get("factor", ()))
        needed = [shape_of(axes, self.dim, rank) for axes in family.axes]
        if list(given.values()) != needed:
            listed = ", ".join(f"{n} {s}" for n, s in zip(given, needed, strict=True))
            found = ", ".join(f"{name} {shape}" for name, shape in given.items())
            raise ValueError(
                f"objective {self.name!r} has dim {self.dim}: it takes {family.__name__} of the "
                f"shapes {listed}, not {found}"
            )
