"""The commands of the zoo: demo, problems, train."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from landscape.cli.command import Command, add_problem, add_verbosity, print_json
from landscape.parallel import detect_executor

if TYPE_CHECKING:
    from landscape.zoo.problems import Entry

__all__ = ["COMMANDS"]


def _fill_demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", metavar="DIR", default="demo", help="folder for files, figures and the page (default: demo)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of training and directions (default: 0)")
    add_verbosity(parser)


def _demo(options: argparse.Namespace) -> int:
    from landscape.zoo import demo

    result = demo.run(options.out, seed=options.seed, quiet=options.quiet)
    if detect_executor().is_root:
        if options.json:
            print_json(result.tabulate())
        else:
            print(result.describe())
    return 0 if result.passed else 1


def _fill_problems(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", nargs="?", help="tell of this problem alone, its recipe and settings too")
    parser.add_argument("--json", action="store_true", help="the list for machines, on standard output")


def _problems(options: argparse.Namespace) -> int:
    from landscape.zoo.problems import describe, problems

    entries = problems() if options.name is None else [describe(options.name)]
    if options.json:
        print_json([vars(entry) | {"description": entry.description} for entry in entries])
        return 0
    if options.name is not None:
        _tell(entries[0])
        return 0
    width = max(len(entry.name) for entry in entries)
    for entry in entries:
        print(f"{entry.name:<{width}}  {entry.description}  [{entry.source}]")
    return 0


def _tell(entry: Entry) -> None:
    files = "; needs --data-dir" if entry.needs_files else ""
    print(f"{entry.name}\nmodel     {entry.model}\ndata      {entry.data}{files}\nloss      {entry.loss}")
    print(f"recipe    {entry.recipe}\nsource    {entry.source}")
    print("settings  " + " ".join(f"{key}={value}" for key, value in entry.settings.items()))


def _fill_train(parser: argparse.ArgumentParser) -> None:
    add_problem(parser)
    parser.add_argument(
        "--out",
        metavar="DIR",
        help="folder for checkpoints and history; an unfinished training in it is resumed (default: the problem's name)",
    )
    parser.add_argument(
        "--epochs", type=int, metavar="N", help="passes through the training examples (default: the problem's recipe)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of initial weights and order (default: 0)")
    parser.add_argument("--device", default="auto", metavar="auto|cpu|cuda[:i]", help="where to compute (default: auto)")
    parser.add_argument("--threads", type=int, metavar="N", help="CPU threads (default: all cores)")
    parser.add_argument(
        "--precision", default="auto", metavar="auto|fp32|bf16", help="arithmetic; auto: bf16 on a GPU for large networks"
    )
    parser.add_argument("--every", type=int, default=1, metavar="N", help="keep the checkpoint of each N-th epoch (default: 1)")
    parser.add_argument("--steps", type=int, default=0, metavar="N", help="also keep one after each of the first N steps")
    parser.add_argument("--download", action="store_true", help="fetch missing data into --data-dir, checksums verified")
    parser.add_argument("--overwrite", action="store_true", help="replace a training that is there")
    add_verbosity(parser)


def _train(options: argparse.Namespace) -> int:
    import torch

    from landscape import zoo
    from landscape.progress import Progress
    from landscape.sweep.options import check_threads

    if options.threads is not None:
        torch.set_num_threads(check_threads(options.threads))
    out = options.problem if options.out is None else options.out
    with Progress(options.quiet) as progress:
        result = zoo.train(
            options.problem, out, options.epochs, options.seed, options.data_dir, options.device, dict(options.settings),
            overwrite=options.overwrite, progress=progress.follow, precision=options.precision, every=options.every,
            steps=options.steps, download=options.download,
        )  # fmt: skip
    if options.json:
        print_json(vars(result))
    else:
        print(f"{result.problem}: train loss {result.train_loss:.4g}, accuracy {result.train_accuracy:.2%}; ", end="")
        print(f"test loss {result.test_loss:.4g}, accuracy {result.test_accuracy:.2%}")
        if result.metrics:
            print(", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in result.metrics.items()))
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
        "landscape problems digits-resnet26",
        _fill_problems,
        _problems,
        prints=True,
    ),
    Command(
        "train",
        "train a problem of the zoo and keep its checkpoints",
        "landscape train digits-resnet26 --out runs/short --epochs 15",
        _fill_train,
        _train,
    ),
)
