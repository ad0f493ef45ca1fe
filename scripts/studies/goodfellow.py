"""Study 4, straight lines: from initialization to solution nothing is in the way, between two solutions there is."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np

from harness import Claim, Study, StudyRun, main
from harness.lines import describe_line, rises, trace_lines
from landscape.measures import barrier
from landscape.plotting import Graph, graphs

SIGMOID = {"units": "sigmoid", "optimizer": "adam", "learning_rate": 0.01, "weight_decay": 0.0}  # plain descent leaves it at chance
NETS = {  # network, settings, epochs at each size
    "softmax": ("softmax", {}, (10, 30, 20)),
    "ReLU": ("mlp-2x100", {"units": "relu"}, (20, 40, 20)),
    "maxout": ("mlp-2x100", {"units": "maxout"}, (20, 40, 20)),
    "sigmoid": ("mlp-2x100", SIGMOID, (20, 40, 20)),
    "CNN": ("cnn", {}, (10, 20, 20)),
}
BETWEEN = ("softmax", "ReLU", "CNN")  # those of which a second solution is found
TEXTS = {"train": "training text", "valid": "validation text"}
CLIMB, BARRIER = "{}: greatest climb (of the drop)", "{}: barrier between two solutions (nat)"
RISE = "ReLU: least rise at both ends of ten random directions (nat)"


def study_net(run: StudyRun, net: str) -> dict[str, float]:
    """A network for images: its line down, its line to another solution, random directions through it."""
    name, settings, epochs = f"{run.pick('digits', 'digits', 'mnist')}-{NETS[net][0]}", NETS[net][1], run.pick(*NETS[net][2])
    problem, training = run.problem(name, **settings), run.train(name, epochs, net, settings=settings)
    how = {"x": (0, 1, run.pick(13, 51, 51)), "precision": "fp64" if net == "softmax" else "fp32"}  # convex beyond rounding
    down = run.line(f"{net}-down", problem, training.start, training.end, **how)
    numbers = {f"{net}: test accuracy": training.test_accuracy, **describe_line(net, down, "train")}
    if net in BETWEEN:
        other = run.train(name, epochs, net, run.seed + 1000, settings)
        across = run.line(f"{net}-between", problem, training.end, other.end, **how)
        numbers[BARRIER.format(net)] = barrier(across).value
    if net == "ReLU":
        seeds, x = range(10 * run.seed, 10 * run.seed + 10), (-1, 1, run.pick(11, 41, 41))
        rise = rises(run.line(f"{net}-random", problem, training.end, x=x, seeds=seeds))
        numbers |= {RISE: rise.min(), "ReLU: median rise there (nat)": float(np.median(rise))}
    return numbers


def study_text(run: StudyRun) -> dict[str, float]:
    """A language model, its state carried along the text: both losses down its line, and the treebank's where that file is there."""
    name = run.pick("text-lstm-2x32", "text-lstm-2x64", "ptb-lstm-2x200")
    settings = run.pick({"vocabulary": 500, "length": 500}, {}, {})
    training = run.train(name, run.pick(4, 5, 13), "LSTM", settings=settings)
    problem = run.problem(name, **{**settings, "length": run.pick(500, 1000, 3687)})  # tokens of each training stream
    label, x = run.pick("LSTM", "LSTM", "treebank"), run.pick((0, 1, 9), (-0.25, 1.25, 25), (-0.25, 1.25, 25))
    run.line(f"{label}-down", problem, training.start, training.end, x=x, split=list(TEXTS), engine="eager")
    numbers = {f"LSTM: {split} perplexity": training.metrics[f"{split}_perplexity"] for split in (*TEXTS, "test")}
    for split, held in ((split, held) for held in ("LSTM", "treebank") for split in TEXTS if run.path(f"{held}-down").exists()):
        name = "LSTM" if held == label else "LSTM on Penn Treebank"
        numbers |= describe_line(f"{name}, {split}", run.read(f"{held}-down"), split)
    return numbers


def draw(runs: Sequence[StudyRun]) -> None:
    """The lines down, the LSTM's, those between solutions, the random ones: median and range over the seeds; a page of the first."""
    names = sorted({path.stem.rsplit("-seed", 1)[0] for path in runs[0].out.glob("*-seed*.h5")})
    lines = {name: [run.read(name) for run in runs if run.path(name).exists()] for name in names}
    along, across, nats = "α, from initialization to solution", "α, from one solution to another", "loss (nat)"
    shares = [trace_lines(net, lines[f"{net}-down"], share=True) for net in NETS]
    panels = [Graph("down to the solution", along, "loss, share of its drop", shares)]
    for name, title in {"LSTM-down": "LSTM on Python's topics", "treebank-down": "LSTM on Penn Treebank"}.items():
        texts = [trace_lines(words, lines[name], f"{split}_loss") for split, words in TEXTS.items() if lines.get(name)]
        panels += [Graph(title, along, "loss by token (nat)", texts)] if texts else []
    panels.append(Graph("between two solutions", across, nats, [trace_lines(net, lines[f"{net}-between"]) for net in BETWEEN]))
    panels.append(Graph("random directions, ten a seed", "distance (unit ‖δ‖)", nats, [trace_lines("ReLU", lines["ReLU-random"])]))
    runs[0].save(graphs(panels, n_columns=2 if len(panels) == 4 else 3), "figure")
    runs[0].page([held[0] for held in lines.values() if held], [name for name, held in lines.items() if held])


STUDY = Study(
    "goodfellow",
    "Straight lines from initialization to solution",
    "On the straight way from initialization to solution no network meets an obstacle; between two solutions there is one.",
    lambda run: {words: value for net in NETS for words, value in study_net(run, net).items()} | study_text(run),
    draw,
    [
        Claim("softmax regression: the way down is convex", "softmax: share of the line that is convex", ">=", 1),
        *(Claim(f"{net}: nothing is in the way down", CLIMB.format(net), "<=", 0.02) for net in (*NETS, "LSTM, train")),
        Claim("LSTM: nor on the validation text", CLIMB.format("LSTM, valid"), "<=", 0.05),
        Claim("softmax regression: no barrier between two solutions", BARRIER.format("softmax"), "<=", 1e-6),
        Claim("ReLU: a barrier between two solutions", BARRIER.format("ReLU"), ">=", 0.2),
        Claim("CNN: a barrier between two solutions", BARRIER.format("CNN"), ">=", 0.5),
        Claim("ReLU: random directions lead up", RISE, ">=", 0.05),
    ],
    {"LSTM: test perplexity": "115 (Zaremba et al. 2014, small, Penn Treebank)"}
    | {CLIMB.format(net): "none seen (Goodfellow, Vinyals and Saxe 2015)" for net in (*NETS, "LSTM, train")},
    "Digits of 8 × 8 pixels, Python's documentation as text; MNIST and Penn Treebank at full size, not run but for the line shown. Sigmoid "
    "units by Adam. Topics repeat each other: their validation text is the easier. The training loss is of the beginning of each stream.",
)
if __name__ == "__main__":
    sys.exit(main(STUDY))
