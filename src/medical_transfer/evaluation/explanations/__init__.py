"""Where a model looks, and whether such maps can be trusted.

A map is a grid of numbers over an image; more means that this part speaks more for the class that the model decided
for. A map can be pretty and wrong, so each method is put to two tests: `sanity` (must it change with the weights?) and
`deletion` (do the marked pixels matter to the model?).

Shapes: N images (N, 3, S, S) in [0, 1], maps (N, g, g) of g x g cells, C classes.
"""
