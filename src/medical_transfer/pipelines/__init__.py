"""The stages of the work, one room each: thin nodes and their order."""
