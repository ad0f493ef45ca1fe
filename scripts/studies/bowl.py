"""Study 1, the bowl: softmax regression is convex, a multilayer perceptron on the same data is not."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F

from harness import Claim, Study, StudyRun, main, told
from landscape import Problem, Surface
from landscape.measures import barrier, least_second_difference, min_curvature
from landscape.zoo import Training

NETS = {"softmax": "softmax", "perceptron": "mlp-2x32"}
PLANES = {"solutions": "plane of two solutions", "random": "random plane"}


def study_net(run: StudyRun, net: str, problem: Problem) -> tuple[dict[str, Surface], list[Training]]:
    """The plane through an initialization and two solutions, a random one around a solution, the line between both; the trainings."""
    epochs, n = run.pick(10, 30, 20), run.pick(13, 25, 51)
    name, no_decay = problem.name.split()[0], {"weight_decay": 0.0}  # what is drawn is the loss that was trained
    trainings = [run.train(name, epochs, net, run.seed + shift, no_decay) for shift in (0, 1000)]
    start, end, other = trainings[0].start, trainings[0].end, trainings[1].end
    axis, how = (-0.25, 1.25, n), {"precision": "fp64", "examples": run.pick(None, None, 5000)}
    return {
        "solutions": run.surface(f"{net}-solutions", problem, start, end, other, x=axis, y=axis, **how),
        "random": run.surface(f"{net}-random", problem, end, x=(-1, 1, n), y=(-1, 1, n), **how),
        "between": run.line(f"{net}-between", problem, end, other, x=(0, 1, 25), **how),
    }, trainings


def closed_form(problem: Problem, plane: Surface, trainings: Sequence[Training]) -> np.ndarray:
    """The loss of softmax regression over the plane: the logits are linear in both axes, and no engine is needed."""
    images, labels = problem.examples("train").tensors
    ends = [torch.load(path, weights_only=True)["state_dict"] for path in (trainings[0].start, *(t.end for t in trainings))]
    weights = [{parameter.ndim: parameter.double() for parameter in end.values()} for end in ends]
    origin, one, other = (F.linear(images.flatten(1).double(), held[2], held[1]) for held in weights)
    logits = [origin + a * (one - origin) + b * (other - origin) for a in plane.x for b in plane.y]
    return np.reshape([float(F.cross_entropy(z, labels)) for z in logits], plane.shape)


def measure_seed(run: StudyRun) -> dict[str, float]:
    """The numbers of one seed."""
    numbers = {}
    for net, name in NETS.items():
        problem = run.problem(f"{run.pick('digits', 'digits', 'mnist')}-{name}")
        surfaces, trainings = study_net(run, net, problem)
        numbers[f"{net}: test accuracy"] = trainings[0].test_accuracy
        for key, words in PLANES.items():
            surface, found = surfaces[key], surfaces[key].numbers
            highest = np.abs(surface.values["train_loss"]).max()
            numbers[f"{net}, {words}: least curvature / max|L|"] = min_curvature(surface).value / highest
            numbers[f"{net}, {words}: least second difference / max|L|"] = least_second_difference(surface).value / highest
            numbers[f"{net}, {words}: strict minima"] = told(found.get("minima"))
            numbers[f"{net}, {words}: convex share"] = told(found.get("convexity"))
        numbers[f"{net}: barrier between two solutions (nat)"] = barrier(surfaces["between"]).value
        if net == "softmax" and run.size != "full":
            apart = np.abs(closed_form(problem, surfaces["solutions"], trainings) - surfaces["solutions"].values["train_loss"])
            numbers["softmax: largest deviation from the closed form / max|L|"] = apart.max() / highest
    return numbers


def draw(runs: Sequence[StudyRun]) -> None:
    """Both planes of both networks, each pair on one scale."""
    planes = {plane: [runs[0].read(f"{net}-{plane}") for net in NETS] for plane in ("random", "solutions")}
    nets = ["softmax regression", "two hidden layers"]
    runs[0].figure("figure", planes["solutions"], "relief", names=nets, log=True)
    runs[0].figure("random", planes["random"], "relief", names=nets, log=True)
    runs[0].page(planes["random"] + planes["solutions"], [f"{net}, {plane}" for plane in planes for net in nets])


CLAIMS = (
    ("softmax regression is convex", "softmax, random plane: least curvature / max|L|", ">=", -1e-9),
    ("it has one minimum", "softmax, random plane: strict minima", "<=", 1),
    ("nor does it curve down between solutions", "softmax, plane of two solutions: least second difference / max|L|", ">=", -1e-9),
    ("its loss is the closed form", "softmax: largest deviation from the closed form / max|L|", "<=", 1e-12),
    ("there is no barrier between its solutions", "softmax: barrier between two solutions (nat)", "<=", 1e-9),
    ("the perceptron is not convex", "perceptron, plane of two solutions: least second difference / max|L|", "<=", -0.001),
    ("there is a barrier between its solutions", "perceptron: barrier between two solutions (nat)", ">=", 0.1),
)
STUDY = Study(
    "bowl",
    "The bowl: softmax regression is convex",
    "Softmax regression has one convex bowl; with two hidden layers the same data have solutions in valleys of their own.",
    measure_seed,
    draw,
    [Claim(*claim) for claim in CLAIMS],
    differences="8 × 8 digits (MNIST at full size), no weight decay, all in double precision. On random planes around a solution the "
    "perceptron looks nearly convex too; what is not convex lies between solutions. The two solutions of softmax regression are nearly "
    "one: their plane has a valley narrower than the grid, where the difference Hessian even of a convex function may have a negative "
    "eigenvalue. Second differences along a line may not, and are what is claimed there.",
)
if __name__ == "__main__":
    sys.exit(main(STUDY))
