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
    from sigmaprop.likelihood.bidirectional import bdmc
    from sigmaprop.likelihood.closed_forms import LinearDecoder, Mixture, exact
    from sigmaprop.likelihood.fitting import Head
    from sigmaprop.likelihood.importance import iwae
    from sigmaprop.likelihood.kernel_density import Parzen, parzen
    from sigmaprop.likelihood.prior import PRIORS
    from sigmaprop.likelihood.records import Gap, Likelihood
    from sigmaprop.likelihood.refitting import (
        FAMILIES,
        Refit,
        linear_head,
        mlp_head,
        refit_sigma,
        with_sigma,
    )
    from sigmaprop.likelihood.tempered import smc

_HOMES = {
    "annealed": "State advance ais begin finish gradient_evaluations",
    "annealing": "SCHEDULES Annealing",
    "bidirectional": "bdmc",
    "closed_forms": "LinearDecoder Mixture exact",
    "importance": "iwae",
    "kernel_density": "Parzen parzen",
    "prior": "PRIORS",
    "records": "Gap Likelihood",
    "fitting": "Head",
    "refitting": "FAMILIES Refit linear_head mlp_head refit_sigma with_sigma",
    "tempered": "smc",
}

__all__ = [
    "FAMILIES",
    "PRIORS",
    "SCHEDULES",
    "Annealing",
    "Gap",
    "Head",
    "Likelihood",
    "LinearDecoder",
    "Mixture",
    "Parzen",
    "Refit",
    "State",
    "advance",
    "ais",
    "bdmc",
    "begin",
    "exact",
    "finish",
    "gradient_evaluations",
    "iwae",
    "linear_head",
    "mlp_head",
    "parzen",
    "refit_sigma",
    "smc",
    "with_sigma",
]

__getattr__, __dir__ = lazy.attach(
    __name__, {name: home for home, names in _HOMES.items() for name in names.split()}
)
