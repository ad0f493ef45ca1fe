"""The command that measures this machine: bench."""

from __future__ import annotations

import argparse

from landscape.cli.command import PROBLEM_HELP, Command, add_settings, add_verbosity, print_json, problem_of
from landscape.cli.values import examples
from landscape.evaluate import MODES, PRECISIONS

__all__ = ["COMMANDS"]


def _fill_bench(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "problem", metavar="PROBLEM", nargs="?", default="digits-mlp-3x64", help=f"{PROBLEM_HELP} (default: digits-mlp-3x64)"
    )
    parser.add_argument("start", metavar="CKPT", nargs="?", help="checkpoint to measure around (default: untrained weights)")
    add_settings(parser)
    parser.add_argument("--examples", type=examples, metavar="N|first:N", help="examples at each point (default: 2000 at most)")
    parser.add_argument("--device", default="auto", metavar="auto|cpu|cuda[:i]", help="where to compute (default: auto)")
    parser.add_argument("--threads", type=int, metavar="N", help="CPU threads (default: all cores)")
    parser.add_argument("--precision", choices=PRECISIONS, help="of the engine (default: the model's own, fp32 or fp64)")
    parser.add_argument("--engine", choices=MODES, default="eager", help="way of computing (default: eager)")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="turns of each side (default: 5)")
    add_verbosity(parser)


def _bench(options: argparse.Namespace) -> int:
    from landscape import benchmark

    report = benchmark.bench(
        problem_of(options), options.start, examples=options.examples, device=options.device, threads=options.threads,
        precision=options.precision, engine=options.engine, rounds=options.rounds, quiet=options.quiet,
    )  # fmt: skip
    if options.json:
        print_json({"command": options.words, **report.tabulate()})
    else:
        print(report.describe())
    return 0


COMMANDS = (
    Command(
        "bench",
        "measure how many points a second this machine computes, beside a plain loop",
        "landscape bench digits-mlp-3x64 --examples 500",
        _fill_bench,
        _bench,
        prints=True,
    ),
)
