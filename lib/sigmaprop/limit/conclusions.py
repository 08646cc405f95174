"""What a sweep shows: claims, each with what theory expects, the interval measured, a verdict.

A claim holds when its interval lies inside the range that theory allows, fails when it lies
outside, and is not resolved when the samples cannot tell or no sigma lies where theory can be
measured.
Every range is derived from sizes of derivatives and from the rounding of the number format.

Theory, with g, H, T for grad f, its Hessian and the gradient of its Laplacian at x, as sigma -> 0:
the bias of grad f(x) is sigma^2/2 T; the variances of the estimators are in their docstrings.
"""

from sigmaprop.limit.edges import jump_claims, kink_claims
from sigmaprop.limit.evidence import Evidence
from sigmaprop.limit.floors import Floor, floor_claims, floors
from sigmaprop.limit.laws import LAWS, Law, variance_level, variances
from sigmaprop.limit.smooth import (
    batch_claims,
    bias_claims,
    learning_claims,
    unbiased_claims,
    variance_claims,
)
from sigmaprop.statistics import Claim

__all__ = [
    "LAWS",
    "Claim",
    "Evidence",
    "Floor",
    "Law",
    "conclude",
    "floors",
    "variance_level",
    "variances",
]


def conclude(evidence: Evidence) -> list[Claim]:
    """The claims that an objective of this smoothness supports, in the order of a report."""
    if evidence.smoothness == "kink":
        return [*kink_claims(evidence), *unbiased_claims(evidence, at_edge=True)]
    if evidence.smoothness == "jump":
        return [*jump_claims(evidence), *unbiased_claims(evidence, at_edge=True)]
    return [
        *bias_claims(evidence),
        *unbiased_claims(evidence),
        *variance_claims(evidence),
        *batch_claims(evidence),
        *learning_claims(evidence),
        *floor_claims(evidence),
    ]
