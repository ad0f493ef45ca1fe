"""The page as one HTML document, put together from its parts.

The page's text, style and scripts lie in parts/; plotly.min.js beside this module is the part of plotly.js that they draw with,
built by scripts/bundle_plotly and written into the page, or once beside several pages, so nothing is ever fetched.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import string
from collections.abc import Sequence
from importlib import metadata, resources
from pathlib import Path

from landscape.atomic import check_target, replacing
from landscape.core.surface import Surface
from landscape.errors import InputError
from landscape.viewer.content import content, embed
from landscape.viewer.panels import about, escape, heading, stage

__all__ = ["name_surfaces", "page", "write_page", "write_script"]

# In the order they need each other; the last one starts the page.
_SCRIPTS = (
    "data",
    "scale",
    "state",
    "basin",
    "reliefs",
    "maps",
    "curves",
    "sections",
    "lines",
    "take",
    "controls",
    "live",
    "start",
)


def page(
    surfaces: Sequence[Surface],
    names: Sequence[str] | None = None,
    *,
    cdn: bool = False,
    shared_script: bool | str = False,
    live: bool = False,
) -> str:
    """One complete HTML document that shows `surfaces` side by side, offline unless `cdn` or `live` is asked for.

    Planes turn together, each with its contour map, and share the cross-sections through one point; lines share one chart. The
    metrics offered are those that every surface holds, and the numbers in the page are the measured ones to the last bit. Texts
    from the surfaces are shown, never run: the page's Content-Security-Policy lets only its own scripts work, by their hashes,
    and no request leave.

    Args:
        surfaces: planes `(nx, ny)`, lines `(nx,)` and draws of a line `(nx, n_draws)`, in any mixture.
        names: what to call each of them; their problems where not given.
        cdn: leave plotly.js out and let the browser fetch it, checked by its hash, from a public network.
        shared_script: leave plotly.js out and take it from a file beside the page, or at the relative address that is given; the
            policy then lets scripts of the page's own origin work.
        live: let the page ask the server it came from for newer values (see `live.follow`).

    Raises:
        InputError: for no surfaces, another number of names than surfaces, no metric in common, or `cdn` with `shared_script`.
    """
    if cdn and shared_script:
        raise InputError("plotly.js comes from the network or from a shared script, not from both; choose one")
    address = _script_name() if shared_script is True else shared_script or ""
    titles = name_surfaces(surfaces, names)
    data, script = embed(content(surfaces, titles)), _script(live)
    source, element = _from_network() if cdn else _from_file(address) if address else _inline(_part("plotly.min.js"))
    return string.Template(_part("parts/page.html")).substitute(
        policy=f"default-src 'none'; script-src {source} {_hash(script)}; style-src 'unsafe-inline'; "
        f"img-src data: blob:; connect-src {chr(39)}{'self' if live else 'none'}{chr(39)}; base-uri 'none'; form-action 'none'",
        title=escape(" · ".join(titles)),
        heading=heading(titles),
        style=_part("parts/page.css"),
        stage=stage(surfaces, titles),
        about=about(surfaces, titles),
        basin=escape(_levels(surfaces)),
        version=escape(_version()),
        files=f"this file and {escape(address)}" if address else "one file",
        exception=" but plotly.js" if cdn else "",
        data=data,
        plotly=element,
        script=script,
    )


def write_page(
    surfaces: Sequence[Surface],
    path: str | Path,
    names: Sequence[str] | None = None,
    *,
    cdn: bool = False,
    shared_script: bool = False,
) -> Path:
    """Write the page of `surfaces` to `path` and return it; a temporary file is renamed, so no half page is ever there.

    With `shared_script`, pages of one folder share one file of plotly.js: it is put beside the page, unless it is there already or,
    by `write_script` or for another page, in the folder above.

    Raises:
        InputError: when `path` does not end in .html, its folder is missing, or it cannot be written; and as `page` does.
    """
    path = check_target(path)
    if path.suffix.lower() not in (".html", ".htm"):
        raise InputError(f'"{path}" does not end in .html; the page is one HTML file, write for example viewer.html')
    name, above = _script_name(), Path(os.path.abspath(path)).parent.parent
    address = "" if not shared_script else f"../{name}" if _is_bundle(above / name) else name
    document = page(surfaces, names, cdn=cdn, shared_script=address)
    if address == name:
        write_script(path.parent)
    with replacing(path) as temporary:
        temporary.write_bytes(document.encode())
    return path


def write_script(folder: str | Path) -> Path:
    """Put the file of plotly.js that pages with `shared_script` need into a folder, unless it is there already, and return it.

    Raises:
        InputError: when the folder is missing or cannot be written.
    """
    path = Path(folder) / _script_name()
    if not _is_bundle(path):
        with replacing(path) as temporary:
            temporary.write_bytes(_bundle())
    return path


def name_surfaces(surfaces: Sequence[Surface], names: Sequence[str] | None) -> list[str]:
    """A name for each surface, no two the same.

    Raises:
        InputError: for no surfaces, or another number of names.
    """
    if not surfaces:
        raise InputError("a page needs at least one surface")
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
    return resources.files(__package__ or __name__).joinpath(name).read_text(encoding="utf-8")


def _levels(surfaces: Sequence[Surface]) -> str:
    """How high the basins of some planes reach, in words."""
    levels = sorted({surface.basin_level for surface in surfaces if surface.kind == "surface"} or {1.0})
    return f"{', '.join(f'{level:g}' for level in levels[:-1])}{' or ' if len(levels) > 1 else ''}{levels[-1]:g} nat"


def _script(live: bool) -> str:
    """The page's own script: its parts in order, in one function so that nothing becomes global; the network's part where asked for."""
    parts = [_part(f"parts/{name}.js") for name in _SCRIPTS if live or name != "live"]
    return _as_parsed("(() => {\n'use strict';\n" + "\n".join(parts) + "})();\n")


def _inline(script: str) -> tuple[str, str]:
    """A script as a source for the policy, and as an element of the page."""
    script = _as_parsed(script)
    return _hash(script), f"<script>{script}</script>"


def _from_network() -> tuple[str, str]:
    """The same of plotly.js as a public network serves it."""
    about_plotly = json.loads(_part("plotly.json"))
    address, integrity = escape(about_plotly["address"]), escape(about_plotly["integrity"])
    return address, f'<script src="{address}" integrity="{integrity}" crossorigin="anonymous"></script>'


def _from_file(address: str) -> tuple[str, str]:
    """The same of plotly.js in a file; some browsers know no origin of pages that are files, for which `file:` stands."""
    return "'self' file:", f'<script src="{escape(address)}"></script>'


def _is_bundle(path: Path) -> bool:
    try:
        return path.read_bytes() == _bundle()
    except OSError:
        return False


def _script_name() -> str:
    """By version and content, so that a page never meets another script than its own."""
    return f"plotly-{json.loads(_part('plotly.json'))['version']}-{hashlib.sha256(_bundle()).hexdigest()[:8]}.min.js"


def _bundle() -> bytes:
    return resources.files(__package__ or __name__).joinpath("plotly.min.js").read_bytes()


def _version() -> str:
    try:
        return metadata.version("torch-landscape")
    except metadata.PackageNotFoundError:  # used from a folder without having been installed
        return ""


def _as_parsed(script: str) -> str:
    """The text as a browser reads it, for the hash to match: an HTML parser turns every line end into a newline."""
    return script.replace("\r\n", "\n").replace("\r", "\n")


def _hash(script: str) -> str:
    """What a Content-Security-Policy calls an inline script by: base64 of its SHA-256."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
