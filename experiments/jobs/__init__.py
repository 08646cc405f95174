"""A sweep cut into jobs by its seeds: on this machine, or on a cluster with SLURM."""
