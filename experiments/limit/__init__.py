"""`sigmaprop limit`: the sweep of sigma to 0."""
