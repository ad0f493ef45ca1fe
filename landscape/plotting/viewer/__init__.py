"""One interactive page for one or several surfaces: a single HTML file that opens with no network.

The page's own text lives beside this module (page.html, page.css and the scripts); plotly.js comes from the plotly package and is
written into the page, so nothing is ever fetched.
"""

from __future__ import annotations

import base64
import hashlib
import string
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from landscape.atomic import check_target, replacing
from landscape.errors import InputError
from landscape.plotting.viewer.content import content, embed
from landscape.plotting.viewer.panels import cards, escape, heading
from landscape.surface import Surface

__all__ = ["page", "write_page"]

_SCRIPTS = ("scale.js", "planes.js", "lines.js", "controls.js")


def page(surfaces: Sequence[Surface], names: Sequence[str] | None = None) -> str:
    """One complete offline HTML document that shows `surfaces` side by side.

    Planes turn together; lines share one pair of axes below them. The metrics offered are those that every surface holds, and the
    numbers in the page are the measured ones to the last digit. Texts from the surfaces are shown, never run: the page's
    Content-Security-Policy lets only its own scripts work, by their hashes, and no request leave.

    Args:
        surfaces: planes `(nx, ny)`, lines `(nx,)` and draws of a line `(nx, n_draws)`, in any mixture.
        names: what to call each of them; their problems where not given.

    Raises:
        InputError: for no surfaces, another number of names than surfaces, or no metric in common.
    """
    from plotly.colors import sequential
    from plotly.offline import get_plotlyjs

    titles = _titles(surfaces, names)
    data = embed({"colours": list(sequential.Viridis), **content(surfaces, titles)})
    plotly, script = _as_parsed(get_plotlyjs()), _script()
    return string.Template(_part("page.html")).substitute(
        policy=f"default-src 'none'; script-src {_hash(plotly)} {_hash(script)}; style-src 'unsafe-inline'; "
        "img-src data: blob:; connect-src 'none'; base-uri 'none'; form-action 'none'",
        title=escape(" · ".join(titles)),
        heading=heading(titles),
        style=_part("page.css"),
        cards=cards(surfaces, titles),
        data=data,
        plotly=plotly,
        script=script,
    )


def write_page(surfaces: Sequence[Surface], path: str | Path, names: Sequence[str] | None = None) -> Path:
    """Write the page of `surfaces` to `path` and return it; a temporary file is renamed, so no half page is ever there.

    Raises:
        InputError: when `path` does not end in .html, its folder is missing, or it cannot be written; and as `page` does.
    """
    path = Path(path)
    if path.suffix.lower() not in (".html", ".htm"):
        raise InputError(f'"{path}" does not end in .html; the page is one HTML file, write for example viewer.html')
    check_target(path)
    document = page(surfaces, names)
    with replacing(path) as temporary:
        temporary.write_bytes(document.encode())
    return path


def _titles(surfaces: Sequence[Surface], names: Sequence[str] | None) -> list[str]:
    """A name for each surface, no two the same."""
    if not surfaces:
        raise InputError("a page needs at least one surface, there is none")
    if names is not None and len(names) != len(surfaces):
        raise InputError(f"{len(names)} names for {len(surfaces)} surfaces; give one name for each")
    wanted = names if names is not None else [str(surface.attributes.get("problem") or surface.kind) for surface in surfaces]
    titles: list[str] = []
    for name in wanted:
        title, count = name, 1
        while title in titles:
            count += 1
            title = f"{name} ({count})"
        titles.append(title)
    return titles


def _part(name: str) -> str:
    return resources.files(__name__).joinpath(name).read_text(encoding="utf-8")


def _script() -> str:
    """The page's own script: its parts in order, in one function so that nothing becomes global."""
    return "(() => {\n'use strict';\n" + "\n".join(_part(name) for name in _SCRIPTS) + "})();\n"


def _as_parsed(script: str) -> str:
    """The text as a browser reads it, for the hash to match: an HTML parser turns every line end into a newline."""
    return script.replace("\r\n", "\n").replace("\r", "\n")


def _hash(script: str) -> str:
    """What a Content-Security-Policy calls an inline script by: base64 of its SHA-256."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
