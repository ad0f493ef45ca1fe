"""The self-check: values of the engine held to the independent reference, before the first point and after the last."""

from __future__ import annotations

from landscape.sweep.self_check.check import SelfCheck, complain

__all__ = ["SelfCheck", "complain"]
