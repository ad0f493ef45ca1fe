"""The engine's speed: the parts of results/benchmarks, each a function of the script's options, and their figure."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

import landscape
from landscape.atomic import replacing
from landscape.problem import Problem
from landscape.sweep.environment import environment_of
from landscape.zoo.problems import problem
from landscape_benchmarks import memory
from landscape_benchmarks.case import pose
from landscape_benchmarks.comparison import compare
from landscape_benchmarks.original import Original
from landscape_benchmarks.roofline import arithmetic
from landscape_benchmarks.scaling import scale

__all__ = ["NEED_DATA", "PARTS", "suffix"]

PERCEPTRON = "digits-mlp-3x64"
N_POPULATION = 10_000
TOLERANCE = 0.02
CHECKED = (("digits-mlp-3x64", None), ("digits-resnet26", 300))  # problems and examples at each point


def _mlp(options: argparse.Namespace) -> dict[str, Any]:
    return _race(options, problem(PERCEPTRON), None, None, "fp32", options.rounds or 5)


def _residual(precision: str) -> Callable[[argparse.Namespace], dict[str, Any]]:
    def measure(options: argparse.Namespace) -> dict[str, Any]:
        made = problem("resnet56", options.data_dir)
        return _race(options, made, options.checkpoint, options.examples, precision, options.rounds or 3)

    return measure


def _race(
    options: argparse.Namespace, made: Problem, start: str | None, examples: int | None, precision: str, rounds: int
) -> dict[str, Any]:
    report = compare(
        made, start, examples=examples, device=options.device, threads=options.threads, precision=[precision], rounds=rounds
    )
    print(report.describe(), flush=True)
    return report.tabulate()


def _tolerance(precision: str) -> Callable[[argparse.Namespace], dict[str, Any]]:
    """A plane to a tolerance, against the original's pattern on one point before it and one after it, scaled to all points."""

    def measure(options: argparse.Namespace) -> dict[str, Any]:
        whole = problem("resnet56", options.data_dir)
        images, labels = whole.examples("train").tensors
        made = Problem(whole.model, whole.loss.function, {"train": (images[:N_POPULATION], labels[:N_POPULATION])}, name="resnet56")
        device = torch.device(options.device)
        environment = environment_of(device)
        original = Original(pose(made, options.checkpoint, None, device, 2))

        def measure_original() -> float:
            with arithmetic("fp32"):
                return _timed(lambda: original(1))

        seconds_original = [measure_original()]
        axis = (-1, 1, options.side)
        began = time.perf_counter()
        surface = landscape.surface(
            made, options.checkpoint, x=axis, y=axis, tolerance=TOLERANCE, precision=precision, device=options.device,
            threads=options.threads,
        )  # fmt: skip
        total = time.perf_counter() - began
        seconds_original.append(measure_original())
        n_points = surface.grid.n_points
        scaled = n_points * float(np.mean(seconds_original))
        assert surface.seconds is not None  # every sweep of this version has them
        in_points = float(np.nansum(surface.seconds))
        used = surface.examples["train"]
        result = {
            "problem": "resnet56", "weights": Path(options.checkpoint).name if options.checkpoint else "untrained", "precision": precision,
            "tolerance": surface.attributes["tolerance"], "population": int(surface.data["train"]["size"]), "n_points": n_points, "environment": environment,
            "seconds_total": total, "seconds_in_points": in_points, "seconds_original_by_point": seconds_original,
            "seconds_original_scaled": scaled, "times_the_original": scaled / total, "times_the_original_in_points": scaled / in_points,
            "examples": {"mean": float(used.mean()), "min": int(used.min()), "max": int(used.max())},
            "checks": {key: value for key, value in surface.checks.items() if isinstance(value, int | float | str)},
            "run": {key: value for key, value in surface.runs[-1].items() if key not in ("host", "command")},
        }  # fmt: skip
        print(
            f"{n_points} points in {total:.0f} s ({in_points:.0f} s in points), {used.mean():,.0f} of {surface.data['train']['size']:,} images on average; "
            f"the original scaled: {scaled:.0f} s, {scaled / total:.1f} times as long",
            flush=True,
        )
        return result

    return measure


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _scaling(options: argparse.Namespace) -> dict[str, Any]:
    device = torch.device(options.device)
    rounds = options.rounds or 5
    curves = [scale(problem(PERCEPTRON), None, (1397, 22, 44, 88, 175, 350, 700), (1, 2, 4, 8, 16, 32, 64), device, rounds=rounds)]
    if options.data_dir:
        made = problem("resnet56", options.data_dir)
        curves.append(
            scale(made, options.checkpoint, (500, 125, 250, 1000, 2000), (1, 2, 4, 8), device, rounds=max(1, rounds // 2))
        )
    for curve in curves:
        share = curve.fixed / (curve.fixed + 1000 * (curve.seconds_by_examples[0] - curve.fixed) / curve.examples[0])
        print(
            f"{curve.problem}: a point costs {1e3 * curve.fixed:.3g} ms beside its examples, {share:.1%} at 1,000 examples",
            flush=True,
        )
    return {"curves": [curve.tabulate() for curve in curves]}


def _self_check(options: argparse.Namespace) -> dict[str, Any]:
    """What the self-check takes of a sweep of 625 points in fp32, each the median of a few runs; wanted: 5 %, or a second."""
    found = []
    for name, examples in CHECKED:
        runs = []
        for _ in range(options.rounds or 3):
            surface = landscape.surface(
                problem(name), x=(-1, 1, 25), y=(-1, 1, 25), examples=examples, device=options.device, quiet=True
            )
            run = surface.runs[-1]
            runs.append({"seconds": run["seconds"], "check_seconds": run["check_seconds"]})
        share = float(np.median([run["check_seconds"] / run["seconds"] for run in runs]))
        seconds = float(np.median([run["check_seconds"] for run in runs]))
        print(f"{name}: the self-check takes {seconds:.2f} s, {share:.1%} of a sweep of 625 points", flush=True)
        found.append({"problem": name, "examples": examples, "share": share, "check_seconds": seconds, "runs": runs})
    return {"sweeps": found}


def _memory(options: argparse.Namespace) -> dict[str, Any]:
    runs = [memory.measure(millions, offload) for millions in (1, 25, 120) for offload in (False, True)]
    for run in runs:
        print(
            f"{run['parameters'] / 1e6:.3g} M parameters{', offloaded' if run['offload'] else ''}: {run['peak'] / 2**20:.0f} MiB, "
            f"{(run['peak'] - run['before']) / 2**20:.0f} of them the run's, {run['copies']:.1f} copies of the model",
            flush=True,
        )
    return {"runs": runs}


def _figure(options: argparse.Namespace) -> None:
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    ending = suffix(options)
    canvas = plt.figure(figsize=(12, 6.2), layout="constrained")
    left, right = canvas.subfigures(1, 2, width_ratios=[3, 2])  # type: ignore[misc]  # an array of two
    bars = [_read(options.out / f"{part}{ending}.json") for part in ("mlp", "resnet56-fp32", "resnet56-bf16")]
    _draw_ratios(left, [each for each in bars if each])
    curves = (_read(options.out / f"scaling{ending}.json") or {"curves": []})["curves"]
    upper, lower = right.subplots(2, 1)
    _draw_growth(upper, curves, "examples", "seconds_by_examples", "seconds a point")
    _draw_growth(lower, curves, "points", "seconds_by_points", "seconds in all")
    with replacing(options.out / f"figure{ending}.png") as path:
        canvas.savefig(path, format="png", dpi=150)
    plt.close(canvas)


def _draw_ratios(part: Any, reports: list[dict[str, Any]]) -> None:
    """Bars of how many times as fast as the original, with the smallest and largest ratio of the rounds."""
    if not reports:
        return
    heights = [len(report["results"]) + 1.5 for report in reports]
    for axes, report in zip(part.subplots(len(reports), 1, height_ratios=heights, squeeze=False)[:, 0], reports, strict=True):
        names = [result["name"] for result in report["results"]]
        ratios = [result["times_as_fast_as"]["original"] for result in report["results"]]
        middle = np.array([ratio["median"] for ratio in ratios])
        spread = np.abs(np.array([[ratio["min"] for ratio in ratios], [ratio["max"] for ratio in ratios]]) - middle)
        colors = ["tab:blue" if name.startswith("engine") else "0.6" for name in names]
        axes.barh(names, middle, xerr=spread, color=colors, error_kw={"elinewidth": 1, "capsize": 2})
        for row, value in enumerate(middle):
            axes.annotate(
                f"{value:.3g} ×", (value + spread[1, row], row), xytext=(4, 0), textcoords="offset points", va="center", fontsize=8
            )
        axes.set_xscale("log")
        axes.set_xlim(0.5 * min(1.0, (middle - spread[0]).min()), 4 * (middle + spread[1]).max())
        axes.invert_yaxis()
        axes.tick_params(labelsize=8)
        machine = report["environment"]
        axes.set_title(
            f"{report['problem']}, {report['n_examples']:,} examples a point; {machine['processor']}, {machine['threads']} threads",
            fontsize=9, loc="left",
        )  # fmt: skip
    axes.set_xlabel("times as fast as the original's pattern (median of rounds; smallest and largest)", fontsize=9)


def _draw_growth(axes: Any, curves: list[dict[str, Any]], what: str, key: str, label: str) -> None:
    """Time against a count, with a line through the origin that fits the largest."""
    for number, curve in enumerate(curves):
        counts, seconds = np.array(curve[what]), np.array(curve[key])
        order = np.argsort(counts)
        counts, seconds = counts[order], seconds[order]
        axes.plot(counts, seconds, "o", color=f"C{number}", label=f"{curve['problem']}, {curve['mode']} {curve['precision']}")
        axes.plot(counts, counts * seconds[-1] / counts[-1], color=f"C{number}", linewidth=0.8)
    axes.set(xscale="log", yscale="log", xlabel=what, ylabel=label)
    axes.grid(alpha=0.3)
    if curves:
        axes.legend(fontsize=8, loc="upper left")
        axes.set_title(f"time against {what}; lines: proportional", fontsize=9, loc="left")


def suffix(options: argparse.Namespace) -> str:
    """What is appended to the names of files measured on another device than the CPU."""
    return "" if options.device == "cpu" else f"-{options.device.partition(':')[0]}"


def _read(path: Path) -> dict[str, Any] | None:
    return json.loads(path.read_text("utf-8")) if path.exists() else None


PARTS: dict[str, Callable[[argparse.Namespace], dict[str, Any] | None]] = {
    "mlp": _mlp,
    "self-check": _self_check,
    "resnet56-fp32": _residual("fp32"),
    "resnet56-bf16": _residual("bf16"),
    "tolerance-fp32": _tolerance("fp32"),
    "tolerance-bf16": _tolerance("bf16"),
    "scaling": _scaling,
    "memory": _memory,
    "figure": _figure,
}
NEED_DATA = {"resnet56-fp32", "resnet56-bf16", "tolerance-fp32", "tolerance-bf16"}
