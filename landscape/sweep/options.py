"""The options every sweep takes, and what they resolve to on this machine."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from landscape.errors import InputError, did_you_mean
from landscape.evaluate import MODES, POLICIES, PRECISIONS
from landscape.sweep.blocks import Part

__all__ = ["CHECKS", "Options", "bytes_of", "check_threads", "seconds_of"]

CHECKS = ("raise", "warn")
_MOST_THREADS = 4096
_LARGEST_BATCH = 1_000_000_000
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass(frozen=True)
class Options:
    """What `line` and `surface` take besides their geometry.

    Attributes:
        split: the data split or splits measured on; the training split by default.
        examples: how many of its examples: None for all, N for a random sample of N, "first:N" for the first N.
        device: "auto", "cpu", "cuda" or "cuda:i"; under mpirun "cuda" is spread by the rank on its host.
        threads: CPU threads of each process; the cores shared out by default.
        batch_size: examples computed at once; no value depends on it beyond rounding.
        precision: "fp32", "tf32", "bf16" or "fp64"; the model's own, fp32 or fp64, by default.
        engine: "eager", "compiled" or "batched"; by default "eager".
        audit_tolerance: the largest relative deviation from fp32 that a run in tf32 or bf16 may show.
        memory: what the examples may occupy on the device, as bytes, "8G" or a share of what is free; more is streamed.
        offload: leave the directions in main memory (on the CPU, in a file) and bring them tensor by tensor at each point.
        tolerance: 0, or the relative standard error at which a point may stop looking at further examples.
        bn: what running statistics do: "interpolated" along the line, "frozen" at the origin's, or "recalibrated" at each point over the
            first 2,048 training examples; by default interpolated between checkpoints, recalibrated where a running variance would
            turn negative on the way, and frozen along random directions.
        basin_level: how far above the origin's loss the basin reaches, in nats.
        to: the file; None keeps the surface in memory.
        save_directions: write the directions into the file too.
        check: "raise" ends a run whose self-check fails; "warn" goes on, with a `SelfCheckWarning`, and file and figures say so.
        overwrite: replace a file that is there instead of resuming it.
        time_limit: seconds, or text such as "55m", after which no further point is begun.
        part: "i/n": only the i-th of n parts, for processes that share no MPI; `merge` puts their files together.
        yes: allow a million points and more.
        quiet: say nothing.
        command: what the file records as the command that made it.
    """

    split: str | Sequence[str] | None = None
    examples: int | str | None = None
    device: str = "auto"
    threads: int | None = None
    batch_size: int | None = None
    precision: str | None = None
    engine: str | None = None
    audit_tolerance: float = 0.01
    memory: float | str = "80%"
    offload: bool = False
    tolerance: float = 0.0
    bn: str | None = None
    basin_level: float = 1.0
    to: str | os.PathLike[str] | None = None
    save_directions: bool = False
    check: str = "raise"
    overwrite: bool = False
    time_limit: float | str | None = None
    part: str | None = None
    yes: bool = False
    quiet: bool = False
    command: str | None = None

    @classmethod
    def of(cls, given: dict[str, Any]) -> Options:
        """The options from keyword arguments.

        Raises:
            InputError: for a name or value that is none of them.
        """
        known = [field.name for field in fields(cls)]
        for name in given:
            if name not in known:
                raise InputError(f'no option "{name}": {did_you_mean(name, known)}')
        options = cls(**given)
        if options.bn is not None and options.bn not in POLICIES:
            raise InputError(f'unknown batch-norm policy "{options.bn}": {did_you_mean(options.bn, POLICIES)}')
        if options.check not in CHECKS:
            raise InputError(f'unknown check "{options.check}": {did_you_mean(str(options.check), CHECKS)}')
        if options.precision is not None and options.precision not in PRECISIONS:
            raise InputError(f'unknown precision "{options.precision}": {did_you_mean(options.precision, PRECISIONS)}')
        if options.engine is not None and options.engine not in MODES:
            raise InputError(f'unknown engine "{options.engine}": {did_you_mean(options.engine, MODES)}')
        if not (math.isfinite(options.audit_tolerance) and options.audit_tolerance > 0):
            raise InputError(
                f"the audit's tolerance is {options.audit_tolerance:g}; it is a relative deviation above 0, such as 0.01"
            )
        bytes_of(options.memory, 0.0)
        Part.of(options.part)
        if options.batch_size is not None and not 1 <= options.batch_size <= _LARGEST_BATCH:
            raise InputError(f"the batch size is {options.batch_size}; it has to be at least 1 and at most {_LARGEST_BATCH:,}")
        if options.threads is not None:
            check_threads(options.threads)
        if not (math.isfinite(options.basin_level) and options.basin_level > 0):
            raise InputError(f"the basin level is {options.basin_level:g}; it is a height above the origin in nats, more than 0")
        return options

    def splits(self, available: Sequence[str]) -> list[str]:
        """The splits measured on: those asked for, else the training split, else the first."""
        if self.split is None:
            return ["train" if "train" in available else available[0]]
        asked = self.split.split(",") if isinstance(self.split, str) else list(self.split)
        twice = next((split for i, split in enumerate(asked) if split in asked[:i]), None)
        if twice is not None:
            raise InputError(f'the data split "{twice}" is asked for twice; name each once')
        return asked


def check_threads(wanted: int) -> int:
    """The number of CPU threads asked for.

    Raises:
        InputError: when no machine has so many, or so few.
    """
    if not 1 <= wanted <= _MOST_THREADS:
        raise InputError(f"--threads must be 1 to {_MOST_THREADS}, not {wanted}")
    return wanted


def seconds_of(limit: float | str | None) -> float | None:
    """A time limit in seconds.

    >>> seconds_of("1h30m"), seconds_of("55m"), seconds_of(20)
    (5400.0, 3300.0, 20.0)

    Raises:
        InputError: when it is neither a number nor made of numbers with s, m, h or d.
    """
    if limit is None:
        return None
    text = str(limit).strip().lower()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    if not re.fullmatch(r"(\d+(\.\d+)?[smhd])+", text):
        raise InputError(f'time limit "{limit}" is neither seconds nor like 55m, 1h30m or 2d')
    return sum(float(number) * _UNITS[unit] for number, _, unit in re.findall(r"(\d+(\.\d+)?)([smhd])", text))


def bytes_of(budget: float | str, free: float) -> float:
    """A memory budget in bytes, of which so many are free.

    >>> bytes_of("80%", 1000), bytes_of("2K", 1000), bytes_of(512, 1000)
    (800.0, 2048.0, 512.0)

    Raises:
        InputError: when it is neither bytes, nor like 500M or 8G, nor a percentage.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(%|[KMGT]?)B?", str(budget).strip().upper().replace("IB", ""))
    if not found or float(found[1]) <= 0 or (found[2] == "%" and float(found[1]) > 100):
        raise InputError(f'memory "{budget}" is neither like 500M or 8G nor a share of what is free like 80%')
    number, unit = float(found[1]), found[2]
    return number / 100 * free if unit == "%" else number * 1024.0 ** " KMGT".index(unit or " ")
