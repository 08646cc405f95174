"""The experiment `sigmaprop evaluate`."""
