"""The experiment `sigmaprop metrics`."""
