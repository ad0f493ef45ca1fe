"""Where a point's time goes: moving weights, the model, and the rest."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch

__all__ = ["Stopwatch"]


class Stopwatch:
    """Seconds by name. On a GPU, which runs behind the program, they are taken by events and added up once it was waited for."""

    def __init__(self, device: torch.device) -> None:
        self.seconds: dict[str, float] = {}
        self._device = device
        self._gpu = device.type == "cuda"
        self._open: list[tuple[str, Any, Any]] = []

    def watched(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function with the time of its calls added to a name."""

        def call(*positional: Any, **named: Any) -> Any:
            began = self._now()
            result = function(*positional, **named)
            self._add(name, began, self._now())
            return result

        return call

    def settle(self) -> None:
        """Add up what events measured; the device has to be waited for already."""
        for name, began, ended in self._open:
            self.seconds[name] = self.seconds.get(name, 0.0) + began.elapsed_time(ended) / 1000
        self._open.clear()

    def reset(self) -> None:
        """Begin anew."""
        self._open.clear()
        self.seconds.clear()

    def _now(self) -> Any:
        if not self._gpu:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]  # torch has no types here
        event.record(torch.cuda.current_stream(self._device))
        return event

    def _add(self, name: str, began: Any, ended: Any) -> None:
        if self._gpu:
            self._open.append((name, began, ended))
        else:
            self.seconds[name] = self.seconds.get(name, 0.0) + ended - began
