"""The folder a training writes: prepared before, never overwritten unasked, each file whole or absent."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from landscape.atomic import made_folder, replacing
from landscape.errors import InputError, RunError

__all__ = ["Folder"]

_EPOCHS = "epoch_[0-9][0-9][0-9]*.pt"
_STEPS = "step_[0-9][0-9][0-9][0-9]*.pt"


class Folder:
    """Where a training goes: checkpoints, `history.jsonl`, and `result.json`, whose presence says that it is finished.

    An unfinished training in the folder is gone on with; a finished one, or checkpoints of another origin, make way only if
    `overwrite` says so.

    Raises:
        InputError: when the folder is taken or cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str], overwrite: bool = False) -> None:
        self.path = path = made_folder(path)
        self.history = path / "history.jsonl"
        self.result = path / "result.json"
        stale = self._checkpoints()
        if self.result.exists() and not overwrite:
            raise InputError(f"{path}: holds a finished training; choose another --out, or replace it with --overwrite")
        if stale and not overwrite and not self.history.exists():
            raise InputError(
                f"{path}: holds {stale[0].name} of something else; choose another --out, or replace it with --overwrite"
            )
        if overwrite or not self.history.exists():
            self.clear()

    def clear(self) -> None:
        """Take away what an earlier training left, and begin a history.

        Raises:
            InputError: when the folder cannot be written.
        """
        try:
            for old in (self.result, *self._checkpoints(), *self.path.glob(_STEPS)):  # the mark of being finished goes first
                old.unlink(missing_ok=True)
        except OSError as error:
            raise InputError(f"{self.path}: cannot be written ({error.strerror}); choose another --out") from error
        self.write_history([])

    def checkpoint(self, epoch: int) -> Path:
        """The path of an epoch's checkpoint; 0 is before training."""
        return self.path / f"epoch_{epoch:03d}.pt"

    def step(self, step: int) -> Path:
        """The path of the checkpoint after one of the first steps."""
        return self.path / f"step_{step:04d}.pt"

    def unfinished(self) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
        """What is there to go on with, the newest first: a checkpoint that can be read, and the history up to it.

        A damaged file is passed over; nothing in one is run.
        """
        history = self._read_history()
        for path in reversed(self._checkpoints()):
            try:
                made = torch.load(path, map_location="cpu", weights_only=True)
                epoch = int(made["epoch"])
                lines = [line for line in history if line["epoch"] <= epoch]
            except Exception:  # torch.load raises a dozen kinds of error for damaged files; the one before it may be whole
                continue
            if len(lines) == epoch and path == self.checkpoint(epoch):
                yield made, lines

    def write_history(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """One line of JSON for each epoch."""
        self.write(self.history, "".join(json.dumps(_finite(line)) + "\n" for line in lines).encode())

    def finish(self, facts: Mapping[str, Any]) -> None:
        """Write what came out, which marks the training as finished."""
        self.write(self.result, (json.dumps(_finite(facts), indent=1) + "\n").encode())

    def write(self, path: Path, content: bytes) -> None:
        """Write a file whole or not at all: under another name first, then renamed.

        Raises:
            InputError: when it cannot be written.
            RunError: when it cannot be written although checkpoints were: the training is under way, and can be gone on with.
        """
        try:
            with replacing(path) as temporary:
                temporary.write_bytes(content)
        except InputError as error:
            if self._checkpoints():
                raise RunError(f"{error}; {self._checkpoints()[-1].name} is there, run the same command again to resume") from error
            raise

    def _checkpoints(self) -> list[Path]:
        """Those of epochs, in order."""
        return sorted(self.path.glob(_EPOCHS), key=lambda path: (len(path.name), path.name)) if self.path.is_dir() else []

    def _read_history(self) -> list[dict[str, Any]]:
        try:
            return [dict(json.loads(line)) for line in self.history.read_text("utf-8").splitlines()]
        except (OSError, ValueError, TypeError):
            return []


def _finite(facts: Mapping[str, Any]) -> dict[str, Any]:
    """JSON has no NaN and no infinity: they become text, and stay what they were."""
    return {
        key: _finite(value)
        if isinstance(value, Mapping)
        else str(value)
        if isinstance(value, float) and not math.isfinite(value)
        else value
        for key, value in facts.items()
    }
