"""The slow, independent evaluation that the self-check trusts. It imports nothing of the engine, and nothing of the engine's may come here."""

from __future__ import annotations

from landscape.reference.evaluation import Reference, Values

__all__ = ["Reference", "Values"]
