"""The command that measures this machine: bench."""

from __future__ import annotations

import argparse

from landscape.atomic import check_target, replacing
from landscape.cli.command import (
    PROBLEM_HELP,
    Command,
    add_output,
    add_settings,
    add_verbosity,
    as_json,
    check_distinct,
    print_json,
    problem_of,
)
from landscape.cli.values import examples, words

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
    parser.add_argument(
        "--precision",
        type=words,
        default=["fp32"],
        metavar="fp32,bf16",
        help="of the engine (default: fp32)",
    )
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="turns of each contender (default: 5)")
    add_output(parser, "FILE.json", "the result for machines, as a file", required=False)
    add_verbosity(parser)


def _bench(options: argparse.Namespace) -> int:
    from landscape import benchmark

    if options.out is not None:
        check_distinct(options.out, options.start)
        check_target(options.out, options.overwrite, (".json",))
    report = benchmark.run(
        problem_of(options), options.start, examples=options.examples, device=options.device, threads=options.threads,
        precision=options.precision, rounds=options.rounds, quiet=options.quiet,
    )  # fmt: skip
    result = {"command": options.words, **report.tabulate()}
    if options.json:  # first, for the disk may be full by now
        print_json(result)
    else:
        print(report.describe())
    if options.out is not None:
        with replacing(options.out) as path:
            path.write_text(as_json(result, indent=1) + "\n", "utf-8")
    return 0


COMMANDS = (
    Command(
        "bench",
        "measure how fast this machine computes points, against other tools and against arithmetic",
        "landscape bench digits-mlp-3x64 --precision fp32,bf16 -o bench.json",
        _fill_bench,
        _bench,
        prints=True,
    ),
)
