"""The command line: parses, calls one library function, prints."""

from __future__ import annotations

from landscape.cli.main import main

__all__ = ["main"]
