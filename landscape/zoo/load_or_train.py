"""Trainings kept from an earlier run: the one in a folder where it is the one that is wanted, else a new one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import torch

from landscape.checkpoints import Checkpoint, weights_of
from landscape.core.weights import digest
from landscape.errors import InputError
from landscape.zoo.problems import Blueprint, Setting, blueprint
from landscape.zoo.training import ProgressCallback, Training, differences, train

__all__ = ["load_or_train"]


def load_or_train(
    problem: str,
    folder: Path,
    epochs: int,
    seed: int,
    progress: ProgressCallback | None = None,
    settings: Mapping[str, Setting] | None = None,
    threads: int | None = 1,
    **options: Any,
) -> tuple[Training, bool]:
    """The training of a problem in a folder, and whether it was there already.

    A finished training by the same recipe and seed is kept; an unfinished one is gone on with, a damaged one begun anew.

    Args:
        problem: of the zoo.
        folder: where its files are.
        epochs: passes through the training examples.
        seed: of weights and order.
        progress: told of each step.
        settings: of the problem and its recipe.
        threads: CPU threads: the weights depend on their number and are to be the same on every machine; None leaves it.
        **options: of `train`: data_dir, device, precision, every, steps and so on.

    Raises:
        InputError: when the folder holds a training by another recipe or seed, or cannot be written.
    """
    plan = blueprint(problem, settings)
    wanted = {"problem": plan.name, "seed": seed, "recipe": asdict(replace(plan.recipe, epochs=epochs))}
    wanted["start"] = _digest(plan, options.get("start"))
    kept = _read(folder)
    if kept is not None:
        training, made = kept
        for name, value in wanted.items():
            if made[name] != value:
                told, now = differences(made[name], value)
                raise InputError(f"{folder}: holds a training with another {name} ({told}, now {now}); choose another --out")
        return training, True
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        overwrite = (folder / "result.json").exists()
        return train(problem, folder, epochs, seed, settings=settings, overwrite=overwrite, progress=progress, **options), False
    finally:
        torch.set_num_threads(before)


def _digest(plan: Blueprint, start: Checkpoint | None) -> str | None:
    """What a training says of the weights it began with; None where the seed drew them."""
    if start is None:
        return None
    with torch.random.fork_rng(devices=[]):  # the drawn weights are not looked at
        return digest(weights_of(start, plan.make_model()))


def _read(folder: Path) -> tuple[Training, dict[str, Any]] | None:
    """A finished training and what its last checkpoint says of its making; None where there is none, or it is damaged."""
    try:
        facts = json.loads((folder / "result.json").read_text("utf-8"))
        places = {name: folder / facts[name] for name in ("start", "end", "history")}
        made = torch.load(places["end"], map_location="cpu", weights_only=True)
        torch.load(places["start"], map_location="cpu", weights_only=True)
        losses = {name: float(facts[name]) for name in ("train_loss", "test_loss")}  # what is not finite is a text in JSON
        known = {field.name: facts[field.name] for field in fields(Training)}
        return Training(**{**known, **places, **losses}), {name: made[name] for name in ("problem", "seed", "recipe", "start")}
    except Exception:  # torch.load raises a dozen kinds of error for damaged files; training anew mends them all
        return None
