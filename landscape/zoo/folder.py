"""The folder a training writes: prepared before, never overwritten unasked, each file whole or absent."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from landscape.atomic import replacing
from landscape.errors import InputError

__all__ = ["Folder"]

_CHECKPOINTS = "epoch_[0-9][0-9][0-9]*.pt"


class Folder:
    """Where a training goes: checkpoints, `history.jsonl`, and `result.json`, whose presence says that it is finished.

    An unfinished training in the folder makes way; a finished one, or checkpoints of another origin, only if `overwrite` says so.

    Raises:
        InputError: when the folder is taken or cannot be written.
    """

    def __init__(self, path: Path, overwrite: bool = False) -> None:
        self.path = path
        self.history = path / "history.jsonl"
        self.result = path / "result.json"
        stale = sorted(path.glob(_CHECKPOINTS)) if path.is_dir() else []
        if self.result.exists() and not overwrite:
            raise InputError(f"{path}: holds a finished training; choose another --out, or replace it with --overwrite")
        if stale and not overwrite and not self.history.exists():
            raise InputError(
                f"{path}: holds {stale[0].name} of something else; choose another --out, or replace it with --overwrite"
            )
        try:
            path.mkdir(parents=True, exist_ok=True)
            for old in (self.result, *stale):  # the mark of being finished goes first
                old.unlink(missing_ok=True)
        except OSError as error:
            raise InputError(f"{path}: cannot be written ({error.strerror}); choose another --out") from error
        self.write_history([])

    def checkpoint(self, epoch: int) -> Path:
        """The path of an epoch's checkpoint; 0 is before training."""
        return self.path / f"epoch_{epoch:03d}.pt"

    def write_history(self, lines: Iterable[Mapping[str, float]]) -> None:
        """One line of JSON for each epoch."""
        self.write(self.history, "".join(json.dumps(_finite(line)) + "\n" for line in lines).encode())

    def finish(self, facts: Mapping[str, Any]) -> None:
        """Write what came out, which marks the training as finished."""
        self.write(self.result, (json.dumps(_finite(facts), indent=1) + "\n").encode())

    def write(self, path: Path, content: bytes) -> None:
        """Write a file whole or not at all: under another name first, then renamed.

        Raises:
            InputError: when it cannot be written.
        """
        with replacing(path) as temporary:
            temporary.write_bytes(content)


def _finite(facts: Mapping[str, Any]) -> dict[str, Any]:
    """JSON has no NaN and no infinity: they become text, and stay what they were."""
    return {key: str(value) if isinstance(value, float) and not math.isfinite(value) else value for key, value in facts.items()}
