"""The commands about surface files: show, diff, export, merge, import."""

from __future__ import annotations

import argparse

from landscape.atomic import check_target
from landscape.cli.command import Command, add_output, add_verbosity, check_distinct, print_json
from landscape.errors import InputError
from landscape.progress import Progress

__all__ = ["COMMANDS"]


def _fill_show(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE.h5", help="a surface file")
    parser.add_argument("--json", action="store_true", help="the same for machines")


def _show(options: argparse.Namespace) -> int:
    import landscape
    from landscape.report import describe, tabulate

    surface = landscape.read(options.file)
    if options.json:
        print_json({"file": options.file, **tabulate(surface)})
    else:
        print(describe(surface))
    return 0


def _fill_diff(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("first", metavar="A.h5", help="a surface file")
    parser.add_argument("second", metavar="B.h5", help="another")
    parser.add_argument(
        "--tolerance", type=float, default=0.0, metavar="T", help="largest relative difference that counts as equal (default: 0)"
    )
    parser.add_argument("--json", action="store_true", help="the same for machines")


def _diff(options: argparse.Namespace) -> int:
    import landscape
    from landscape.report import compare

    if not options.tolerance >= 0:
        raise InputError(f"the tolerance is {options.tolerance:g}; it is a relative difference, 0 or more")
    result = compare(landscape.read(options.first), landscape.read(options.second), options.tolerance)
    if options.json:
        print_json({"same": result.same, "reasons": result.reasons, "absolute": result.absolute, "relative": result.relative})
        return 0 if result.same else 1
    for key in result.absolute:
        print(f"{key:<15} largest difference {result.absolute[key]:.3g}, relative {result.relative[key]:.3g}")
    print("\n".join(f"differs: {reason}" for reason in result.reasons) or "the same")
    return 0 if result.same else 1


def _fill_export(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE.h5", help="a surface file")
    add_output(parser, "FILE.{csv,npz,vtp}", "the file to write, its format by extension")
    parser.add_argument("--log", action="store_true", help=".vtp only: the height is the decimal logarithm of the loss")
    parser.add_argument("--clip", type=float, metavar="MAX", help=".vtp only: higher values are drawn at MAX")


def _export(options: argparse.Namespace) -> int:
    import landscape
    from landscape import io

    check_distinct(options.out, options.file)
    check_target(options.out, options.overwrite, (".csv", ".npz", ".vtp"))
    print(io.export(landscape.read(options.file), options.out, options.overwrite, options.clip, options.log))
    return 0


def _fill_import(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="SURFACE.h5", help="a surface file of tomgoldstein/loss-landscape")
    parser.add_argument("--directions", metavar="D.h5", help="its direction file, for norms and cosine")
    add_output(parser, "FILE.h5", "the surface file to write")


def _import(options: argparse.Namespace) -> int:
    import landscape
    from landscape import io

    check_distinct(options.out, options.file, options.directions)
    check_target(options.out, options.overwrite)
    surface = io.import_surface(options.file, options.out, options.directions, options.words, landscape.measure)
    print(options.out)
    if surface.complete:
        return 0
    left = " and ".join(
        f"{int((~done).sum())} of {done.size} values of {key}" for key, done in surface.done.items() if not done.all()
    )
    Progress().note(f"{options.out}: unfinished, as {options.file} is: {left} are not measured")
    return 3


def _fill_merge(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", metavar="PART.h5", nargs="+", help="surface files made with --part, or left by several runs")
    add_output(parser, "ALL.h5", "the surface file to write")
    parser.add_argument(
        "--basin-level", type=float, metavar="NATS", help="height of the basin above the origin (default: as in the files)"
    )
    add_verbosity(parser)


def _merge(options: argparse.Namespace) -> int:
    import landscape
    from landscape.report import describe, tabulate

    check_distinct(options.out, *options.files)
    surface = landscape.merge(
        options.files, options.out, overwrite=options.overwrite, basin_level=options.basin_level, quiet=options.quiet
    )
    if options.json:
        print_json({"file": options.out, **tabulate(surface)})
    elif not options.quiet:
        print(f"{describe(surface)}\n{options.out}")
    return 0 if surface.complete else 3


COMMANDS = (
    Command(
        "show",
        "say how a surface file was made, its self-check and its numbers",
        "landscape show net.h5",
        _fill_show,
        _show,
        prints=True,
    ),
    Command(
        "diff",
        "compare two surface files; exit code 1 when they differ",
        "landscape diff net.h5 again.h5 --tolerance 1e-6",
        _fill_diff,
        _diff,
        prints=True,
    ),
    Command(
        "export",
        "write a surface as .csv, .npz or .vtp (ParaView)",
        "landscape export net.h5 -o net.vtp",
        _fill_export,
        _export,
    ),
    Command(
        "merge",
        "put parts of a surface together; exit code 3 when some are missing",
        "landscape merge part-1.h5 part-2.h5 part-3.h5 -o all.h5",
        _fill_merge,
        _merge,
    ),
    Command(
        "import",
        "read a surface of tomgoldstein/loss-landscape; exit code 3 when it is unfinished",
        "landscape import theirs.h5 --directions their_directions.h5 -o ours.h5",
        _fill_import,
        _import,
    ),
)
