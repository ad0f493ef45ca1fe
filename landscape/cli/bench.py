"""The command that measures this machine: bench."""

from __future__ import annotations

from typing import Annotated

from landscape.cli.command import DataDir, Json, Quiet, Settings, Words, command, print_json, problem_of
from landscape.core.choices import MODES, PRECISIONS
from landscape.declaration import Option, between
from landscape.sweep.options import DEVICE, PROBLEM, THREADS, read_examples

__all__ = ["bench"]


@command("landscape bench digits-mlp-3x64 --examples 500", prints=True)
def bench(
    problem: Annotated[str, PROBLEM] = "digits-mlp-3x64",
    start: Annotated[str | None, Option("checkpoint to measure around", "CKPT", default="untrained weights")] = None,
    *,
    settings: Settings,
    data_dir: DataDir = None,
    examples: Annotated[
        int | str | None, Option("examples at each point", "N|first:N", default="2000 at most", read=read_examples)
    ] = None,
    device: Annotated[str, DEVICE] = "auto",
    threads: Annotated[int | None, THREADS] = None,
    precision: Annotated[str | None, Option("of the engine", choices=PRECISIONS, default="the model's")] = None,
    engine: Annotated[str, Option("way of computing", choices=MODES)] = "eager",
    rounds: Annotated[int, Option("turns of each side", "N", check=between(1, 1_000_000))] = 5,
    quiet: Quiet = False,
    json: Json = False,
    words: Words = "",
) -> int:
    """Measure how many points a second this machine computes, beside a plain loop."""
    from landscape import benchmark

    report = benchmark.bench(
        problem_of(problem, settings, data_dir), start, examples=examples, device=device, threads=threads,
        precision=precision, engine=engine, rounds=rounds, quiet=quiet,
    )  # fmt: skip
    if json:
        print_json({"command": words, **report.tabulate()})
    else:
        print(report.describe())
    return 0
