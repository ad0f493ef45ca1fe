"""The commands: each turns parsed options into one call of the library and prints what came of it."""

from __future__ import annotations

import argparse
import json
import math
import os
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from landscape.atomic import check_target, replacing
from landscape.errors import InputError, RunError
from landscape.executors import launched
from landscape.problem import Problem, resolve

__all__ = ["execute"]

_SWEEP_OPTIONS = (
    "split", "examples", "device", "threads", "batch_size", "precision", "tolerance", "bn", "level", "save_directions",
    "engine", "max_error", "memory", "offload",
    "overwrite", "time_limit", "yes", "quiet",
)  # fmt: skip
_GEOMETRY = ("x", "seed", "normalize", "ignore", "only", "directions")


def execute(options: argparse.Namespace, words: Sequence[str]) -> int:
    """Run the command the options name; `words` are the arguments as typed, for the file's provenance."""
    if options.version:
        from landscape.sweep.provenance import package_version

        print(f"landscape {package_version()}")
        return 0
    if options.command is None:
        options.parser.print_help()
        return 2
    options.words = shlex.join(["landscape", *words])
    return _COMMANDS[options.command](options)


def _demo(options: argparse.Namespace) -> int:
    from landscape.zoo import demo

    result = demo.run(Path(options.out), seed=options.seed, quiet=options.quiet)
    if launched().is_root:
        print(json.dumps(result.tabulate()) if options.json else result.describe())
    return 0 if result.passed else 1


def _problems(options: argparse.Namespace) -> int:
    from landscape.zoo.problems import problems

    entries = problems()
    if options.json:
        _print_json([{"name": e.name, "description": e.description, "source": e.source} for e in entries])
        return 0
    width = max(len(entry.name) for entry in entries)
    for entry in entries:
        print(f"{entry.name:<{width}}  {entry.description}  [{entry.source}]")
    return 0


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
        _print_json(vars(result))
    else:
        print(f"{result.problem}: train loss {result.train_loss:.4g}, accuracy {result.train_accuracy:.2%}; ", end="")
        print(f"test loss {result.test_loss:.4g}, accuracy {result.test_accuracy:.2%}")
        print(f"start   {result.start}\nend     {result.end}\nhistory {result.history}")
        if result.failure:
            print(result.failure)
    return 1 if result.failure else 0


def _line(options: argparse.Namespace) -> int:
    import landscape

    _check_distinct(options.out, options.start, options.end, options.directions)
    problem = launched().together(lambda: _problem(options))
    surface = landscape.line(problem, options.start, options.end, seeds=options.seeds, **_asked(options))
    return _report(surface, options)


def _surface(options: argparse.Namespace) -> int:
    import landscape

    if (options.end_x is None) != (options.end_y is None):
        raise InputError("surface takes one checkpoint or three, not two; for the line between two use landscape line")
    _check_distinct(options.out, options.start, options.end_x, options.end_y, options.directions)
    problem = launched().together(lambda: _problem(options))
    ends = (options.start, options.end_x, options.end_y)
    surface = landscape.surface(problem, *ends, y=options.y, orthogonalize=options.orthogonalize, **_asked(options))
    return _report(surface, options)


def _problem(options: argparse.Namespace) -> Problem:
    if ":" in options.problem:
        if options.settings or options.data_dir:
            raise InputError("--set and --data-dir are for problems of the zoo; a factory takes no argument")
        return resolve(options.problem)
    from landscape.zoo.problems import blueprint

    return blueprint(options.problem, dict(options.settings)).build(options.data_dir)


def _asked(options: argparse.Namespace) -> dict[str, Any]:
    asked = {name: getattr(options, name) for name in (*_GEOMETRY, *_SWEEP_OPTIONS)}
    return {**asked, "to": options.out, "command": options.words}


def _report(surface: Any, options: argparse.Namespace) -> int:
    from landscape.description import describe, tabulate

    if launched().is_root:
        if options.json:
            _print_json({"file": options.out, **tabulate(surface)})
        elif not options.quiet:
            print(f"{describe(surface)}\n{options.out}")
    if not surface.checks.get("passed", 1):
        raise RunError(f"{options.out}: the self-check failed, so its values are in doubt; landscape show tells what differs")
    return 0 if surface.complete else 3


def _plot(options: argparse.Namespace) -> int:
    import landscape
    from landscape import plotting

    out = Path(options.out or _beside(options.files[0], ".png"))
    _check_distinct(out, *options.files)
    check_target(out, options.overwrite)  # before any file is read
    surfaces = [landscape.read(file) for file in options.files]
    names = _names(options.files)
    figure = plotting.figure(surfaces, options.kind, options.metric, options.log, options.clip, names)
    print(plotting.save(figure, out))
    return 0


def _view(options: argparse.Namespace) -> int:
    import landscape
    from landscape import plotting

    out = Path(options.out or _beside(options.files[0], ".html"))
    _check_distinct(out, *options.files)
    check_target(out, options.overwrite)
    print(plotting.write_page([landscape.read(file) for file in options.files], out, _names(options.files)))
    return 0


def _beside(file: str, extension: str) -> Path:
    """A file's name with another extension."""
    if not Path(file).name:
        raise InputError(f'"{file}" is no name of a file; name a surface file')
    return Path(file).with_suffix(extension)


def _check_distinct(out: str | Path, *inputs: str | None) -> None:
    """Refuse to write over what a command reads, whatever --overwrite says: a checkpoint may be the only one."""
    for file in inputs:
        if file is not None and os.path.exists(file) and os.path.exists(out) and os.path.samefile(file, out):
            raise InputError(f"{out}: is an input of this command; choose another name for the output")


def _names(files: Sequence[str]) -> list[str]:
    """Short names of the files, longer ones where the short ones are alike."""
    stems = [Path(file).stem for file in files]
    return stems if len(set(stems)) == len(stems) else [str(Path(file).with_suffix("")) for file in files]


def _show(options: argparse.Namespace) -> int:
    import landscape
    from landscape.description import describe, tabulate

    surface = landscape.read(options.file)
    if options.json:
        _print_json({"file": options.file, **tabulate(surface)})
    else:
        print(describe(surface))
    return 0


def _diff(options: argparse.Namespace) -> int:
    import landscape
    from landscape.comparison import compare

    if not options.tolerance >= 0:
        raise InputError(f"the tolerance is {options.tolerance:g}; it is a relative difference, 0 or more")
    result = compare(landscape.read(options.first), landscape.read(options.second), options.tolerance)
    if options.json:
        _print_json({"same": result.same, "reasons": result.reasons, "absolute": result.absolute, "relative": result.relative})
        return 0 if result.same else 1
    for key in result.absolute:
        print(f"{key:<15} largest difference {result.absolute[key]:.3g}, relative {result.relative[key]:.3g}")
    print("\n".join(f"differs: {reason}" for reason in result.reasons) or "the same")
    return 0 if result.same else 1


def _export(options: argparse.Namespace) -> int:
    import landscape
    from landscape import store

    _check_distinct(options.out, options.file)
    check_target(options.out, options.overwrite, (".csv", ".npz", ".vtp"))
    print(store.export(landscape.read(options.file), options.out, options.overwrite, options.clip, options.log))
    return 0


def _import(options: argparse.Namespace) -> int:
    import landscape
    from landscape import store

    _check_distinct(options.out, options.file, options.directions)
    check_target(options.out, options.overwrite)
    print(store.adopt(options.file, options.out, options.directions, options.words, landscape.measure))
    return 0


def _bench(options: argparse.Namespace) -> int:
    from landscape import benchmark

    if options.out is not None:
        _check_distinct(options.out, options.start)
        check_target(options.out, options.overwrite, (".json",))
    report = benchmark.run(
        _problem(options), options.start, examples=options.examples, device=options.device, threads=options.threads,
        precision=options.precision, rounds=options.rounds, quiet=options.quiet,
    )  # fmt: skip
    result = {"command": options.words, **report.tabulate()}
    if options.out is not None:
        with replacing(options.out) as path:
            path.write_text(_json(result, indent=1) + "\n", "utf-8")
    print(_json(result) if options.json else report.describe())
    return 0


def _print_json(result: Any) -> None:
    """Print a result for machines."""
    print(_json(result))


def _json(result: Any, indent: int | None = None) -> str:
    """A result for machines; JSON knows neither NaN nor infinity, which become texts, as paths do."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [plain(item) for item in value]
        return str(value) if isinstance(value, Path) or (isinstance(value, float) and not math.isfinite(value)) else value

    return json.dumps(plain(result), allow_nan=False, indent=indent)


_COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "demo": _demo,
    "problems": _problems,
    "train": _train,
    "line": _line,
    "surface": _surface,
    "plot": _plot,
    "view": _view,
    "show": _show,
    "diff": _diff,
    "export": _export,
    "import": _import,
    "bench": _bench,
}
