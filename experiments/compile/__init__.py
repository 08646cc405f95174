"""`sigmaprop compile`: what the programs of a command are on a machine that is not at hand."""
