"""The command that shows the interactive page: view."""

from __future__ import annotations

from typing import Annotated

import landscape
from landscape.atomic import check_target
from landscape.cli.command import Overwrite, SurfaceFiles, command, names_of, out_option, target_of
from landscape.declaration import Option, between
from landscape.errors import InputError

__all__ = ["view"]


@command("landscape view net.h5 other.h5 -o pair.html")
def view(
    files: SurfaceFiles,
    *,
    out: Annotated[str | None, out_option("the page (default: the first file's name with .html)", "VIEWER.html")] = None,
    overwrite: Overwrite = False,
    cdn: Annotated[bool, Option("a small page, for which the browser fetches plotly.js from a public network")] = False,
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
        print(landscape.viewer.write_page(surfaces(), path, names_of(files), cdn=cdn))
        return 0
    if out is not None or cdn or overwrite:
        raise InputError("--live serves the page and writes no file; leave out -o, --overwrite and --cdn")
    try:
        landscape.viewer.follow(
            landscape.viewer.LiveReader(surfaces, names_of(files)), lambda address: print(address, flush=True), port or 0
        )
    except KeyboardInterrupt:  # the way it is meant to end
        return 0
    return 0
