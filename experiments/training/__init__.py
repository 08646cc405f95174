"""What `sigmaprop gan` and `sigmaprop vae` share: sweeps, the host's side of training, tables."""
