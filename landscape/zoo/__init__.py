"""The zoo: example models, data sets, training recipes and ready problems.

Belongs here: what the demo, the notebooks and `landscape train` need. Nothing else in the package imports it.

`problems.problems()` lists what there is.
"""

from __future__ import annotations

from landscape.zoo.problems import Entry, problem
from landscape.zoo.training import Training, train

__all__ = ["Entry", "Training", "problem", "train"]
