"""The command that measures this machine: bench."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from landscape.atomic import check_target, replacing
from landscape.cli.command import (
    DataDir,
    Json,
    Overwrite,
    Quiet,
    Settings,
    Words,
    as_json,
    check_distinct,
    command,
    out_option,
    print_json,
    problem_of,
)  # fmt: skip
from landscape.declaration import Option, between
from landscape.sweep.options import DEVICE, PROBLEM, THREADS, read_examples

__all__ = ["bench"]


def _read_words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",")]


@command("landscape bench digits-mlp-3x64 --precision fp32,bf16 -o bench.json", prints=True)
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
    precision: Annotated[Sequence[str], Option("of the engine", "fp32,bf16", default="fp32", read=_read_words)] = ("fp32",),
    rounds: Annotated[int, Option("turns of each contender", "N", check=between(1, 1_000_000))] = 5,
    out: Annotated[str | None, out_option("the result for machines, as a file", "FILE.json")] = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    json: Json = False,
    words: Words = "",
) -> int:
    """Measure how fast this machine computes points, against other tools and against arithmetic."""
    from landscape import benchmark

    if out is not None:
        check_distinct(out, start)
        check_target(out, overwrite, (".json",))
    made = problem_of(problem, settings, data_dir)
    report = benchmark.run(
        made, start, examples=examples, device=device, threads=threads, precision=precision, rounds=rounds, quiet=quiet
    )
    result = {"command": words, **report.tabulate()}
    if json:  # first, for the disk may be full by now
        print_json(result)
    else:
        print(report.describe())
    if out is not None:
        with replacing(out) as path:
            path.write_text(as_json(result, indent=1) + "\n", "utf-8")
    return 0
