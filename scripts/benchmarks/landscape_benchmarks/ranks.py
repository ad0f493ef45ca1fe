"""The schedule of ranks: the parts of results/scaling, each a function of the script's options, and their figure."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

import landscape
from landscape.atomic import replacing
from landscape.errors import LandscapeError
from landscape.parallel import Schedule
from landscape_benchmarks import answers, fake_workload, simulation

__all__ = ["PARTS"]

PATTERNS = {"schedule": simulation.simulate, "split": simulation.split, "lock-step": simulation.lock_step}
SIDES = {10: 51, 100: 101, 1000: 251, 10_000: 1001}  # ranks -> points along each axis, about what so many ranks are started for
BIN = Path(sys.executable).parent


def _answers(options: argparse.Namespace) -> dict[str, Any]:
    ways, loads = ("thread", "between", "counter"), ("large", "small")
    return {"milliseconds": {way: {load: answers.run(way, load) for load in loads} for way in ways}}


def _sleeping(options: argparse.Namespace) -> dict[str, Any]:
    """Every pattern with the same costs; each is held against a free queue with the seconds that its items really took."""
    costs, found = simulation.log_normal(options.items, mean=0.05), []
    for n_ranks in (2, 4, 8):
        for pattern, simulated in PATTERNS.items():
            real = fake_workload.run(costs, n_ranks, pattern)
            took = np.array(real["costs"])
            best = simulation.zero_cost(took, n_ranks).makespan
            found.append(
                {
                    "n_ranks": n_ranks, "pattern": pattern, "seconds": real["makespan"], "simulated": simulated(took, n_ranks).makespan,
                    "zero_cost": best, "ideal": simulation.ideal(took, n_ranks), "of_zero_cost": best / real["makespan"],
                    "efficiency": float(took.sum()) / n_ranks / real["makespan"], "n_items": real["n_items"],
                }
            )  # fmt: skip
    even = fake_workload.run(np.full(options.items, 0.05), 4, "schedule")["n_items"]
    return {"items": options.items, "mean_cost": 0.05, "sigma": 1.0, "runs": found, "even_costs_n_items": even}


def _simulation(options: argparse.Namespace) -> dict[str, Any]:
    found = []
    for n_ranks, side in SIDES.items():
        for mean in (0.01, 0.1, 1.0, 10.0):
            costs = simulation.log_normal(side * side, mean)
            ours, best = simulation.simulate(costs, n_ranks), simulation.zero_cost(costs, n_ranks)
            others = {
                name: simulated(costs, n_ranks).efficiency(costs) for name, simulated in PATTERNS.items() if name != "schedule"
            }
            found.append(
                {
                    "n_ranks": n_ranks, "points": side * side, "mean_cost": mean, "hand_out": Schedule(side * side, n_ranks, mean).size(),
                    "seconds": ours.makespan, "of_zero_cost": best.makespan / ours.makespan, "efficiency": ours.efficiency(costs),
                    "of_ideal": simulation.ideal(costs, n_ranks) / ours.makespan, "zero_cost_efficiency": best.efficiency(costs),
                    **{f"{name}_efficiency": value for name, value in others.items()},
                }
            )  # fmt: skip
    assumed = simulation.Answers()
    return {"delay": assumed.delay, "service": assumed.service, "sigma": 1.0, "runs": found}


def _network(options: argparse.Namespace) -> dict[str, Any]:
    """One rank, two ranks, and two processes that know nothing of each other, in turns: the last is what the machine allows."""
    with TemporaryDirectory() as folder:
        start = [str(BIN / "landscape"), "train", "digits-resnet26", "--epochs", "1", "--out", folder, "--quiet"]
        subprocess.run(start, check=True, capture_output=True)
        checkpoint = str(Path(folder) / "epoch_001.pt")
        turns = [
            {"one": _sweep(folder, checkpoint, 1), "two": _sweep(folder, checkpoint, 2), "apart": _apart(folder, checkpoint)}
            for _ in range(options.rounds or 5)
        ]
        rates = {name: [turn[name]["points_per_second"] for turn in turns] for name in ("one", "two", "apart")}
        typical = {name: float(np.median(values)) for name, values in rates.items()}
        run = turns[-1]["two"]
    return {
        "problem": "digits-resnet26, 9 × 9 points, eager, one thread a rank", "points_per_second": rates,
        "speed_up": typical["two"] / typical["one"], "speed_up_of_two_apart": typical["apart"] / typical["one"],
        "last_run": {name: run[name] for name in run if name.startswith(("rank_", "share_", "parallel_"))},
    }  # fmt: skip


READING = """
import json, sys, time, torch
from landscape.parallel import detect_executor
executor = detect_executor()
seconds = {}
for way, make in (("read by all", executor.on_all_ranks), ("read by one", executor.on_root)) * 3:
    executor.gather(None)
    began = time.perf_counter()
    make(lambda: torch.load(sys.argv[1], weights_only=True))
    executor.gather(None)
    seconds[way] = min(seconds.get(way, 1e9), time.perf_counter() - began)
if executor.is_root:
    print(json.dumps(seconds))
"""


def _files(options: argparse.Namespace) -> dict[str, Any]:
    """The best of three turns, a file of 100 MB in the memory of the file system."""
    found = []
    with TemporaryDirectory() as folder:
        checkpoint = Path(folder) / "net.pt"
        torch.save({str(k): torch.randn(2_500_000) for k in range(10)}, checkpoint)
        for n_ranks in (2, 4, 8):
            command = [str(BIN / "mpiexec"), "-n", str(n_ranks), sys.executable, "-c", READING, str(checkpoint)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found.append({"n_ranks": n_ranks, "seconds": json.loads(done.stdout)})
    return {"megabytes": 100, "runs": found}


def _command(folder: str, checkpoint: str, name: str) -> list[str]:
    words = f"digits-resnet26 {checkpoint} --x -1:1:9 --y -1:1:9 --threads 1 --engine eager --quiet --overwrite"
    return [str(BIN / "landscape"), "surface", *words.split(), "-o", str(Path(folder) / f"{name}.h5")]


def _sweep(folder: str, checkpoint: str, n_ranks: int) -> dict[str, Any]:
    launcher = [str(BIN / "mpiexec"), "-n", str(n_ranks)] if n_ranks > 1 else []
    subprocess.run([*launcher, *_command(folder, checkpoint, "s")], check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    return dict(landscape.read(Path(folder) / "s.h5").runs[-1])


def _apart(folder: str, checkpoint: str) -> dict[str, Any]:
    """Two processes at once, each with all the points; what they do together in a second."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    jobs = [subprocess.Popen(_command(folder, checkpoint, name), env=environment) for name in ("a", "b")]
    if any(job.wait() for job in jobs):
        raise LandscapeError("a process failed")
    rates = [landscape.read(Path(folder) / f"{name}.h5").runs[-1]["points_per_second"] for name in ("a", "b")]
    return {"points_per_second": sum(rates)}


def _figure(options: argparse.Namespace) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    parts = {name: json.loads((options.out / f"{name}.json").read_text("utf-8")) for name in ("sleeping", "simulation")}
    words = {"schedule": "handed out as ranks ask", "split": "every n-th point", "lock-step": "lock-step"}
    for number, (pattern, word) in enumerate(words.items()):
        runs = [run for run in parts["sleeping"]["runs"] if run["pattern"] == pattern]
        ranks = [run["n_ranks"] for run in runs]
        left.plot(ranks, [run["efficiency"] for run in runs], "o-", color=f"C{number}", label=word)
        left.plot(ranks, [run["ideal"] / run["simulated"] for run in runs], "x", color=f"C{number}")
        name = "efficiency" if pattern == "schedule" else f"{pattern}_efficiency"
        runs = [run for run in parts["simulation"]["runs"] if run["mean_cost"] == 1.0]
        right.plot([run["n_ranks"] for run in runs], [run[name] for run in runs], "o-", color=f"C{number}", label=word)
    right.plot(
        [run["n_ranks"] for run in runs], [run["zero_cost_efficiency"] for run in runs], "k:", label="a queue that costs nothing"
    )
    best = [run["efficiency"] / run["of_ideal"] for run in runs]
    right.plot([run["n_ranks"] for run in runs], best, "k--", linewidth=0.8, label="the best there can be (the longest point)")
    left.set(title="real ranks that sleep (× simulated)", xscale="log", xticks=ranks, xticklabels=ranks)
    left.minorticks_off()
    right.set(title="simulated, points of 1 s in the mean", xscale="log")
    for axes in (left, right):
        axes.set(xlabel="ranks", ylabel="share of the ranks' time spent on points", ylim=(0, 1.2))
        axes.grid(alpha=0.3)
    left.legend(fontsize=8, loc="lower left")
    right.legend(*([entries[-2:] for entries in right.get_legend_handles_labels()]), fontsize=8, loc="upper left")
    figure.suptitle("Costs of the points: log-normal, σ = 1", fontsize=10)
    with replacing(options.out / "figure.png") as path:
        figure.savefig(path, dpi=110, format="png", metadata={"Software": None})


PARTS: dict[str, Callable[[argparse.Namespace], dict[str, Any] | None]] = {
    "answers": _answers,
    "sleeping": _sleeping,
    "simulation": _simulation,
    "network": _network,
    "files": _files,
    "ranks-figure": _figure,
}
