"""Generators p(x|z) = N(mu(z), Sigma(z)), trained as GANs, many replicas in one program."""
