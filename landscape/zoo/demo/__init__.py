"""The main job on embedded data: two residual networks of one depth and one recipe, with and without shortcuts, and the loss around them.

Three pictures of each, after Goodfellow, Vinyals and Saxe (2015, section 3: the line from initialization to solution) and Li et al.
(2018, sections 4 and 5: filter-normalized random lines and planes), with the same random seeds for both networks.

What it is to show was chosen with four pilot seeds and written down before it was tested on five others (tests/zoo/test_demo_claim.py).
Without shortcuts, at this depth and by this recipe,

1. the plane is rougher: at least 0.5 more turning points per row or column, for at least 4 of 5 seeds;
2. less of it is convex: by at least 0.1 of the points, in the median over 5 seeds;
3. on the way from initialization to solution half of the drop comes later: by at least 0.2, for at least 4 of 5 seeds.

The first two hold for planes of 25 × 25 points on [-1, 1]²: other grids show other numbers. The basin is no part of the claim: a network
that is barely trained has a wide one.
"""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from landscape.atomic import made_folder
from landscape.core.surface import Surface
from landscape.parallel import Executor, detect_executor
from landscape.progress import Progress
from landscape.sweep.functions import line, surface
from landscape.zoo.demo.drawing import draw
from landscape.zoo.demo.nets import N_THREADS, Net, Settings
from landscape.zoo.demo.result import DemoResult, NetResult
from landscape.zoo.load_or_train import load_or_train
from landscape.zoo.problems import problem
from landscape.zoo.training import Training

__all__ = ["DemoResult", "NetResult", "Settings", "run"]

_N_STEPS = 9  # two trainings, three sweeps of each network, the drawing


def run(out: str | os.PathLike[str], seed: int = 0, quiet: bool = False, settings: Settings | None = None) -> DemoResult:
    """Train both networks, measure the loss around them, and draw it; what is in `out` from an earlier run is used.

    Written are the trainings in `short/` and `noshort/`, the six surfaces (`short_path.h5` …), four figures, and one page.

    Args:
        out: the folder, made where missing.
        seed: of the weights, the order of examples, the random directions and the sample of examples, for both networks.
        quiet: show no progress.
        settings: depth, recipe and grids; those of the demo by default.

    Raises:
        InputError: when the folder cannot be used, or holds a demo with another seed or other settings.
    """
    executor = detect_executor()
    talk = _Talk(quiet or not executor.is_root)
    stage = _Stage(executor.on_root(lambda: made_folder(out)), seed, settings or Settings(), talk, executor)
    nets = Net.both(stage.settings.depth)
    trainings = [executor.on_root(lambda net=net: stage.train(net)) for net in nets]  # type: ignore[misc]
    paths = [stage.measure_path(net, training) for net, training in zip(nets, trainings, strict=True)]
    rays = [stage.measure_rays(net, training) for net, training in zip(nets, trainings, strict=True)]
    planes = [stage.measure_plane(net, training) for net, training in zip(nets, trainings, strict=True)]
    first, second = (
        NetResult(net, training, path, ray, plane, stage.files(net))
        for net, training, path, ray, plane in zip(nets, trainings, paths, rays, planes, strict=True)
    )
    talk.step("the figures and the page")
    figures, page = executor.on_root(lambda: draw((first, second), stage.out, talk.quiet))
    return DemoResult(stage.out, seed, stage.settings, (first, second), figures, page)


class _Talk:
    """Says which step it is, and what became of it."""

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet
        self._n_begun = 0

    def step(self, text: str) -> None:
        self._n_begun += 1
        self.say(f"step {self._n_begun} of {_N_STEPS}: {text}")

    def say(self, text: str) -> None:
        Progress(self.quiet).note(text)


@dataclass(frozen=True)
class _Stage:
    """Where the demo plays: each method is one step of it."""

    out: Path
    seed: int
    settings: Settings
    talk: _Talk
    executor: Executor

    def files(self, net: Net) -> dict[str, Path]:
        return {name: self.out / f"{net.name}_{name}.h5" for name in ("path", "rays", "plane")}

    def train(self, net: Net) -> Training:
        self.talk.step(f"training {net.problem}, {net.title}")
        with Progress(self.talk.quiet) as progress:
            epochs = self.settings.epochs
            training, kept = load_or_train(
                net.problem, self.out / net.name, epochs, self.seed, progress.follow, threads=N_THREADS, every=epochs
            )  # the ends will do
        if kept:
            self.talk.say(f"  kept from an earlier run: {training.end}")
        if training.failure:
            self.talk.say(f"  {net.title}: {training.failure}")
        return training

    def measure_path(self, net: Net, training: Training) -> Surface:
        self.talk.step(f"the line from initialization to solution, {net.title}")
        how = self._how(net, "path", ("train", "test"))
        return self._report(line(problem(net.problem), training.start, training.end, x=self.settings.path, seed=self.seed, **how))

    def measure_rays(self, net: Net, training: Training) -> Surface:
        seeds = range(self.seed, self.seed + self.settings.n_draws)
        self.talk.step(f"lines along {len(seeds)} random directions, {net.title}")
        how = self._how(net, "rays")
        return self._report(line(problem(net.problem), training.end, x=self.settings.ray, seed=self.seed, seeds=seeds, **how))

    def measure_plane(self, net: Net, training: Training) -> Surface:
        self.talk.step(f"the plane of two random directions, {net.title}")
        axis, how = self.settings.plane, self._how(net, "plane")
        return self._report(surface(problem(net.problem), training.end, x=axis, y=axis, seed=self.seed, **how))

    def _how(self, net: Net, name: str, split: tuple[str, ...] = ("train",)) -> dict[str, Any]:
        return {
            "to": self.files(net)[name],
            "split": split,
            "examples": self.settings.n_examples,
            "batch_size": self.settings.n_examples,  # one batch: nets as small as these lose most of their time between batches
            "threads": N_THREADS,
            "quiet": self.talk.quiet,
            "command": shlex.join(["landscape", "demo", "--out", str(self.out), "--seed", str(self.seed)]),
        }

    def _report(self, measured: Surface) -> Surface:
        n_new = int(measured.runs[-1].get("points", 0))
        if n_new == 0:
            self.talk.say("  complete from an earlier run")
        elif len(measured.runs) > 1:
            self.talk.say(f"  resumed: {n_new} of {measured.grid.n_points} points were left")
        return measured
