"""The experiment `sigmaprop penalties`."""
