"""`sigmaprop estimators`: every rule, side by side."""
