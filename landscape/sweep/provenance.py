"""How a run was made: what /runs/<k> stores."""

from __future__ import annotations

import datetime
import shlex
import socket
import sys
from typing import Any

import numpy as np
import torch

from landscape.evaluate import Engine, calibration_spans, describe_calibration
from landscape.sweep.plan import Plan
from landscape.sweep.version import package_version, source_commit

__all__ = ["describe_run", "describe_subject"]


def describe_run(command: str | None, engine: Engine, n_ranks: int, batch_size_asked: int) -> dict[str, Any]:
    """The attributes of one run; its seconds, points and rates are added when it ends."""
    device, halved = engine.device, engine.batch_size != batch_size_asked
    return {
        "command": command if command is not None else f"python {shlex.join(sys.argv)}",
        "package_version": package_version(),
        "package_commit": source_commit(),
        "torch": str(torch.__version__),
        "host": socket.gethostname(),
        "device": f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device),
        "threads": torch.get_num_threads(),
        "engine": engine.mode,
        "lanes": engine.points_per_pass if engine.mode == "batched" else 1,
        "batch_size": engine.batch_size,
        **({"batch_size_asked": batch_size_asked} if halved else {}),
        "channels_last": int(engine.channels_last),
        "n_ranks": n_ranks,
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "seconds": float("nan"),
        "points": 0,
    }


def describe_subject(plan: Plan, engine: Engine, needs_batch_size: bool, basin_level: float) -> dict[str, Any]:
    """The root attributes of a file: what was measured, whatever it was measured with.

    The batch size is among them where values depend on it, as those of whole batches do.
    """
    attributes = {
        "problem": plan.problem.name,
        "bn": plan.bn,
        "precision": engine.precision,
        "tolerance": engine.tolerance,
        "basin_level": float(basin_level),
        **plan.attributes,
    }
    if needs_batch_size:
        attributes["batch_size"] = engine.batch_size
    if plan.calibrates:
        examples = plan.problem.examples("train")
        used = np.arange(calibration_spans(examples.size)[-1][1])
        attributes |= {"bn_calibration": describe_calibration(examples.size), "bn_data_sha256": examples.select(used).sha256}
    return attributes
