"""Checkpoints: every way to name the weights of a model, read without running anybody's code."""

from __future__ import annotations

from landscape.checkpoints.checkpoint import Checkpoint, name_of, names_of, weights_of

__all__ = ["Checkpoint", "name_of", "names_of", "weights_of"]
