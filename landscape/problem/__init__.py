"""A problem: a model, its loss and its data, as every computation takes them.

Belongs here: what users hand in, and how their batches and losses are understood. Does not: where and how fast it is computed.
"""

from __future__ import annotations

from landscape.problem.data import Examples
from landscape.problem.function import LambdaObjective
from landscape.problem.losses import PerExample, Sums
from landscape.problem.problem import Problem, resolve

__all__ = ["Examples", "LambdaObjective", "PerExample", "Problem", "Sums", "resolve"]
