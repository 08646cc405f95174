"""Metrics of samples: what a generator draws against held-out data, or against a known mixture.

All are pure functions of arrays, for jit and for vmap over replicas, whose memory is bounded by
working through rows in chunks. Score the mean mu and the noisy x = mu + sigma eps separately: the
metrics answer to noise in different ways.

* `mmd.unbiased`: squared maximum mean discrepancy. It has a true zero, and collapse does not
  please it: the primary metric.
* `sliced_wasserstein.distance`: always positive between finite samples; read it against
  `real_against_real.null`.
* `modes.coverage`: modes, high-quality share, variance within a mode and exact log-likelihood
  where the data are a mixture of Gaussians.
* `real_against_real.null`: what a metric says of two samples of real data.

Every metric of two samples takes x [N, D] (generated) and y [M, D] (held out).
"""
