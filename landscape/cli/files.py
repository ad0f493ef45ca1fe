"""The commands about surface files: show, diff, export, merge, import."""

from __future__ import annotations

from typing import Annotated

import landscape
from landscape.atomic import check_target
from landscape.cli.command import (
    Json,
    Overwrite,
    Quiet,
    SurfaceFile,
    Words,
    check_distinct,
    command,
    out_option,
    print_json,
    print_surface,
)
from landscape.declaration import Option, between
from landscape.progress import Progress
from landscape.report import compare

__all__ = ["diff", "export", "import_", "merge", "show"]


@command("landscape show net.h5", prints=True)
def show(file: SurfaceFile, *, json: Json = False) -> int:
    """Say how a surface file was made, its self-check and its numbers."""
    print_surface(landscape.read(file), file, json, written=False)
    return 0


@command("landscape diff net.h5 again.h5 --tolerance 1e-6", prints=True)
def diff(
    first: Annotated[str, Option("a surface file", "A.h5")],
    second: Annotated[str, Option("another", "B.h5")],
    *,
    tolerance: Annotated[float, Option("largest relative difference that counts as equal", "T", check=between(0))] = 0.0,
    json: Json = False,
) -> int:
    """Compare two surface files; exit code 1 when they differ."""
    result = compare(landscape.read(first), landscape.read(second), tolerance)
    if json:
        print_json({"same": result.same, "reasons": result.reasons, "absolute": result.absolute, "relative": result.relative})
    else:
        for key in result.absolute:
            print(f"{key:<15} largest difference {result.absolute[key]:.3g}, relative {result.relative[key]:.3g}")
        print("\n".join(f"differs: {reason}" for reason in result.reasons) or "the same")
    return 0 if result.same else 1


@command("landscape export net.h5 -o net.vtp")
def export(
    file: SurfaceFile,
    *,
    out: Annotated[str, out_option("the file to write, its format by extension", "FILE.{csv,npz,vtp}")],
    overwrite: Overwrite = False,
    log: Annotated[bool, Option(".vtp only: the height is the decimal logarithm of the loss")] = False,
    clip: Annotated[float | None, Option(".vtp only: higher values are drawn at MAX", "MAX")] = None,
) -> int:
    """Write a surface as .csv, .npz or .vtp (ParaView)."""
    from landscape import io

    check_distinct(out, file)
    check_target(out, overwrite, (".csv", ".npz", ".vtp"))
    print(io.export(landscape.read(file), out, overwrite, clip, log))
    return 0


@command("landscape merge part-1.h5 part-2.h5 part-3.h5 -o all.h5")
def merge(
    files: Annotated[list[str], Option("surface files made with --part, or left by several runs", "PART.h5")],
    *,
    out: Annotated[str, out_option("the surface file to write", "ALL.h5")],
    overwrite: Overwrite = False,
    basin_level: Annotated[float | None, Option("height of the basin above the origin", "NATS", default="as in the files")] = None,
    quiet: Quiet = False,
    json: Json = False,
) -> int:
    """Put parts of a surface together; exit code 3 when some are missing."""
    check_distinct(out, *files)
    surface = landscape.merge(files, out, overwrite=overwrite, basin_level=basin_level, quiet=quiet)
    if json or not quiet:
        print_surface(surface, out, json)
    return 0 if surface.complete else 3


@command("landscape import theirs.h5 --directions their_directions.h5 -o ours.h5")
def import_(
    file: Annotated[str, Option("a surface file of tomgoldstein/loss-landscape", "SURFACE.h5")],
    *,
    directions: Annotated[str | None, Option("its direction file, for norms and cosine", "D.h5")] = None,
    out: Annotated[str, out_option("the surface file to write", "FILE.h5")],
    overwrite: Overwrite = False,
    words: Words = "",
) -> int:
    """Read a surface of tomgoldstein/loss-landscape; exit code 3 when it is unfinished."""
    from landscape import io

    check_distinct(out, file, directions)
    check_target(out, overwrite)
    surface = io.import_surface(file, out, directions, words, landscape.measure)
    print(out)
    if surface.complete:
        return 0
    left = " and ".join(
        f"{int((~done).sum())} of {done.size} values of {key}" for key, done in surface.done.items() if not done.all()
    )
    Progress().note(f"{out}: unfinished, as {file} is: {left} are not measured")
    return 3
