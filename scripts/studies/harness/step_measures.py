"""The measures of single steps at many places of a training."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from harness.replay import next_step
from harness.steps import along_gradient, unit_change, unit_inputs
from landscape.errors import InputError
from landscape.plotting import Graph, Trace
from landscape.problem import Problem
from landscape.problem.data import map_tensors
from landscape.sweep.devices import choose_device

__all__ = ["PERCENTILES", "measure_steps", "measure_units", "step_panels", "typical_steps", "unit_panels"]

Arrays = dict[str, NDArray[Any]]
Places = Sequence[str | os.PathLike[str]]

PERCENTILES = (15, 50, 85)  # those of Ioffe and Szegedy 2015, figure 1


def measure_steps(problem: Problem, checkpoints: Places, step_sizes: Sequence[float], device: str = "cpu") -> Arrays:
    """What `along_gradient` finds at each of some checkpoints, with the batch the training took there.

    Returns:
        `step`, `loss`, `gradient_norm` and `smoothness`, `(n,)` each, and `losses` and `changes`, `(n, n_step_sizes)`.

    Raises:
        InputError: as `next_step` and `along_gradient`, and for no checkpoints.
    """
    _check(checkpoints)
    loss = problem.loss.to(choose_device(device), torch.float32)
    found, numbers = [], []
    for checkpoint in checkpoints:
        step = next_step(problem, checkpoint, device)
        numbers.append(step.number)
        found.append(along_gradient(step.before, loss, step.batch, step_sizes))
    names = ("loss", "gradient_norm", "smoothness", "losses", "changes")
    return {"step": np.array(numbers)} | {name: np.array([getattr(one, name) for one in found]) for name in names}


def measure_units(problem: Problem, checkpoints: Places, layer: str, n_examples: int = 256, device: str = "cpu") -> Arrays:
    """How the hidden units of a layer are distributed at each of some checkpoints, and how far the training's next step moves them.

    The examples are the first of the training split, the same everywhere; batch norm is as in training.

    Returns:
        `step` `(n,)`; `mean_change` and `wasserstein` as in `UnitChange`, `(n, n_units)`; `percentiles` `(n, 3, n_units)`, those of
        `PERCENTILES`; and of `place`, the number of the checkpoint whose step moves units furthest, `unit`, the one whose Wasserstein
        distance is the median there, and its values `before` and `after` that step, `(n_values,)` each.

    Raises:
        InputError: as `next_step` and `unit_inputs`, and for no checkpoints.
    """
    _check(checkpoints)
    place, examples = choose_device(device), problem.examples("train")
    loss = problem.loss.to(place, torch.float32)
    fixed = map_tensors(lambda tensor: tensor.to(place), examples.batch(0, min(n_examples, examples.size)))
    arrays: dict[str, list[Any]] = {name: [] for name in ("step", "mean_change", "wasserstein", "percentiles")}
    typical: Arrays = {}
    for k, checkpoint in enumerate(checkpoints):
        step = next_step(problem, checkpoint, device)
        before, after = (unit_inputs(model, loss, fixed, layer) for model in (step.before, step.after))
        change = unit_change(before, after)
        arrays["step"].append(step.number)
        arrays["mean_change"].append(change.mean_change)
        arrays["wasserstein"].append(change.wasserstein)
        arrays["percentiles"].append(np.percentile(before, PERCENTILES, axis=1))
        if k == int(np.argmax([np.nanmedian(moved) for moved in arrays["wasserstein"]])):
            unit = int(np.argsort(change.wasserstein)[len(before) // 2])
            typical = {"place": np.array(k), "unit": np.array(unit), "before": before[unit], "after": after[unit]}
    return {name: np.array(values) for name, values in arrays.items()} | typical


def _check(checkpoints: Places) -> None:
    if not checkpoints:
        raise InputError("there are no checkpoints to measure at; train with steps=N to keep some of the first steps")


def typical_steps(steps: Arrays, least: float = 0.1, most: float = 1.5) -> dict[str, float]:
    """Medians of what `measure_steps` gives: the loss range, the greatest change of the gradient, and β.

    Each at the first step, and over the steps whose batch has a loss from `least` to `most` before: all three vanish with the loss,
    so that two networks are compared fairly only where their losses are alike. NaN where there is no such step.
    """
    alike = (steps["loss"] >= least) & (steps["loss"] <= most)
    values = {
        "loss range": np.ptp(steps["losses"], axis=1),
        "gradient change": steps["changes"].max(axis=1),
        "β": steps["smoothness"],
    }
    first = {f"{key}, first step": float(value[0]) for key, value in values.items()}
    return first | {
        f"{key}, equal loss": float(np.median(value[alike])) if alike.any() else np.nan for key, value in values.items()
    }


def step_panels(found: Mapping[str, Arrays]) -> list[Graph]:
    """Panels for `plotting.graphs` from what `measure_steps` gives for some networks: as bands over the step sizes, and β."""
    words = {
        "losses": ("Loss along the gradient", "loss (nat)"),
        "changes": ("Change of the gradient along it", "‖change‖₂"),
        "smoothness": ("Effective β-smoothness", "change / distance"),
    }
    return [
        Graph(title, "step", label, [Trace(name, held["step"], held[key].T) for name, held in found.items()], log=True)
        for key, (title, label) in words.items()
    ]


def unit_panels(found: Mapping[str, Arrays], n_bins: int = 50) -> list[Graph]:
    """Panels for `plotting.graphs` from what `measure_units` gives for some layers.

    First for each layer the distribution of one hidden unit before and after the step that moves units furthest, then for each
    layer that unit's median through the training, in a band from the 15th to the 85th percentile.
    """
    around, through = [], []
    for name, held in found.items():
        edges = np.histogram_bin_edges(np.concatenate([held["before"], held["after"]]), n_bins)
        middles = (edges[1:] + edges[:-1]) / 2
        shares = {when: np.histogram(held[when], edges, density=True)[0] for when in ("before", "after")}
        place, unit = int(held["place"]), int(held["unit"])
        words = f"{name}, step {held['step'][place]}: moved by {held['wasserstein'][place, unit]:.2g} σ"
        traces = [Trace(f"{when} the step", middles, share, dash=k) for k, (when, share) in enumerate(shares.items())]
        around.append(Graph(words, "a hidden unit's input", "density", traces))
        percentiles = held["percentiles"][:, :, unit].T
        through.append(Graph(name, "step", "percentiles 15, 50, 85", [Trace("through training", held["step"], percentiles)]))
    return around + through
