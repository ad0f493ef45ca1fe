"""Study 6, Net2Net: a wider and a deeper net that begin with what a trained one knows."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import torch

from harness import Claim, Study, StudyRun, main
from harness.growth import Growth
from harness.lines import describe_lead, describe_way, trace_histories, trace_lines
from harness.net2net_checks import copy_gap, corners, in_double, output_gaps, students_of, surface_gap
from landscape.plotting import Graph, graphs
from landscape.zoo import Training

WORDS = {"wider": "twice as wide", "deeper": "one layer deeper"}
STARTS = {"student": "from the teacher", "scratch": "from scratch"}


def problem_name(run: StudyRun, net: str) -> str:
    """Two hidden layers; twice as wide; one layer more."""
    width = run.pick(16, 32, 500) * (2 if net == "wider" else 1)
    return f"{run.pick('digits', 'digits', 'mnist')}-mlp-{3 if net == 'deeper' else 2}x{width}"


def train(run: StudyRun, net: str, growth: Growth | None = None) -> Training:
    """From scratch, or from what the teacher gave; then at 0.3 of the rate, so that what is known is not shaken off."""
    epochs = run.pick(15, 20, 15) if net == "teacher" else run.pick(8, 20, 15)
    if growth is None:
        return run.train(problem_name(run, net), epochs, f"{net}-scratch", settings={"init": "he"})
    how: dict[str, str | float] = {"init": "he", "learning_rate": run.pick(0.03, 0.03, 0.006)}
    return run.train(problem_name(run, net), epochs, f"{net}-student", settings=how, start=growth.model)


def measure_seed(run: StudyRun) -> dict[str, float]:
    """The numbers of one seed."""
    teacher, problem = train(run, "teacher"), in_double(run.problem(problem_name(run, "teacher")))
    students = students_of(problem, teacher.end, run.seed)
    axis, inputs = (-1, 1, run.pick(9, 25, 51)), problem.examples("test").tensors[0]
    how = {"x": axis, "y": axis, "precision": "fp64", "examples": run.pick(500, None, 5000)}
    plane = run.surface("plane-teacher", problem, problem.model, **how)
    numbers = {"teacher: test accuracy": teacher.test_accuracy}
    for net, growth in students.items():
        own = run.problem(problem_name(run, net))
        trainings = {"student": train(run, net, growth), "scratch": train(run, net)}
        lead = describe_lead(*(run.history(training) for training in trainings.values()))
        found = output_gaps(problem.model, growth.model, inputs) | lead
        numbers |= {f"{net}: {words}": value for words, value in found.items()}
        for start, training in trainings.items():
            line = run.line(f"line-{net}-{start}", own, training.start, training.end, x=(0, 1, run.pick(13, 41, 101)))
            found = {"training loss": training.train_loss, "test accuracy": training.test_accuracy, **describe_way(line)}
            numbers |= {f"{net}, {start}: {words}": value for words, value in found.items()}
        wide = in_double(own)  # corners in single precision would turn the plane a little
        mapped = run.surface(f"plane-{net}", wide, *corners(problem.model, growth, run.seed), **how)
        numbers[f"{net}: largest difference of surfaces / max L"] = surface_gap(plane, mapped)
    trained = torch.load(train(run, "wider", students["wider"]).end, weights_only=True)["state_dict"]
    return {**numbers, "wider: largest difference of copies after training / largest weight": copy_gap(students["wider"], trained)}


def draw(runs: Sequence[StudyRun]) -> None:
    """Test loss by epoch and the lines from start to solution, of all seeds; the three planes on one scale."""
    curves, lines = [], []
    before = {"student": [run.history("teacher-scratch")[-1]["test_loss"] for run in runs], "scratch": None}
    for net, words in WORDS.items():
        histories = {start: [run.history(f"{net}-{start}") for run in runs] for start in STARTS}
        down = {start: [run.read(f"line-{net}-{start}") for run in runs] for start in STARTS}
        traces = [trace_histories(name, histories[start], "test_loss", before[start]) for start, name in STARTS.items()]
        curves.append(Graph(words, "epoch", "test loss (nat)", traces, log=True))
        traces = [trace_lines(name, down[start]) for start, name in STARTS.items()]
        lines.append(Graph(f"{words}: the line", "from start (0) to solution (1)", "training loss (nat)", traces, log=True))
    runs[0].save(graphs(curves + lines, n_columns=2), "figure")
    planes, names = [runs[0].read(f"plane-{net}") for net in ("teacher", *WORDS)], ["teacher", *WORDS.values()]
    runs[0].figure("planes", planes, "filled", names=names, log=True)
    runs[0].page(planes, names)


CLAIMS = (
    ("{}: it computes what its teacher does", "{}: largest output difference", "<=", 1e-5),
    ("{}: its plane shows the teacher's surface", "{}: largest difference of surfaces / max L", "<=", 1e-5),
    ("{}: after an epoch it is far ahead", "{}: test loss after an epoch / from scratch", "<=", 0.5),
    ("{}: from scratch takes longer", "{}: epochs from scratch to where the student is after one", ">=", 3),
    ("{}: no rise on its way on", "{}, student: rise above the start on the line (nat)", "<=", 0.01),
)
COPIES = Claim("copies never part", "wider: largest difference of copies after training / largest weight", "<=", 0.01)
STUDY = Study(
    "net2net",
    "Net2Net: a wider and a deeper net begin where the teacher ended",
    "A student twice as wide or a layer deeper computes what its trained teacher does, stands on its surface, and goes on from there.",
    measure_seed,
    draw,
    (*(Claim(text.format(net), key.format(net), *rest) for net in WORDS for text, key, *rest in CLAIMS), COPIES),
    differences="Perceptrons of ReLUs on 8 × 8 digits (MNIST at full size); Chen, Goodfellow and Shlens 2016 grew Inception networks on "
    "ImageNet: no published number compares. Students train at 0.3 of the rate from scratch; the teacher's epochs are not counted. Copies "
    "get no noise and stay equal, so that the wider student uses no more than its teacher had. What is claimed of outputs and surfaces "
    "holds in double precision; in single precision sums over copies are rounded in another order, which is measured, not claimed.",
)
if __name__ == "__main__":
    sys.exit(main(STUDY))
