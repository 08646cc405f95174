"""`sigmaprop advise`: which estimator suits a function."""
