"""sigmaprop: how the derivative of a Gaussian expectation reaches its mean and its scale."""
