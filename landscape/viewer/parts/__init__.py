"""What the interactive page is written in: its text, its style and its scripts, which `landscape.viewer` puts together."""

from __future__ import annotations

__all__: list[str] = []
