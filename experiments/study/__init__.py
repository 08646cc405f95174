"""`sigmaprop study`: the registered comparison, from gates to verdicts."""
