"""The mathematics: weights, directions, subspaces, grids and surfaces. Small and pure: no files, no devices.

`grid` and `surface` need no torch, and must not come to: what draws and tells files is built on them alone.
"""

__all__: list[str] = []
