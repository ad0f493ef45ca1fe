"""The demo's figures and its page, each with both networks on one scale."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from landscape import plotting, viewer
from landscape.core.surface import Surface
from landscape.progress import Progress
from landscape.zoo.demo.result import NetResult

__all__ = ["draw"]


def draw(nets: tuple[NetResult, NetResult], out: Path, quiet: bool = False) -> tuple[dict[str, Path], Path]:
    """Write four figures and the page; returns the figures by name, and the page.

    Losses around the networks span many orders of magnitude, so all but the interpolation are on a logarithmic scale.
    Nothing is clipped.

    Raises:
        InputError: when a file cannot be written.
    """
    titles = [net.title for net in nets]
    paths, rays, planes = ([net.path for net in nets], [net.rays for net in nets], [net.plane for net in nets])

    def figure(name: str, kind: str, surfaces: list[Surface], log: bool) -> Callable[[], Path]:
        return lambda: plotting.save(plotting.figure(surfaces, kind, log=log, names=titles), out / f"{name}.png")

    figures = {
        "path": figure("path", "curve", paths, log=False),
        "rays": figure("rays", "curve", rays, log=True),
        "contours": figure("contours", "filled", planes, log=True),
        "relief": figure("relief", "relief", planes, log=True),
    }
    with Progress(quiet) as progress:
        progress.start(len(figures) + 1, unit="files")
        written = {}
        for name, make in figures.items():
            written[name] = make()
            progress.advance()
        lines = [f"path {title}" for title in titles]
        page = viewer.write_page([*planes, *paths], out / "index.html", [*titles, *lines])
        progress.advance()
    return written, page
