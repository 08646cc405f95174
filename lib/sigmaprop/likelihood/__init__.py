"""log p(x) of a decoder p(x|z) p(z): by annealing, by sampling, in closed form.

A decoder is a function of one latent z [Z] that gives a Gaussian over x [D], the noise included:
``decode(z).log_prob(x)`` is all that any method asks of a model. docs/likelihood.md says which
method may be used when.

* `ais`, and `begin`, `advance`, `finish` for runs in pieces; `bdmc` bounds its error.
* `smc`: a second method, which shares no code with the first.
* `exact`: linear decoders and mixtures. `iwae`: where there is a q(z|x). `parzen`: for history.
* `refit_sigma`: the noise that suits held-out data best.

Everything is imported when it is first used.
"""

from typing import TYPE_CHECKING

from sigmaprop import lazy

if TYPE_CHECKING:
    from sigmaprop.likelihood.annealed import (
        State,
        advance,
        ais,
        begin,
        finish,
        gradient_evaluations,
    )
    from sigmaprop.likelihood.annealing import SCHEDULES, Annealing
    from sigmaprop.likelihood.prior import PRIORS
    from sigmaprop.likelihood.records import Gap, Likelihood

_HOMES = {
    "annealed": "State advance ais begin finish gradient_evaluations",
    "annealing": "SCHEDULES Annealing",
    "prior": "PRIORS",
    "records": "Gap Likelihood",
}

__all__ = [
    "PRIORS",
    "SCHEDULES",
    "Annealing",
    "Gap",
    "Likelihood",
    "State",
    "advance",
    "ais",
    "begin",
    "finish",
    "gradient_evaluations",
]

__getattr__, __dir__ = lazy.attach(
    __name__, {name: home for home, names in _HOMES.items() for name in names.split()}
)
