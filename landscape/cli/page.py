"""The command that shows the interactive page: view."""

from __future__ import annotations

import argparse

from landscape.atomic import check_target
from landscape.cli.command import Command, add_output, check_distinct, names_of, with_suffix
from landscape.errors import InputError

__all__ = ["COMMANDS"]


def _fill_view(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", metavar="FILE.h5", nargs="+", help="surface files")
    add_output(parser, "VIEWER.html", "the page (default: the first file's name with .html)", required=False)
    parser.add_argument(
        "--cdn", action="store_true", help="a small page, for which the browser fetches plotly.js from a public network"
    )
    parser.add_argument(
        "--shared-script",
        action="store_true",
        help="a small page beside a file of plotly.js, which all pages of a folder, and of folders in it, share; offline too",
    )
    parser.add_argument(
        "--live",
        action="store_true",
        help="write no file but serve the page on 127.0.0.1, and follow running sweeps; Ctrl-C ends it",
    )
    parser.add_argument("--port", type=int, default=0, metavar="N", help="with --live, the port (default: a free one)")


def _view(options: argparse.Namespace) -> int:
    import landscape
    from landscape import viewer

    if options.live:
        return _follow(options)
    if options.port:
        raise InputError("--port is for --live; a page in a file needs none")
    asked = with_suffix(options.files[0], ".html") if options.out is None else options.out
    check_distinct(asked, *options.files)
    out = check_target(asked, options.overwrite)
    surfaces = [landscape.read(file) for file in options.files]
    print(viewer.write_page(surfaces, out, names_of(options.files), cdn=options.cdn, shared_script=options.shared_script))
    return 0


def _follow(options: argparse.Namespace) -> int:
    import landscape
    from landscape.viewer import LiveReader, follow

    if options.out is not None or options.cdn or options.shared_script or options.overwrite:
        raise InputError("--live serves the page and writes no file; leave out -o, --overwrite, --cdn and --shared-script")
    if not 0 <= options.port <= 65535:
        raise InputError(f"--port is {options.port}; a port is a number from 1 to 65535")
    follower = LiveReader(lambda: [landscape.read(file) for file in options.files], names_of(options.files))
    try:
        follow(follower, lambda address: print(address, flush=True), options.port)
    except KeyboardInterrupt:  # the way it is meant to end
        return 0
    return 0


COMMANDS = (
    Command(
        "view",
        "write surface files as one interactive page that needs no network, or follow them while they are computed",
        "landscape view net.h5 other.h5 -o pair.html",
        _fill_view,
        _view,
    ),
)
