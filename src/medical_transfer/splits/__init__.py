"""Which images belong together, which split each goes to, and whether anything leaked."""
