"""Monte Carlo estimators of the gradient of a Gaussian expectation."""
