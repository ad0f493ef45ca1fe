"""The commands of the zoo: demo, problems, train."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from landscape.cli.command import Command, add_problem, add_talk, print_json
from landscape.executors import launched

__all__ = ["COMMANDS"]


def _fill_demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", metavar="DIR", default="demo", help="folder for files, figures and the page (default: demo)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of training and directions (default: 0)")
    add_talk(parser)


def _demo(options: argparse.Namespace) -> int:
    from landscape.zoo import demo

    result = demo.run(Path(options.out), seed=options.seed, quiet=options.quiet)
    if launched().is_root:
        print(json.dumps(result.tabulate()) if options.json else result.describe())
    return 0 if result.passed else 1


def _fill_problems(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="the list for machines, on standard output")


def _problems(options: argparse.Namespace) -> int:
    from landscape.zoo.problems import problems

    entries = problems()
    if options.json:
        print_json([{"name": e.name, "description": e.description, "source": e.source} for e in entries])
        return 0
    width = max(len(entry.name) for entry in entries)
    for entry in entries:
        print(f"{entry.name:<{width}}  {entry.description}  [{entry.source}]")
    return 0


def _fill_train(parser: argparse.ArgumentParser) -> None:
    add_problem(parser)
    parser.add_argument("--out", metavar="DIR", help="folder for checkpoints and history (default: the problem's name)")
    parser.add_argument(
        "--epochs", type=int, metavar="N", help="passes through the training examples (default: the problem's recipe)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of initial weights and order (default: 0)")
    parser.add_argument("--device", default="auto", metavar="auto|cpu|cuda[:i]", help="where to compute (default: auto)")
    parser.add_argument("--threads", type=int, metavar="N", help="CPU threads (default: all cores)")
    parser.add_argument("--overwrite", action="store_true", help="replace a training that is there")
    add_talk(parser)


def _train(options: argparse.Namespace) -> int:
    import torch

    from landscape import zoo
    from landscape.progress import Progress
    from landscape.sweep.options import check_threads

    if options.threads is not None:
        torch.set_num_threads(check_threads(options.threads))
    out = options.out or options.problem
    with Progress(options.quiet) as progress:
        result = zoo.train(
            options.problem, out, options.epochs, options.seed, options.data_dir, options.device, dict(options.settings),
            overwrite=options.overwrite, progress=progress.follow,
        )  # fmt: skip
    if options.json:
        print_json(vars(result))
    else:
        print(f"{result.problem}: train loss {result.train_loss:.4g}, accuracy {result.train_accuracy:.2%}; ", end="")
        print(f"test loss {result.test_loss:.4g}, accuracy {result.test_accuracy:.2%}")
        print(f"start   {result.start}\nend     {result.end}\nhistory {result.history}")
        if result.failure:
            print(result.failure)
    return 1 if result.failure else 0


COMMANDS = (
    Command(
        "demo",
        "train two small networks and draw their landscapes: the main job on embedded data",
        "landscape demo --out demo",
        _fill_demo,
        _demo,
    ),
    Command(
        "problems",
        "list the problems of the zoo",
        "landscape problems",
        _fill_problems,
        _problems,
    ),
    Command(
        "train",
        "train a problem of the zoo and keep its checkpoints",
        "landscape train digits-resnet26 --out runs/short --epochs 15",
        _fill_train,
        _train,
    ),
)
