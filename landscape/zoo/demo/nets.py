"""The two networks of the demo: their settings, and their trainings, kept from an earlier run where they fit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch

from landscape.errors import InputError
from landscape.zoo.problems import blueprint
from landscape.zoo.training import ProgressCallback, Training, train

__all__ = ["N_THREADS", "Net", "Settings", "train_or_keep"]

# Of trainings, whose weights depend on it and are to be the same on every machine; and of sweeps, whose operations are so small
# that threads wait for each other more than they compute, without end where other programs want the cores too.
N_THREADS = 1


@dataclass(frozen=True)
class Settings:
    """One depth, one recipe and one set of grids for both networks.

    `path`, `ray` and `plane` are axes (start, stop, n): from initialization to solution, along random directions, and both axes of
    the plane. The path ends at its models: beyond them, running variances that move along the line become negative, and the loss
    NaN. `n_draws` random directions make the 1-D picture; `n_examples` are drawn from each split for every sweep.
    """

    depth: int = 32
    epochs: int = 25
    n_examples: int = 300
    path: tuple[float, float, int] = (0.0, 1.0, 51)
    ray: tuple[float, float, int] = (-1.0, 1.0, 25)
    n_draws: int = 5
    plane: tuple[float, float, int] = (-1.0, 1.0, 25)


@dataclass(frozen=True)
class Net:
    """One of the two networks: its problem in the zoo, and what files and figures call it."""

    problem: str
    name: str
    title: str

    @classmethod
    def both(cls, depth: int) -> tuple[Net, Net]:
        """With shortcuts, and without.

        >>> [net.problem for net in Net.both(26)]
        ['digits-resnet26', 'digits-resnet26-noshort']
        """
        return (
            cls(f"digits-resnet{depth}", "short", "with shortcuts"),
            cls(f"digits-resnet{depth}-noshort", "noshort", "without shortcuts"),
        )


def train_or_keep(net: Net, folder: Path, epochs: int, seed: int, progress: ProgressCallback) -> tuple[Training, bool]:
    """The training of a network in a folder, and whether it was there already.

    A finished training by the same recipe and seed is kept; an unfinished or damaged one is begun anew.

    Raises:
        InputError: when the folder holds a training by another recipe or seed, or cannot be written.
    """
    wanted = {
        "problem": net.problem,
        "seed": seed,
        "recipe": asdict(replace(blueprint(net.problem).recipe, epochs=epochs)),
    }
    kept = _read(folder)
    if kept is not None:
        training, made = kept
        for name, value in wanted.items():
            if made[name] != value:
                raise InputError(
                    f"{folder}: holds a training with another {name} ({_tell(made[name], value)}, now {_tell(value, made[name])}); "
                    "choose another --out"
                )
        return training, True
    before = torch.get_num_threads()
    torch.set_num_threads(N_THREADS)
    try:
        overwrite = (folder / "result.json").exists()
        return train(
            net.problem, folder, epochs, seed, overwrite=overwrite, progress=progress, every=epochs
        ), False  # the ends will do
    finally:
        torch.set_num_threads(before)


def _read(folder: Path) -> tuple[Training, dict[str, Any]] | None:
    """A finished training and what its last checkpoint says of its making; None where there is none, or it is damaged."""
    try:
        facts = json.loads((folder / "result.json").read_text("utf-8"))
        places = {name: folder / facts[name] for name in ("start", "end", "history")}
        made = torch.load(places["end"], map_location="cpu", weights_only=True)
        torch.load(places["start"], map_location="cpu", weights_only=True)
        losses = {name: float(facts[name]) for name in ("train_loss", "test_loss")}  # what is not finite is a text in JSON
        known = {field.name: facts[field.name] for field in fields(Training)}
        return Training(**{**known, **places, **losses}), {name: made[name] for name in ("problem", "seed", "recipe")}
    except Exception:  # torch.load raises a dozen kinds of error for damaged files; training anew mends them all
        return None


def _tell(value: Any, other: Any) -> str:
    """A value for a message; of two recipes only what differs."""
    if isinstance(value, Mapping) and isinstance(other, Mapping):
        return ", ".join(f"{name} {value[name]}" for name in value if value[name] != other.get(name))
    return str(value)
