"""Building blocks of networks that no library has in the form needed here; strangers to losses and methods."""
