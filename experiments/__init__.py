"""The experiments: one module each, a frozen Config and a run function."""
