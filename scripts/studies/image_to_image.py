"""Study 8, from image to image: an encoder-decoder with and without skips finds membranes, at two sizes of image."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.figure import Figure

from harness import Claim, Study, StudyRun, main, told
from landscape import Problem
from landscape.zoo.outcome import measure as evaluate

NETS = {"with skips": "unet", "without skips": "unet-noskip"}
SIZES = {"training size": 1, "double size": 2}
CHANGE, FACTOR = "change of iou at double size, {}", "largest factor between the losses at both sizes along the row, {}"
MEASURES = ("basin_radius", "basin_share", "convexity", "turning_points", "minima")


def network(run: StudyRun, net: str, times: int = 1) -> tuple[str, dict[str, str | int]]:
    """A problem's name and settings; without skips the network is one channel wider, so that it has no fewer parameters."""
    width, side = run.pick(6, 8, 16) + (net == "without skips"), times * run.pick(32, 64, 256)
    examples = {} if run.size == "full" else {"examples": run.pick(48, 64, 0) if times == 1 else 16}
    settings = {"width": width, "side": side, "n_levels": run.pick(2, 3, 4), **examples}
    return f"{run.pick('cells', 'cells', 'membranes')}-{NETS[net]}", settings


def trained(run: StudyRun, net: str, times: int) -> Problem:
    """The trained network, and images so many times as wide as those it was trained on."""
    name, settings = network(run, net)
    training = run.train(name, run.pick(7, 15, 300), NETS[net], settings=settings)
    problem = run.problem(name, **network(run, net, times)[1])
    problem.model.load_state_dict(torch.load(training.end, map_location="cpu", weights_only=True)["state_dict"])
    return problem


def study_net(run: StudyRun, net: str) -> dict[str, float]:
    """Figures at both sizes, the plane around the solution at one and its middle row at the other."""
    how = {"x": run.pick((-1, 1, 7), (-1, 1, 13), (-1, 1, 51)), "examples": run.pick(16, 8, 6), "split": ["test"]}
    problems = {size: trained(run, net, times) for size, times in SIZES.items()}
    numbers: dict[str, float] = {f"parameters, {net}": sum(p.numel() for p in problems["double size"].model.parameters())}
    for size, problem in problems.items():
        found = evaluate(problem.model, problem.loss, problem.examples("test"), 4)
        numbers |= {f"test loss by pixel, {net}, {size} (nat)": found["loss"], f"test iou, {net}, {size}": found["iou"]}
        numbers[f"test pixel error, {net}, {size} (%)"] = 100 * (1 - found["accuracy"])
    plane = run.surface(f"{NETS[net]}-plane", problems["training size"], y=how["x"], **how)
    row = run.line(f"{NETS[net]}-double", problems["double size"], **how)
    known = plane.numbers
    numbers |= {f"{name.replace('_', ' ')}, {net} ({known[name].unit})": told(known[name]) for name in MEASURES if name in known}
    ratio = plane.values["test_loss"][:, plane.shape[1] // 2] / row.values["test_loss"]
    return {**numbers, FACTOR.format(net): float(np.exp(np.abs(np.log(ratio)).max()))}


def measure_seed(run: StudyRun) -> dict[str, float]:
    """The numbers of one seed."""
    numbers = {name: value for net in NETS for name, value in study_net(run, net).items()}
    iou = {(net, size): numbers[f"test iou, {net}, {size}"] for net in NETS for size in SIZES}
    gains = {f"iou gained by skips, {size}": iou["with skips", size] - iou["without skips", size] for size in SIZES}
    return {**numbers, **gains, **{CHANGE.format(net): abs(iou[net, "double size"] - iou[net, "training size"]) for net in NETS}}


def draw(runs: Sequence[StudyRun]) -> None:
    """Both planes on one scale, by loss and by intersection over union; an image and what is made of it."""
    first, planes = runs[0], [runs[0].read(f"{name}-plane") for name in NETS.values()]
    first.figure("figure", planes, "filled", names=list(NETS), log=True)
    first.figure("iou", planes, "filled", metric="test_iou", names=list(NETS))
    problems = {net: trained(first, net, 2) for net in NETS}
    images, masks = problems["with skips"].examples("test").batch(0, 1)
    seen = problems["with skips"].loss.function.normalize(images, problems["with skips"].model)
    shown = {"image": images[0, 0], "membranes": masks[0], **{net: each.model(seen)[0].argmax(0) for net, each in problems.items()}}
    figure = Figure(figsize=(10, 2.9), layout="constrained")
    for axes, (title, picture) in zip(figure.subplots(1, 4), shown.items(), strict=True):
        axes.imshow(picture, cmap="gray" if title == "image" else "gray_r", interpolation="nearest")
        axes.set(title=title, xticks=[], yticks=[])
    first.save(figure, "example")
    first.page(planes, list(NETS))


CLAIMS = (
    Claim("skips find more of the membranes", "iou gained by skips, training size", ">=", 0.05),
    Claim("so they do in images of double size, with the same weights", "iou gained by skips, double size", ">=", 0.05),
    *(Claim(f"at double size the network {net} is as good", CHANGE.format(net), "<=", 0.08) for net in NETS),
    *(Claim(f"nearly the same loss along a random line at both sizes, {net}", FACTOR.format(net), "<=", 2) for net in NETS),
)
STUDY = Study(
    "image-to-image",
    "From image to image: what skips are for",
    "An encoder-decoder with skips finds membranes that one without and with more parameters does not; both take any size of image.",
    *(measure_seed, draw, CLAIMS),
    {"test pixel error, with skips, double size (%)": "6.11 (Ronneberger et al. 2015, table 1, the challenge's own test images)"},
    "Tiny and small draw their cells; the full size trains on the middle of 24 ISBI 2012 images and tests on 6, whose masks are known. "
    "Convolutions are padded and have batch norm, images are turned and mirrored but not bent, no border weighs more. Without skips the "
    "network is one channel wider. Surfaces are of the test loss; rows at double size have the same direction and other images.",
)

if __name__ == "__main__":
    sys.exit(main(STUDY))
