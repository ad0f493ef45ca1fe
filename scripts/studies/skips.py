"""Study 2, skips: what shortcuts do to the loss around residual networks, by depth (Li et al. 2018, section 5 and figure 5)."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from harness import Claim, Study, StudyRun, main
from harness.planes import CONVEX, MINIMA, SHARE, TURNING, plane_numbers
from landscape.plotting import Graph, Trace, graphs

PLANE = (SHARE, CONVEX, TURNING, MINIMA)
DEPTHS = {"tiny": (20,), "small": (20, 32, 56), "full": (20, 56, 110)}
NETS = {"with shortcuts": "", "without": "-noshort"}
ROW, ERROR = "{}, {} layers, {}", "test error (%)"
FLATTER, CURVED = "deepest, convex share with above without (% points)", "without, convex share shallowest above deepest (% points)"
ROUGHER, WIDER = "deepest, turning points without above with", "deepest, share within 1 nat with / without"
WORSE, HARM = "deepest, test error without above with (% points)", "with, test error deepest above shallowest (% points)"


def name_of(run: StudyRun, depth: int, net: str) -> str:
    """The problem, and its plane."""
    return f"{run.pick('digits-', 'digits-', '')}resnet{depth}{NETS[net]}"


def measure_net(run: StudyRun, depth: int, net: str) -> dict[str, float]:
    """The numbers of one network: errors, and those of a random plane around it; of the authors' own weights where there are any."""
    name, n, some = name_of(run, depth, net), run.pick(9, 15, 51), run.pick(150, 200, 5000)
    end, problem = (run.data_dir or Path()) / "checkpoints" / "li2018" / f"{name.replace('-', '_')}.t7", run.problem(name)
    if run.size == "full" and end.exists():
        right = {ERROR: run.line(f"{name}-test", problem, end, x=(0, 0, 1), split="test").values["test_accuracy"][0]}
    else:
        training = run.train(name, run.pick(8, 20, 300))
        end, right = training.end, {ERROR: training.test_accuracy, "training error (%)": training.train_accuracy}
    plane = run.surface(name, problem, end, x=(-1, 1, n), y=(-1, 1, n), examples=some, batch_size=min(some, 500))
    errors = {words: 100 * (1 - accuracy) for words, accuracy in right.items()}
    return {**errors, "loss at the origin (nat)": plane.values["train_loss"][n // 2, n // 2], **plane_numbers(plane)}


def measure(run: StudyRun) -> dict[str, float]:
    """The numbers of one seed."""
    nets = {(depth, net): measure_net(run, depth, net) for depth in DEPTHS[run.size] for net in NETS}
    numbers = {ROW.format(words, *key): value for key, found in nets.items() for words, value in found.items()}
    least, most, (short, noshort) = DEPTHS[run.size][0], DEPTHS[run.size][-1], NETS
    deep, plain = nets[most, short], nets[most, noshort]
    numbers |= {FLATTER: deep[CONVEX] - plain[CONVEX], ROUGHER: plain[TURNING] - deep[TURNING], WORSE: plain[ERROR] - deep[ERROR]}
    numbers[WIDER] = deep[SHARE] / plain[SHARE] if plain[SHARE] else np.inf
    if least < most:
        numbers |= {CURVED: nets[least, noshort][CONVEX] - plain[CONVEX], HARM: deep[ERROR] - nets[least, short][ERROR]}
    return numbers


def draw(runs: Sequence[StudyRun]) -> None:
    """The planes of the first seed on one scale, and the numbers by depth over all seeds."""
    first, places = runs[0], np.array(DEPTHS[runs[0].size])
    planes = {f"{depth} layers, {net}": first.read(name_of(first, depth, net)) for net in NETS for depth in places}
    for name, kind in (("figure", "filled"), ("relief", "relief")):
        first.figure(name, list(planes.values()), kind, names=list(planes), log=True)
    found = {net: [[plane_numbers(run.read(name_of(run, d, net))) for d in places] for run in runs] for net in NETS}
    drawn = {words: {net: np.array([[d[words] for d in row] for row in found[net]]) for net in NETS} for words in PLANE}
    lines = {words: [Trace(net, places, y, dots=len(places) == 1) for net, y in nets.items()] for words, nets in drawn.items()}
    panels = [Graph(words, "layers", "", lines[words]) for words, nets in drawn.items() if np.isfinite(list(nets.values())).all()]
    if panels:  # what is withheld of one network is not drawn: what is left of the others would be no fair picture
        first.save(graphs(panels, n_columns=min(2, len(panels))), "numbers")
    first.page(list(planes.values()), list(planes))


ONE, SHALLOW = {"tiny": "one depth alone is measured"}, {"tiny": "with 20 layers shortcuts make less of a difference"}
BARELY = {"small": "without shortcuts 56 layers are barely trained in 20 epochs, so that no deep basin is there to be compared"}
LI = {20: (7.37, 8.18), 56: (5.89, 13.31), 110: (5.79, 16.44)}  # Li et al. 2018, CIFAR-10
PUBLISHED = {ROW.format(ERROR, depth, net): f"{both[i]} (CIFAR-10)" for depth, both in LI.items() for i, net in enumerate(NETS)}
PUBLISHED[ROW.format(SHARE, 56, "with shortcuts")] = "18.5 (†)"  # results/li2018
STUDY = Study(
    "skips",
    "Skips: the loss around networks with and without shortcuts",
    "Without shortcuts the loss around a residual network gets more rugged and less convex with depth, with them much less so.",
    measure,
    draw,
    (
        Claim("around the deepest network less is convex without shortcuts", FLATTER, ">=", 10),
        Claim("and the loss goes up and down more often", ROUGHER, ">=", 0.3, SHALLOW),
        Claim("without shortcuts the deepest has the larger test error", WORSE, ">=", 3, SHALLOW),
        Claim("without shortcuts less is convex around the deepest than around the shallowest", CURVED, ">=", 10, ONE),
        Claim("with shortcuts depth does little harm to the test error", HARM, "<=", 5, ONE),
        Claim("the basin of the deepest is wider with shortcuts", WIDER, ">=", 3, SHALLOW | BARELY),
    ),
    PUBLISHED,
    "Published are the test errors of Li et al. 2018 on CIFAR-10; † is measured around the authors' weights on CIFAR-10, 51 × 51 points, "
    "500 images ([li2018](../li2018/README.md)). Ours are networks of width 8 on digits of 8 × 8 pixels, 20 epochs, 15 × 15 points (other "
    "grids, other turning points and minima). Without shortcuts 56 layers are barely trained by then, as the training error says, so that "
    "the basin cannot be compared. Full size: CIFAR-10, 300 epochs, 56 layers from the authors' weights where there are any; not run.",
)

if __name__ == "__main__":
    sys.exit(main(STUDY))
