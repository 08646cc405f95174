"""`sigmaprop vae`: variational autoencoders in every treatment of sigma."""
