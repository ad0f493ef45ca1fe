"""Study 7, dense connections: a DenseNet, a residual and a plain network with as many parameters each."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
import torch

from harness import Claim, Study, StudyRun, main, told
from landscape.plotting.graphs import Graph, Trace, graphs
from landscape.zoo import Training

NETS = ("dense", "residual", "plain")
SHARE = "convexity, {} (fraction of the points)"
MEASURES = ("basin_radius", "basin_share", "convexity", "turning_points", "minima")
SPREAD = "the most parameters over the fewest, less one (%)"
CONVEX, FEW = "convex share of the points, dense less plain", "25 points are too few for a share of them"
GAIN = "test error, {} less dense (points)"
SAME: dict[str, float] = {"batch_size": 64, "weight_decay": 1e-4}  # the recipe of Huang et al. 2017 for all three


def network(run: StudyRun, net: str) -> tuple[str, dict[str, float]]:
    """A problem's name and settings: depths and widths at which the three have nearly the same number of parameters."""
    if net == "dense":
        name, size = run.pick(("digits-densenet16", 6), ("digits-densenet28", 8), ("densenet100", 12))
        return name, {"growth": size, **SAME}
    name, size = run.pick(("digits-resnet14", 4), ("digits-resnet32", 5), ("resnet56", 15))
    return name if net == "residual" else f"{name}-noshort", {"width": size, **SAME}


def trained(run: StudyRun, net: str) -> Training:
    """A network trained for a seed."""
    name, settings = network(run, net)
    return run.train(name, run.pick(4, 12, 300), net, settings=settings)


def measure_seed(run: StudyRun) -> dict[str, float]:
    """The numbers of one seed."""
    numbers: dict[str, float] = {}
    for net in NETS:
        name, settings = network(run, net)
        training, problem = trained(run, net), run.problem(name, **settings)
        count = numbers[f"parameters, {net}"] = sum(parameter.numel() for parameter in problem.model.parameters())
        numbers |= {f"train loss, {net} (nat)": training.train_loss, f"test error, {net} (%)": 100 * (1 - training.test_accuracy)}
        numbers[f"test accuracy, {net} (% by 1,000 parameters)"] = 1e5 * training.test_accuracy / count
        axis, few = run.pick((-1, 1, 7), (-1, 1, 13), (-1, 1, 51)), run.pick(64, 200, 5000)
        problem.model.load_state_dict(torch.load(training.end, map_location="cpu", weights_only=True)["state_dict"])
        plane = run.surface(f"{net}-plane", problem, x=axis, y=axis, examples=few)
        found = {key: number for key, number in plane.numbers.items() if key in MEASURES}
        numbers |= {f"{key.replace('_', ' ')}, {net} ({number.unit})": told(number) for key, number in found.items()}
    counts = [numbers[f"parameters, {net}"] for net in NETS]
    numbers[SPREAD] = 100 * (max(counts) / min(counts) - 1)
    numbers |= {GAIN.format(net): numbers[f"test error, {net} (%)"] - numbers["test error, dense (%)"] for net in NETS[1:]}
    numbers[CONVEX] = numbers[SHARE.format("dense")] - numbers[SHARE.format("plain")]
    return numbers


def draw(runs: Sequence[StudyRun]) -> None:
    """The three planes on one scale, and what each network gets wrong while it is trained, over all seeds."""
    first, planes = runs[0], [runs[0].read(f"{net}-plane") for net in NETS]
    names = [f"{net} network" for net in NETS]
    first.figure("figure", planes, "filled", names=names, log=True)
    first.figure("relief", planes, "relief", names=names, log=True)
    traces = []
    for net in NETS:
        histories = (run.history(trained(run, net)) for run in runs)
        errors = np.array([[100 * (1 - epoch["test_accuracy"]) for epoch in history] for history in histories])
        traces.append(Trace(f"{net} network", np.arange(1, errors.shape[1] + 1), errors))
    first.save(graphs([Graph("median and range over the seeds", "epoch", "test error (%)", traces)]), "training")
    first.page(planes, names)


CLAIMS = (
    Claim("the three have equally many parameters", SPREAD, "<=", 5),
    Claim("the dense network errs less than the plain one, by a point at least", GAIN.format("plain"), ">=", 1),
    Claim("it errs no more than the residual one, within two points", GAIN.format("residual"), ">=", -2),
    Claim("the surface is convex at more points around it than around the plain one", CONVEX, ">=", 0.1, {"tiny": FEW}),
)
STUDY = Study(
    "densenet",
    "Dense connections at an equal number of parameters",
    "A DenseNet, a residual and a plain network with equally many parameters: what each makes of them, and the surface around it.",
    *(measure_seed, draw, CLAIMS),
    {
        "test error, dense (%)": "4.51 (Huang et al. 2017, table 2: DenseNet-BC 100, k = 12, CIFAR-10 with augmentation)",
        "test error, residual (%)": "6.97 (He et al. 2016, table 6: ResNet-56, CIFAR-10)",
        "test error, plain (%)": "13.31 (Li et al. 2018, table 1: ResNet-56 without shortcuts, CIFAR-10)",
    },
    "The published figures are for CIFAR-10, which only the full size trains on; tiny and small have 8 x 8 digits, shallower networks "
    "and few epochs. All three have the batch size and weight decay of Huang et al.; at full size the plain one starts at rate 0.01 and "
    "both others at 0.1, and 15 channels instead of 16 make the parameters equal. The DenseNet takes most time. Basins are in units of "
    "filter-normalized directions, up to 1 nat above losses that differ from network to network: nothing is claimed about them.",
)

if __name__ == "__main__":
    sys.exit(main(STUDY))
