"""A surface in words: what it is, how it was checked, what its reader must know, and how it differs from another.

Belongs here: every sentence that `show`, figures and page share. Does not: torch, files, drawing.
"""

from __future__ import annotations

from landscape.report.comparison import Comparison, compare
from landscape.report.description import describe, tabulate
from landscape.report.verdict import describe_check

__all__ = ["Comparison", "compare", "describe", "describe_check", "tabulate"]
