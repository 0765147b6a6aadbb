"""Studies: many trials of the main job under different parameters and seeds, one table, one figure, one conclusion."""
