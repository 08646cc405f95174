"""`sigmaprop gan`: generators in every treatment of sigma."""
