"""How much memory a run takes, by the number of a model's parameters; each in a process of its own."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn

from landscape.problem import Problem
from landscape.sweep.functions import surface

__all__ = ["measure"]

_HIDDEN = 4
_N_EXAMPLES = 256
_STATUS = Path("/proc/self/status")


def measure(n_millions: float, offload: bool) -> dict[str, Any]:
    """Measure four points of a plane for a perceptron of random weights, in a fresh process.

    Returns:
        Bytes: `weights` of one copy of the model, `before` of the process with model and data made, `peak` of the run; memory of
        files mapped in, which the system takes back when it needs room, is not counted. And `copies`: what the run took beyond the
        user's model, in copies of it; and `seconds` a point.
    """
    words = [sys.executable, __file__, str(n_millions), str(int(offload))]
    found: dict[str, Any] = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
    return found


class _Watch:
    """The most anonymous memory of this process, looked at a hundred times a second; Linux only."""

    def __init__(self) -> None:
        self.most = 0
        threading.Thread(target=self._look, daemon=True).start()

    def now(self) -> int:
        kilobytes = re.search(r"RssAnon:\s+(\d+)", _STATUS.read_text())
        return int(kilobytes[1]) * 1024 if kilobytes else 0

    def _look(self) -> None:
        while True:
            self.most = max(self.most, self.now())
            time.sleep(0.01)


def _run(n_millions: float, offload: bool) -> dict[str, Any]:
    torch.manual_seed(0)
    width = int((n_millions * 1e6 / _HIDDEN) ** 0.5)
    layers = [layer for _ in range(_HIDDEN) for layer in (nn.Linear(width, width), nn.ReLU())]
    model = nn.Sequential(*layers, nn.Linear(width, 10))
    data = {"train": (torch.randn(_N_EXAMPLES, width), torch.randint(10, (_N_EXAMPLES,)))}
    watch = _Watch()
    before = watch.now()
    found = surface(Problem(model, nn.CrossEntropyLoss(), data), x=(-1, 1, 2), y=(-1, 1, 2), offload=offload, quiet=True)
    weights = sum(parameter.nbytes for parameter in model.parameters())
    return {
        "parameters": weights // 4,
        "offload": offload,
        "weights": weights,
        "before": before,
        "peak": watch.most,
        "copies": (watch.most - before) / weights,
        "seconds": float(found.seconds.max()) if found.seconds is not None else None,
    }


if __name__ == "__main__":
    print(json.dumps(_run(float(sys.argv[1]), sys.argv[2] == "1")))
