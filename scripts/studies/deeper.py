"""Study 3, deeper: without shortcuts deep networks do not reach the training error that they could have, by identities; with them they do."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np

from landscape.plotting import Graph, Trace, graphs
from landscape.zoo import Training
from landscape.zoo.identity import write_deepened
from landscape.zoo.study import Claim, Study, StudyRun, main

NETS = {"plain": "-noshort", "residual": ""}
UNITS = {"tiny": "blocks", "small": "blocks", "full": "layers"}
ERROR = "{} error, {} {}, {} (%)"
DEEPER, MADE = "deepest above shallowest, {} (% points of training error)", "outputs changed by identities, {} (relative)"
WORSE = "deepest, plain above residual (% points of training error)"
BETTER = "deepest, loss as trained above loss by identities, {} (nat)"
HE = {20: 8.75, 32: 7.51, 44: 7.17, 56: 6.97, 110: 6.43}  # He et al. 2016, table 6
FALL = "on ImageNet {} of validation error, 34 against 18 layers (He et al. 2016, table 2)"


def depths(stage: StudyRun) -> tuple[int, ...]:
    """Blocks of the perceptrons; layers of the convolutional networks of the full size."""
    return stage.pick((2, 20), (2, 5, 10, 20, 40), (20, 32, 44, 56, 110))


def name_of(stage: StudyRun, net: str, depth: int) -> str:
    """The problem."""
    return stage.pick("digits-residual-{}x32{}", "digits-residual-{}x32{}", "resnet{}{}").format(depth, NETS[net])


def train(stage: StudyRun, net: str, depth: int) -> Training:
    """Both kinds by one recipe, also the deep plain ones, for which the zoo has a smaller rate at full size."""
    return stage.train(name_of(stage, net, depth), stage.pick(15, 30, 164), f"{net}-{depth}", settings={"learning_rate": 0.1})


def measure(stage: StudyRun) -> dict[str, float]:
    """The numbers of one seed."""
    least, most, unit = depths(stage)[0], depths(stage)[-1], UNITS[stage.size]
    numbers: dict[str, float] = {}
    for net in NETS:
        trainings = {depth: train(stage, net, depth) for depth in depths(stage)}
        for depth, training in trainings.items():
            numbers[ERROR.format("training", depth, unit, net)] = 100 * (1 - training.train_accuracy)
            numbers[ERROR.format("test", depth, unit, net)] = 100 * (1 - training.test_accuracy)
        numbers[DEEPER.format(net)] = 100 * (trainings[least].train_accuracy - trainings[most].train_accuracy)
        shallow, deep = (stage.problem(name_of(stage, net, depth)) for depth in (least, most))
        start, end, axis = trainings[most].start, trainings[most].end, (-0.1, 1.1, stage.pick(13, 25, 25))
        made, numbers[MADE.format(net)] = write_deepened(shallow, trainings[least].end, deep, end.with_name("identities.pt"))
        stage.surface(f"{net}-plane", deep, start, end, made, x=axis, y=axis, examples=stage.pick(300, 300, 5000))
        loss = stage.line(f"{net}-line", deep, end, made, x=(0, 1, stage.pick(9, 41, 41))).values["train_loss"]
        numbers[BETTER.format(net)] = float(loss[0] - loss[-1])
    numbers[WORSE] = (found := [numbers[ERROR.format("training", most, unit, net)] for net in NETS])[0] - found[1]
    return numbers


def draw(stages: Sequence[StudyRun]) -> None:
    """Error by depth and the line to what identities make, over all seeds; planes and lines of the first."""
    first, places, unit, panels = stages[0], np.array(depths(stages[0])), UNITS[stages[0].size], []
    for split, words in (("train", "training"), ("test", "test")):
        found = {net: [[1 - getattr(train(s, net, d), f"{split}_accuracy") for d in places] for s in stages] for net in NETS}
        traces = [Trace(net, places, 100 * np.array(errors)) for net, errors in found.items()]
        panels.append(Graph(f"{words} error", unit, "error (%)", traces))
    read = {net: [stage.read(f"{net}-line") for stage in stages] for net in NETS}
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
