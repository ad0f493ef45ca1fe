"""The commands that draw: plot, animate, view."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Annotated, Any

import landscape
from landscape.atomic import check_target
from landscape.cli.command import Overwrite, Quiet, SurfaceFiles, command, names_of, out_option, target_of
from landscape.declaration import Option, between
from landscape.errors import InputError
from landscape.progress import Progress

__all__ = ["Looks", "animate", "plot", "view"]

_KINDS = ("curve", "contour", "filled", "heatmap", "relief")
_STYLES = ("paper", "slides", "notebook")


def _read_camera(text: str) -> tuple[float, float]:
    try:
        elevation, azimuth = (float(angle) for angle in text.split(","))
    except ValueError:
        raise InputError(f'"{text}" is not an elevation and an azimuth in degrees, for example 33,-58') from None
    return elevation, azimuth


@dataclass(frozen=True, kw_only=True)
class Looks:
    """What figures and films have in common."""

    metric: Annotated[str | None, Option("what is drawn", "train_loss", default="the loss; for lines all there is")] = None
    log: Annotated[bool, Option("logarithmic scale")] = False
    offset: Annotated[float | None, Option("with --log: log(value + C); 0.1 keeps the shape of a basin near 0", "C")] = None
    clip: Annotated[float | None, Option("draw higher values as MAX, marked so", "MAX")] = None
    style: Annotated[
        str, Option("paper: a column, 8 points, no titles, the caption as text; slides: 16:9, 18 points", choices=_STYLES)
    ] = "notebook"
    camera: Annotated[
        tuple[float, float] | None, Option("where a relief is seen from, in degrees", "ELEVATION,AZIMUTH", read=_read_camera)
    ] = None


def _given(looks: dict[str, Any]) -> dict[str, Any]:
    """Those looks that are given; the others are left to the figure."""
    return {name: value for name, value in looks.items() if value is not None}


@command("landscape plot net.h5 other.h5 --kind relief --log -o pair.png", takes=Looks)
def plot(
    files: Annotated[list[str], Option("surface files, all lines or all planes", "FILE.h5")],
    *,
    out: Annotated[
        str | None, out_option("the figure, .png, .pdf or .svg (default: the first file's name with .png)", "FIGURE")
    ] = None,
    overwrite: Overwrite = False,
    kind: Annotated[str | None, Option("of the figure", choices=_KINDS, default="curve for lines, filled for planes")] = None,
    no_inset: Annotated[bool, Option("no inset of a curve's minimum, where there would be one")] = False,
    **looks: Any,
) -> int:
    """Draw surface files as a figure (.png, .pdf, .svg)."""
    from landscape.plotting.styles import StyledFigure

    path = check_target(target_of(files, out, ".png"), overwrite)  # before any file is read
    surfaces = [landscape.read(file) for file in files]
    figure = landscape.plotting.figure(
        surfaces, kind, names=names_of(files), **_given(looks | {"inset": False if no_inset else None})
    )
    print(landscape.plotting.save(figure, path))
    if isinstance(figure, StyledFigure) and not figure.style.notes:  # else it stands under the figure
        print(f"caption: {figure.caption}", file=sys.stderr)
    return 0


@command("landscape animate net.h5 --log --offset 0.1 -o net.gif", takes=Looks)
def animate(
    files: Annotated[list[str], Option("planes: one turns; several, such as epochs, are a frame each", "FILE.h5")],
    *,
    out: Annotated[
        str | None, out_option("the film, .gif, or .mp4 where ffmpeg is (default: the first file's name with .gif)", "FILM")
    ] = None,
    overwrite: Overwrite = False,
    frames: Annotated[int | None, Option("frames of one turn", "N", default="72")] = None,
    fps: Annotated[float | None, Option("frames a second", "N", default="18 for a turn, 2 for several files")] = None,
    quiet: Quiet = False,
    **looks: Any,
) -> int:
    """Write a film of surface files (.gif, .mp4): one relief that turns, or several as frames."""
    path = landscape.plotting.check_animation(target_of(files, out, ".gif"), frames, fps, overwrite)  # before any file is read
    surfaces = [landscape.read(file) for file in files]
    with Progress(quiet) as progress:

        def follow(done: int, total: int) -> None:
            if done == 1:
                progress.start(total, unit="frames")
            progress.advance()

        landscape.plotting.animate(surfaces, path, names=names_of(files), n_frames=frames, fps=fps, follow=follow, **_given(looks))
    print(path)
    return 0


@command("landscape view net.h5 other.h5 -o pair.html")
def view(
    files: SurfaceFiles,
    *,
    out: Annotated[str | None, out_option("the page (default: the first file's name with .html)", "VIEWER.html")] = None,
    overwrite: Overwrite = False,
    cdn: Annotated[bool, Option("a small page, for which the browser fetches plotly.js from a public network")] = False,
    shared_script: Annotated[
        bool,
        Option("a small page beside a file of plotly.js, which all pages of a folder, and of folders in it, share; offline too"),
    ] = False,
    live: Annotated[
        bool, Option("write no file but serve the page on 127.0.0.1, and follow running sweeps; Ctrl-C ends it")
    ] = False,
    port: Annotated[int | None, Option("with --live, the port", "N", default="a free one", check=between(1, 65535))] = None,
) -> int:
    """Write surface files as one interactive page that needs no network, or follow them while they are computed."""

    def surfaces() -> list[landscape.Surface]:
        return [landscape.read(file) for file in files]

    if not live:
        if port is not None:
            raise InputError("--port is for --live; a page in a file needs none")
        path = check_target(target_of(files, out, ".html"), overwrite)  # before any file is read
        print(landscape.viewer.write_page(surfaces(), path, names_of(files), cdn=cdn, shared_script=shared_script))
        return 0
    if out is not None or cdn or shared_script or overwrite:
        raise InputError("--live serves the page and writes no file; leave out -o, --overwrite, --cdn and --shared-script")
    try:
        landscape.viewer.follow(
            landscape.viewer.LiveReader(surfaces, names_of(files)), lambda address: print(address, flush=True), port or 0
        )
    except KeyboardInterrupt:  # the way it is meant to end
        return 0
    return 0
