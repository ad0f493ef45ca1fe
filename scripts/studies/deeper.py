"""Study 3, deeper: without shortcuts deep networks do not reach the training error that they could have, by identities; with them they do."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np

from harness import Claim, Study, StudyRun, main
from harness.identity import write_deepened
from landscape.plotting import Graph, Trace, graphs
from landscape.zoo import Training

NETS = {"plain": "-noshort", "residual": ""}
UNITS = {"tiny": "blocks", "small": "blocks", "full": "layers"}
ERROR = "{} error, {} {}, {} (%)"
DEEPER, MADE = "deepest above shallowest, {} (% points of training error)", "outputs changed by identities, {} (relative)"
WORSE = "deepest, plain above residual (% points of training error)"
BETTER = "deepest, loss as trained above loss by identities, {} (nat)"
HE = {20: 8.75, 32: 7.51, 44: 7.17, 56: 6.97, 110: 6.43}  # He et al. 2016, table 6
FALL = "on ImageNet {} of validation error, 34 against 18 layers (He et al. 2016, table 2)"


def depths(run: StudyRun) -> tuple[int, ...]:
    """Blocks of the perceptrons; layers of the convolutional networks of the full size."""
    return run.pick((2, 20), (2, 5, 10, 20, 40), (20, 32, 44, 56, 110))


def name_of(run: StudyRun, net: str, depth: int) -> str:
    """The problem."""
    return run.pick("digits-residual-{}x32{}", "digits-residual-{}x32{}", "resnet{}{}").format(depth, NETS[net])


def train(run: StudyRun, net: str, depth: int) -> Training:
    """Both kinds by one recipe, also the deep plain ones, for which the zoo has a smaller rate at full size."""
    return run.train(name_of(run, net, depth), run.pick(15, 30, 164), f"{net}-{depth}", settings={"learning_rate": 0.1})


def measure(run: StudyRun) -> dict[str, float]:
    """The numbers of one seed."""
    least, most, unit = depths(run)[0], depths(run)[-1], UNITS[run.size]
    numbers: dict[str, float] = {}
    for net in NETS:
        trainings = {depth: train(run, net, depth) for depth in depths(run)}
        for depth, training in trainings.items():
            numbers[ERROR.format("training", depth, unit, net)] = 100 * (1 - training.train_accuracy)
            numbers[ERROR.format("test", depth, unit, net)] = 100 * (1 - training.test_accuracy)
        numbers[DEEPER.format(net)] = 100 * (trainings[least].train_accuracy - trainings[most].train_accuracy)
        shallow, deep = (run.problem(name_of(run, net, depth)) for depth in (least, most))
        start, end, axis = trainings[most].start, trainings[most].end, (-0.1, 1.1, run.pick(13, 25, 25))
        made, numbers[MADE.format(net)] = write_deepened(shallow, trainings[least].end, deep, end.with_name("identities.pt"))
        run.surface(f"{net}-plane", deep, start, end, made, x=axis, y=axis, examples=run.pick(300, 300, 5000))
        loss = run.line(f"{net}-line", deep, end, made, x=(0, 1, run.pick(9, 41, 41))).values["train_loss"]
        numbers[BETTER.format(net)] = float(loss[0] - loss[-1])
    numbers[WORSE] = (found := [numbers[ERROR.format("training", most, unit, net)] for net in NETS])[0] - found[1]
    return numbers


def draw(runs: Sequence[StudyRun]) -> None:
    """Error by depth and the line to what identities make, over all seeds; planes and lines of the first."""
    first, places, unit, panels = runs[0], np.array(depths(runs[0])), UNITS[runs[0].size], []
    for split, words in (("train", "training"), ("test", "test")):
        found = {net: [[1 - getattr(train(s, net, d), f"{split}_accuracy") for d in places] for s in runs] for net in NETS}
        traces = [Trace(net, places, 100 * np.array(errors)) for net, errors in found.items()]
        panels.append(Graph(f"{words} error", unit, "error (%)", traces))
    read = {net: [run.read(f"{net}-line") for run in runs] for net in NETS}
    lines = [Trace(net, s[0].x, np.array([line.values["train_loss"] for line in s])) for net, s in read.items()]
    panels.append(Graph(f"{places[-1]} {unit}", "from trained (0) to identities (1)", "training loss (nat)", lines))
    first.save(graphs(panels, n_columns=3), "figure")
    planes, names = [first.read(f"{net}-plane") for net in NETS], [f"{net}, {places[-1]} {unit}" for net in NETS]
    first.figure("planes", planes, "filled", names=names, log=True, clip=10)
    first.page([*planes, *(read[net][0] for net in NETS)], [*names, *(f"line, {name}" for name in names)])


NORMS = {"full": "identities with batch norm divide by √(variance + ε), which is 1 up to rounding"}
STUDY = Study(
    "deeper",
    "Deeper: what more layers do without shortcuts, and with them",
    "A deep plain network could do what a shallow one does, by layers that are identities, but training finds that with shortcuts alone.",
    measure,
    draw,
    (
        Claim("deep plain networks train worse than shallow ones", DEEPER.format("plain"), ">=", 20),
        Claim("deep residual networks do not", DEEPER.format("residual"), "<=", 3),
        Claim("of the deepest the plain one trains worse than the residual one", WORSE, ">=", 20),
        Claim("plain layers that are identities change no bit of the outputs", MADE.format("plain"), "<=", 0, NORMS),
        Claim("nor do residual blocks with zero weights", MADE.format("residual"), "<=", 0),
        Claim("so the deepest plain network has a far better solution than it is trained to", BETTER.format("plain"), ">=", 0.5),
    ),
    {DEEPER.format("plain"): FALL.format("+0.60"), DEEPER.format("residual"): FALL.format("-2.85")}
    | {ERROR.format("test", depth, "layers", "residual"): f"{error} (He et al. 2016, table 6)" for depth, error in HE.items()},
    "Perceptrons of blocks h + σ(Wh + b) of 32 rectified units (plain: σ(Wh + b)) without batch norm, on digits of 8 × 8 "
    "pixels. Plain ones fail harder than those of He et al., which have batch norm; some stay at chance. The full size, "
    "convolutional networks on CIFAR-10, all by rate 0.1, has not been run. The study skips has convolutional networks on digits.",
)

if __name__ == "__main__":
    sys.exit(main(STUDY))
