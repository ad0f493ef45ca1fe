"""Makes li2018_losses.npz: the loss of 10,000 single images at 30 points around each network of figure 1 of Li et al. 2018.

    python tests/data/li2018_losses.py DATA_DIR resnet56.t7 resnet56_noshort.t7

DATA_DIR holds CIFAR-10, the checkpoints are those of tomgoldstein/loss-landscape; 600,000 forward passes, a quarter of an hour on two
cores. The points lie in five planes (random directions of seeds 0 to 4, filter-normalized, biases and batch norm fixed): the 25 nodes
of a 5 × 5 grid of [-1, 1]², each in one of the planes so that a plane has one node in each row and each column, which stand for a
surface; and in each plane one point more near the origin, where few examples hold most of the loss.

The file has for each network `<network>_losses` (30, 10000) float16, `_seeds` (30,), `_coordinates` (30, 2) and `_means` (30,): the
means over the images in float64 before the rounding. Float16 keeps three digits of a loss, and multiples of 6e-8 below 6e-5; what is
replayed is a population of the rounded losses, which is as good a one as that of the exact losses. How far its means are from
theirs, the test says.
"""

from __future__ import annotations

import copy
import sys
from pathlib import Path

import numpy as np
import torch

from landscape.checkpoints import weights_of
from landscape.core.directions import random_direction, roles, select_parameters
from landscape.core.subspace import Subspace
from landscape.problem import Problem
from landscape.zoo import problem

N_IMAGES = 10_000  # the first ones of the training set
N_SEEDS = 5
BATCH = 128
NEAR = [(0.05, 0.0), (0.0, 0.1), (-0.15, 0.0), (0.1, -0.17), (-0.2, 0.15)]  # one for each seed


def places() -> list[tuple[int, tuple[float, float]]]:
    """Which plane each point lies in, and where: 25 nodes of the grid, then the five near the origin."""
    axis = np.linspace(-1, 1, 5).tolist()
    grid = [((i + 2 * j) % N_SEEDS, (x, y)) for i, x in enumerate(axis) for j, y in enumerate(axis)]
    return [*grid, *enumerate(NEAR)]


def losses(network: Problem, checkpoint: str) -> np.ndarray:
    """The loss of each image at each point, `(30, 10000)` float32."""
    weights = weights_of(checkpoint, network.model)
    model_roles = roles(network.model)
    names = select_parameters(weights, model_roles, ("bias", "norm"), None)
    model = copy.deepcopy(network.model).eval().to(memory_format=torch.channels_last)
    examples = network.examples("train").select(np.arange(N_IMAGES))
    rows = []
    for seed, place in places():
        directions = [random_direction(weights, model_roles, names, seed, axis) for axis in "xy"]
        model.load_state_dict(Subspace(weights, tuple(directions)).point(place))
        parts = [
            network.loss(model, examples.batch(start, min(start + BATCH, N_IMAGES)), min(BATCH, N_IMAGES - start))["loss"][0]
            for start in range(0, N_IMAGES, BATCH)
        ]
        rows.append(torch.cat(parts).numpy())
        print(f"{network.name}: seed {seed} at {place}: {rows[-1].mean(dtype=np.float64):.6g}", file=sys.stderr, flush=True)
    return np.stack(rows)


@torch.no_grad()
def main(data_dir: str, *checkpoints: str) -> None:
    arrays: dict[str, np.ndarray] = {}
    for name, checkpoint in zip(("resnet56", "resnet56-noshort"), checkpoints, strict=True):
        exact = losses(problem(name, data_dir=data_dir), checkpoint)
        assert np.isfinite(exact).all()
        assert exact.max() < np.finfo(np.float16).max
        arrays |= {f"{name}_losses": exact.astype(np.float16), f"{name}_means": exact.mean(axis=1, dtype=np.float64)}
        arrays |= {
            f"{name}_seeds": np.array([seed for seed, _ in places()]),
            f"{name}_coordinates": np.array([p for _, p in places()]),
        }
    np.savez_compressed(Path(__file__).with_suffix(".npz"), **arrays)


if __name__ == "__main__":
    main(*sys.argv[1:])
