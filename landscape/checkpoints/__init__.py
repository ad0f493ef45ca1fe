"""Checkpoints: every way to name the weights of a model, read without running anybody's code.

Belongs here: one module for each family of formats, from bytes to `Weights`. Does not: what is done with the weights.
"""

from __future__ import annotations

from landscape.checkpoints.checkpoint import Checkpoint, name_of, names_of, weights_of

__all__ = ["Checkpoint", "name_of", "names_of", "weights_of"]
