"""The next step of a training, taken again from one of its checkpoints: its batch, and the network before and after."""

from __future__ import annotations

import copy
import operator
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from landscape.errors import InputError
from landscape.problem import Problem
from landscape.problem.data import map_tensors
from landscape.sweep.devices import choose_device
from landscape.zoo.recipes import Recipe

__all__ = ["NextStep", "next_step"]


@dataclass(frozen=True, eq=False)
class NextStep:
    """A step of a training.

    Attributes:
        number: how many steps had been taken before.
        before: the network, as the checkpoint has it, in train mode.
        batch: the training examples of the step, as they are before any augmentation.
        after: the network after the step by the training's own optimizer.
    """

    number: int
    before: nn.Module
    batch: Any
    after: nn.Module


def next_step(problem: Problem, checkpoint: str | os.PathLike[str], device: str = "cpu") -> NextStep:
    """Take the step that a training took from a checkpoint on: the same examples, momentum, clipping and learning rate.

    Of trainings without augmentation and dropout, in fp32, it gives the weights of the checkpoint one step later; otherwise it is a
    step of the same kind, by other random numbers. The problem's model is not changed.

    Args:
        problem: the one trained, by the zoo's `problem` with the same settings.
        checkpoint: an `epoch_….pt` or `step_….pt` of `train`; beside the latter lies the checkpoint of the epoch before.
        device: where the step is taken.

    Raises:
        InputError: when a file is no such checkpoint or is missing, does not fit the problem, or is of a training on streams.
    """
    made = _read(checkpoint)
    examples = problem.examples("train")
    try:
        recipe, number = Recipe(**made["recipe"]), int(made["step"])
        n_steps = -(-examples.size // recipe.batch_size)
        place, loss = choose_device(device), problem.loss.to(choose_device(device), torch.float32)
        before, after = (copy.deepcopy(problem.model).to(place).train() for _ in range(2))
        before.load_state_dict(made["state_dict"])
        after.load_state_dict(made["state_dict"])
        optimizer = recipe.make_optimizer(after.parameters())
        optimizer.load_state_dict(made["optimizer"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{checkpoint}: no checkpoint of {problem.name} by landscape train ({_first_line(error)})") from error
    if recipe.unroll:
        raise InputError(f"{checkpoint}: of a training on streams of text, whose steps are pieces of all of them")
    generator = torch.Generator()
    generator.set_state(_read(Path(checkpoint).parent / f"epoch_{number // n_steps:03d}.pt")["generator"])
    chosen = torch.split(torch.randperm(examples.size, generator=generator), recipe.batch_size)[
        number % n_steps
    ]  # as an EpochIterator does
    batch = map_tensors(lambda tensor: operator.itemgetter(chosen)(tensor).to(place), examples.tensors)
    for group in optimizer.param_groups:
        group["lr"] = recipe.rate(number // n_steps + 1)
    optimizer.zero_grad(set_to_none=True)
    sums, weights = loss(after, batch, len(chosen))["loss"]
    mean = sums.sum() / (len(chosen) if weights is None else weights.sum())
    mean.backward()  # type: ignore[no-untyped-call]  # torch's own
    nn.utils.clip_grad_norm_(after.parameters(), recipe.largest_gradient)
    optimizer.step()
    return NextStep(number, before, batch, after)


def _read(checkpoint: str | os.PathLike[str]) -> dict[str, Any]:
    try:
        made: dict[str, Any] = torch.load(checkpoint, map_location="cpu", weights_only=True)
        if made.keys() >= {"state_dict", "optimizer", "generator", "recipe", "step"}:
            return made
    except Exception as error:  # a file of another origin makes torch stumble in any way
        raise InputError(f"{checkpoint}: not a checkpoint of landscape train ({_first_line(error)})") from error
    raise InputError(f"{checkpoint}: not a checkpoint of landscape train")


def _first_line(error: BaseException) -> str:
    return ": ".join([type(error).__name__, *str(error).strip().splitlines()[:1]])
