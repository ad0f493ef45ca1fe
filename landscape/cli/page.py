"""The command that writes the interactive page: view."""

from __future__ import annotations

import argparse
from pathlib import Path

from landscape.atomic import check_target
from landscape.cli.command import Command, add_output, beside, check_distinct, names_of

__all__ = ["COMMANDS"]


def _fill_view(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", metavar="FILE.h5", nargs="+", help="surface files")
    add_output(parser, "VIEWER.html", "the page (default: the first file's name with .html)", required=False)


def _view(options: argparse.Namespace) -> int:
    import landscape
    from landscape import plotting

    out = Path(options.out or beside(options.files[0], ".html"))
    check_distinct(out, *options.files)
    check_target(out, options.overwrite)
    print(plotting.write_page([landscape.read(file) for file in options.files], out, names_of(options.files)))
    return 0


COMMANDS = (
    Command(
        "view",
        "write surface files as one interactive page that needs no network",
        "landscape view net.h5 other.h5 -o pair.html",
        _fill_view,
        _view,
    ),
)
