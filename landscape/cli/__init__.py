"""The command line: parses, calls one library function, prints.

Belongs here: words to options, results to text, errors to exit codes. Does not: anything a library user would miss.
"""

from __future__ import annotations

from landscape.cli.main import main

__all__ = ["main"]
