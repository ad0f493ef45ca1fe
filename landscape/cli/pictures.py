"""The commands that draw figures and films: plot, animate."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from landscape.atomic import check_target
from landscape.cli.command import Command, add_output, check_distinct, names_of, with_suffix
from landscape.progress import Progress

__all__ = ["COMMANDS"]


def _camera(text: str) -> tuple[float, float]:
    """Elevation and azimuth, for example `33,-58`."""
    elevation, azimuth = text.split(",")
    return float(elevation), float(azimuth)


_camera.__name__ = "camera: an elevation and an azimuth in degrees, for example 33,-58,"  # argparse puts it into its complaint


def _add_looks(parser: argparse.ArgumentParser) -> None:
    """Add what figures and films have in common."""
    parser.add_argument("--metric", metavar="train_loss", help="what is drawn (default: the loss; for lines all there is)")
    parser.add_argument("--log", action="store_true", help="logarithmic scale")
    parser.add_argument(
        "--offset", type=float, metavar="C", help="with --log: log(value + C); 0.1 keeps the shape of a basin near 0"
    )
    parser.add_argument("--clip", type=float, metavar="MAX", help="draw higher values as MAX, marked so")
    parser.add_argument(
        "--style", choices=["paper", "slides", "notebook"], default="notebook",
        help="paper: a column, 8 points, no titles, the caption as text; slides: 16:9, 18 points (default: notebook)",
    )  # fmt: skip
    parser.add_argument(
        "--camera", type=_camera, metavar="ELEVATION,AZIMUTH", help="where a relief is seen from, in degrees; --camera=33,-58"
    )


def _looks(options: argparse.Namespace) -> dict[str, Any]:
    """The options in common, by the names they have in Python; those that are not given are left to the figure."""
    given = {name: getattr(options, name) for name in ("offset", "camera") if getattr(options, name) is not None}
    return {"metric": options.metric, "log": options.log, "clip": options.clip, "style": options.style, **given}


def _fill_plot(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", metavar="FILE.h5", nargs="+", help="surface files, all lines or all planes")
    add_output(parser, "FIGURE", "the figure, .png, .pdf or .svg (default: the first file's name with .png)", required=False)
    kinds = ["curve", "contour", "filled", "heatmap", "relief"]
    parser.add_argument("--kind", choices=kinds, help="default: curve for lines, filled for planes")
    _add_looks(parser)
    parser.add_argument("--no-inset", action="store_true", help="no inset of a curve's minimum, where there would be one")


def _plot(options: argparse.Namespace) -> int:
    import landscape
    from landscape import plotting
    from landscape.plotting.styles import StyledFigure

    asked = with_suffix(options.files[0], ".png") if options.out is None else options.out
    check_distinct(asked, *options.files)
    out = check_target(asked, options.overwrite)  # before any file is read
    surfaces = [landscape.read(file) for file in options.files]
    looks = _looks(options) | ({"inset": False} if options.no_inset else {})
    figure = plotting.figure(surfaces, options.kind, names=names_of(options.files), **looks)
    print(plotting.save(figure, out))
    if isinstance(figure, StyledFigure) and not figure.style.notes:  # else it stands under the figure
        print(f"caption: {figure.caption}", file=sys.stderr)
    return 0


def _fill_animate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", metavar="FILE.h5", nargs="+", help="planes: one turns; several, such as epochs, are a frame each")
    add_output(parser, "FILM", "the film, .gif, or .mp4 where ffmpeg is (default: the first file's name with .gif)", required=False)
    _add_looks(parser)
    parser.add_argument("--frames", type=int, metavar="N", help="frames of one turn (default: 72)")
    parser.add_argument("--fps", type=float, metavar="N", help="frames a second (default: 18 for a turn, 2 for several files)")
    parser.add_argument("--quiet", action="store_true", help="no progress")


def _animate(options: argparse.Namespace) -> int:
    import landscape
    from landscape import plotting

    asked = with_suffix(options.files[0], ".gif") if options.out is None else options.out
    check_distinct(asked, *options.files)
    out = plotting.check_animation(asked, options.frames, options.fps, options.overwrite)  # before any file is read
    surfaces = [landscape.read(file) for file in options.files]
    with Progress(options.quiet) as progress:

        def follow(done: int, total: int) -> None:
            if done == 1:
                progress.start(total, unit="frames")
            progress.advance()

        film = {"n_frames": options.frames, "fps": options.fps, "follow": follow}
        path = plotting.animate(surfaces, out, names=names_of(options.files), **_looks(options), **film)
    print(path)
    return 0


COMMANDS = (
    Command(
        "plot",
        "draw surface files as a figure (.png, .pdf, .svg)",
        "landscape plot net.h5 other.h5 --kind relief --log -o pair.png",
        _fill_plot,
        _plot,
    ),
    Command(
        "animate",
        "write a film of surface files (.gif, .mp4): one relief that turns, or several as frames",
        "landscape animate net.h5 --log --offset 0.1 -o net.gif",
        _fill_animate,
        _animate,
    ),
)
