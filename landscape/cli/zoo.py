"""The commands of the zoo: demo, problems, train."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from landscape.cli.command import DataDir, Json, Quiet, Settings, command, print_json
from landscape.declaration import Option, between
from landscape.parallel import detect_executor
from landscape.sweep.options import DEVICE, THREADS

if TYPE_CHECKING:
    from landscape.zoo.problems import Entry

__all__ = ["demo", "problems", "train"]

_MOST = 1_000_000_000
_SEED = between(0, 2**63 - 1)


@command("landscape demo --out demo")
def demo(
    *,
    out: Annotated[str, Option("folder for files, figures and the page", "DIR")] = "demo",
    seed: Annotated[int, Option("of training and directions", "S", check=_SEED)] = 0,
    quiet: Quiet = False,
    json: Json = False,
) -> int:
    """Train two small networks and draw their landscapes: the main job on embedded data."""
    from landscape.zoo import demo

    result = demo.run(out, seed=seed, quiet=quiet)
    if detect_executor().is_root:
        if json:
            print_json(result.tabulate())
        else:
            print(result.describe())
    return 0 if result.passed else 1


@command("landscape problems digits-resnet26", prints=True)
def problems(
    name: Annotated[str | None, Option("tell of this problem alone, its recipe and settings too", "NAME")] = None,
    *,
    json: Json = False,
) -> int:
    """List the problems of the zoo."""
    from landscape.zoo.problems import describe, problems

    entries = problems() if name is None else [describe(name)]
    if json:
        print_json([vars(entry) | {"description": entry.description} for entry in entries])
    elif name is not None:
        _tell(entries[0])
    else:
        width = max(len(entry.name) for entry in entries)
        for entry in entries:
            print(f"{entry.name:<{width}}  {entry.description}  [{entry.source}]")
    return 0


def _tell(entry: Entry) -> None:
    files = "; needs --data-dir" if entry.needs_files else ""
    print(f"{entry.name}\nmodel     {entry.model}\ndata      {entry.data}{files}\nloss      {entry.loss}")
    print(f"recipe    {entry.recipe}\nsource    {entry.source}")
    print("settings  " + " ".join(f"{key}={value}" for key, value in entry.settings.items()))


@command("landscape train digits-resnet26 --out runs/short --epochs 15")
def train(
    problem: Annotated[str, Option('a name of the zoo (see "landscape problems")', "PROBLEM")],
    *,
    settings: Settings,
    data_dir: DataDir = None,
    out: Annotated[
        str | None,
        Option("folder for checkpoints and history; an unfinished training in it is resumed", "DIR", default="the problem's name"),
    ] = None,
    epochs: Annotated[
        int | None, Option("passes through the training examples", "N", default="the problem's recipe", check=between(1, _MOST))
    ] = None,
    seed: Annotated[int, Option("of initial weights and order", "S", check=_SEED)] = 0,
    device: Annotated[str, DEVICE] = "auto",
    threads: Annotated[int | None, THREADS] = None,
    precision: Annotated[
        str, Option("arithmetic; auto: bf16 on a GPU for large networks", choices=("auto", "fp32", "bf16"))
    ] = "auto",
    every: Annotated[int, Option("keep the checkpoint of each N-th epoch", "N", check=between(1, _MOST))] = 1,
    steps: Annotated[int, Option("also keep one after each of the first N steps", "N", check=between(0, _MOST))] = 0,
    download: Annotated[bool, Option("fetch missing data into --data-dir, checksums verified")] = False,
    overwrite: Annotated[bool, Option("replace a training that is there")] = False,
    quiet: Quiet = False,
    json: Json = False,
) -> int:
    """Train a problem of the zoo and keep its checkpoints."""
    import torch

    from landscape import zoo
    from landscape.progress import Progress

    if threads is not None:
        torch.set_num_threads(threads)
    with Progress(quiet) as progress:
        result = zoo.train(
            problem, problem if out is None else out, epochs, seed, data_dir, device, dict(settings), overwrite=overwrite,
            progress=progress.follow, precision=precision, every=every, steps=steps, download=download,
        )  # fmt: skip
    if json:
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
