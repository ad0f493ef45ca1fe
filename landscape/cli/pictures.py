"""The commands that draw figures: plot."""

from __future__ import annotations

import argparse
from pathlib import Path

from landscape.atomic import check_target
from landscape.cli.command import Command, add_output, beside, check_distinct, names_of

__all__ = ["COMMANDS"]


def _fill_plot(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", metavar="FILE.h5", nargs="+", help="surface files, all lines or all planes")
    add_output(parser, "FIGURE", "the figure, .png, .pdf or .svg (default: the first file's name with .png)", required=False)
    kinds = ["curve", "contour", "filled", "heatmap", "relief"]
    parser.add_argument("--kind", choices=kinds, help="default: curve for lines, filled for planes")
    parser.add_argument("--metric", metavar="train_loss", help="what is drawn (default: the loss; for lines all there is)")
    parser.add_argument("--log", action="store_true", help="logarithmic scale")
    parser.add_argument("--clip", type=float, metavar="MAX", help="draw higher values as MAX, marked so")


def _plot(options: argparse.Namespace) -> int:
    import landscape
    from landscape import plotting

    out = Path(options.out or beside(options.files[0], ".png"))
    check_distinct(out, *options.files)
    check_target(out, options.overwrite)  # before any file is read
    surfaces = [landscape.read(file) for file in options.files]
    names = names_of(options.files)
    figure = plotting.figure(surfaces, options.kind, options.metric, options.log, options.clip, names)
    print(plotting.save(figure, out))
    return 0


COMMANDS = (
    Command(
        "plot",
        "draw surface files as a figure (.png, .pdf, .svg)",
        "landscape plot net.h5 other.h5 --kind relief --log -o pair.png",
        _fill_plot,
        _plot,
    ),
)
