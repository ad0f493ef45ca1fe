"""Study 6, Net2Net: a wider and a deeper net that begin with what a trained one knows."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
import torch

from landscape import Problem
from landscape.measures import climb
from landscape.plotting import Graph, Trace, graphs
from landscape.zoo import Training
from landscape.zoo.likeness import copy_gap, corners, output_gap, surface_gap
from landscape.zoo.study import Claim, Stage, Study, main
from landscape.zoo.surgery import Growth, deepen, hidden_layers, widen

WORDS = {"wider": "twice as wide", "deeper": "one layer deeper"}
STARTS = {"student": "from the teacher", "scratch": "from scratch"}


def problem_name(stage: Stage, net: str) -> str:
    """Two hidden layers; twice as wide; one layer more."""
    width = stage.pick(16, 32, 500) * (2 if net == "wider" else 1)
    return f"{stage.pick('digits', 'digits', 'mnist')}-mlp-{3 if net == 'deeper' else 2}x{width}"


def train(stage: Stage, net: str, growth: Growth | None = None) -> Training:
    """From scratch, or from what the teacher gave; then at 0.3 of the rate, so that what is known is not shaken off."""
    epochs = stage.pick(15, 20, 15) if net == "teacher" else stage.pick(8, 20, 15)
    if growth is None:
        return stage.train(problem_name(stage, net), epochs, f"{net}-scratch", settings={"init": "he"})
    how: dict[str, str | float] = {"init": "he", "learning_rate": stage.pick(0.03, 0.03, 0.006)}
    return stage.train(problem_name(stage, net), epochs, f"{net}-student", settings=how, start=growth.model)


def grow(stage: Stage) -> tuple[Training, Problem, dict[str, Growth]]:
    """The teacher, its problem with the trained weights in double precision, and its students."""
    teacher, problem = train(stage, "teacher"), stage.problem(problem_name(stage, "teacher"))
    model = problem.model.double()
    model.load_state_dict(torch.load(teacher.end, weights_only=True)["state_dict"])
    hidden = hidden_layers(model)
    wider = widen(model, {name: 2 * width for name, width in hidden.items()}, stage.seed)
    return teacher, problem, {"wider": wider, "deeper": deepen(model, list(hidden)[-1])}


def measure_seed(stage: Stage) -> dict[str, float]:
    """The numbers of one seed."""
    teacher, problem, students = grow(stage)
    axis, inputs = (-1, 1, stage.pick(9, 25, 51)), problem.examples("test").tensors[0]
    how = {"x": axis, "y": axis, "precision": "fp64", "examples": stage.pick(500, None, 5000)}
    plane = stage.surface("plane-teacher", problem, problem.model, **how)
    numbers = {"teacher: test accuracy": teacher.test_accuracy}
    for net, growth in students.items():
        own = stage.problem(problem_name(stage, net))
        trainings = {"student": train(stage, net, growth), "scratch": train(stage, net)}
        losses = {start: [line["test_loss"] for line in stage.history(training)] for start, training in trainings.items()}
        first, late = losses["student"][0], [i for i, loss in enumerate(losses["scratch"], 1) if loss <= losses["student"][0]]
        numbers[f"{net}: largest output difference"] = output_gap(problem.model, growth.model, inputs)
        numbers[f"{net}: the same in single precision"] = output_gap(problem.model, growth.model, inputs, torch.float32)
        numbers[f"{net}: test loss after an epoch / from scratch"] = first / losses["scratch"][0]
        numbers[f"{net}: epochs from scratch to where the student is after one"] = [*late, len(losses["scratch"]) + 1][0]
        for start, training in trainings.items():
            line = stage.line(f"line-{net}-{start}", own, training.start, training.end, x=(0, 1, stage.pick(13, 41, 101)))
            loss, climbed = line.values["train_loss"], climb(line)
            numbers[f"{net}, {start}: rise above the start on the line (nat)"] = loss.max() - loss[0]
            numbers[f"{net}, {start}: climb on the line / drop"] = climbed.value if climbed else np.nan
            numbers[f"{net}, {start}: way travelled"] = line.axes[0].norm
            numbers[f"{net}, {start}: training loss"] = training.train_loss
            numbers[f"{net}, {start}: test accuracy"] = training.test_accuracy
        own.model.double()  # corners in single precision would turn the plane a little
        mapped = stage.surface(f"plane-{net}", own, *corners(problem.model, growth, stage.seed), **how)
        numbers[f"{net}: largest difference of surfaces / max L"] = surface_gap(plane, mapped)
    trained = torch.load(train(stage, "wider", students["wider"]).end, weights_only=True)["state_dict"]
    return {**numbers, "wider: largest difference of copies after training / largest weight": copy_gap(students["wider"], trained)}


def draw(stages: Sequence[Stage]) -> None:
    """Test loss by epoch and the lines from start to solution, of all seeds; the three planes on one scale."""
    grown, panels = [grow(stage) for stage in stages], []
    for net, words in WORDS.items():
        found: dict[str, list[list[float]]] = {start: [] for start in STARTS}
        for stage, (teacher, _, students) in zip(stages, grown, strict=True):
            for start, before, growth in (("student", teacher.test_loss, students[net]), ("scratch", np.nan, None)):
                found[start].append([before, *(line["test_loss"] for line in stage.history(train(stage, net, growth)))])
        traces = [Trace(STARTS[start], np.arange(len(y[0])), np.array(y)) for start, y in found.items()]
        panels.append(Graph(words, "epoch", "test loss (nat)", traces, log=True))
    for net, words in WORDS.items():
        lines = {start: [stage.read(f"line-{net}-{start}") for stage in stages] for start in STARTS}
        traces = [Trace(STARTS[k], s[0].x, np.array([line.values["train_loss"] for line in s])) for k, s in lines.items()]
        panels.append(Graph(f"{words}: the line", "from start (0) to solution (1)", "training loss (nat)", traces, log=True))
    stages[0].save(graphs(panels, n_columns=2), "figure")
    planes, names = [stages[0].read(f"plane-{net}") for net in ("teacher", *WORDS)], ["teacher", *WORDS.values()]
    for name, kind in (("surfaces", "relief"), ("planes", "filled")):
        stages[0].figure(name, planes, kind, names=names, log=True)
    stages[0].page(planes, names)


CLAIMS = [
    claim
    for net in WORDS
    for claim in (
        Claim(f"{net}: it computes what its teacher does", f"{net}: largest output difference", "<=", 1e-5),
        Claim(f"{net}: its plane shows the teacher's surface", f"{net}: largest difference of surfaces / max L", "<=", 1e-5),
        Claim(f"{net}: after an epoch it is far ahead", f"{net}: test loss after an epoch / from scratch", "<=", 0.5),
        Claim(f"{net}: from scratch takes longer", f"{net}: epochs from scratch to where the student is after one", ">=", 3),
        Claim(f"{net}: no rise on its way on", f"{net}, student: rise above the start on the line (nat)", "<=", 0.01),
    )
]
COPIES = Claim("copies never part", "wider: largest difference of copies after training / largest weight", "<=", 0.01)
STUDY = Study(
    "net2net",
    "Net2Net: a wider and a deeper net begin where the teacher ended",
    "A student twice as wide or a layer deeper computes what its trained teacher does, stands on its surface, and goes on from there.",
    measure_seed,
    draw,
    (*CLAIMS, COPIES),
    differences="Perceptrons of ReLUs on digits of 8 × 8 pixels (at full size MNIST); Chen, Goodfellow and Shlens 2016 grew Inception "
    "networks on ImageNet, so that no published number compares. Students train at 0.3 of the rate from scratch (theirs at a tenth), and "
    "the teacher's epochs are not counted. No noise is added to copies, so that nothing changes; copies then get equal gradients and stay "
    "equal, so that the wider student uses no more than its teacher had: its lead is what it was given. What is claimed of outputs and "
    "surfaces holds in double precision; in single precision sums over copies are rounded in another order, by 1e-6 to 1e-5 of outputs "
    "near 20, which is measured and not claimed. Who is ahead after an epoch need not be at the end: the table has both.",
)

if __name__ == "__main__":
    sys.exit(main(STUDY))
