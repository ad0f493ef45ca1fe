"""The mathematics: weights, directions, subspaces, grids and surfaces. Small and pure.

Belongs here: what a paper would define. Does not: files, devices, progress, anything that evaluates a loss.
`grid` and `surface` need no torch and must never import it, so that reading and drawing files needs none either.
"""

__all__: list[str] = []
