"""Choosing a figure by its name, and writing it to a file."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from landscape.atomic import check_target, replacing
from landscape.core.surface import Surface
from landscape.errors import InputError, did_you_mean
from landscape.plotting.contours import contour, filled, heatmap
from landscape.plotting.curves import curve
from landscape.plotting.relief import relief
from landscape.plotting.styles import StyledFigure, style_of

__all__ = ["KINDS", "figure", "save"]

KINDS: dict[str, Callable[..., Figure]] = {
    "curve": curve,
    "contour": contour,
    "filled": filled,
    "heatmap": heatmap,
    "relief": relief,
}
# What each format calls a description, and what keeps the moment of writing out of it, so that equal figures are equal files.
_FORMATS: dict[str, tuple[str, dict[str, None]]] = {
    ".png": ("Description", {}),
    ".pdf": ("Subject", {"CreationDate": None}),
    ".svg": ("Description", {"Date": None}),
}


def figure(
    surfaces: Surface | Sequence[Surface],
    kind: str | None = None,
    metric: str | None = None,
    log: bool = False,
    clip: float | None = None,
    names: Sequence[str] | None = None,
    style: str = "notebook",
    **options: Any,
) -> Figure:
    """The figure of the given kind: `curve` for lines; `contour`, `filled`, `heatmap` or `relief` for planes.

    Without a kind lines are curves and planes filled contours; a heatmap where an axis has one point or not even its ends and origin
    are measured, since contours need neighbours. The other arguments, `options` among them (`offset` of planes, `camera` of reliefs,
    `inset` of curves), and the errors are those of the functions of these names.

    Raises:
        InputError: for an unknown kind, or an option that this kind does not have.
    """
    several = [surfaces] if isinstance(surfaces, Surface) else list(surfaces)
    if kind is None:
        kind = _fitting_kind(several, metric)
    if kind not in KINDS:
        raise InputError(f'unknown kind of figure "{kind}": {did_you_mean(kind, KINDS)}')
    for option in options:
        if option not in inspect.signature(KINDS[kind]).parameters:
            having = [name for name, function in KINDS.items() if option in inspect.signature(function).parameters]
            what = f"is for {', '.join(having)}; this figure is a {kind}" if having else f"is no option of a {kind}"
            raise InputError(f"{option} {what}")
    return KINDS[kind](several, metric=metric, log=log, clip=clip, names=names, style=style, **options)


def _fitting_kind(surfaces: Sequence[Surface], metric: str | None) -> str:
    if all(surface.kind == "line" for surface in surfaces):
        return "curve"
    key = metric if metric is not None else surfaces[0].metric().key
    parts = [surface.complete_part(key) if key in surface.metrics else None for surface in surfaces]
    return "filled" if all(part is not None and min(part.shape) > 1 for part in parts) else "heatmap"


def save(figure: Figure, path: str | Path) -> Path:
    """Write a figure as .png, .pdf or .svg, by the extension of `path`, and return the path.

    Pixels are 300 to an inch, on slides 144, which makes 1920 × 1080 of them. Fonts are embedded in a PDF and outlines in an SVG;
    reliefs and heatmaps are pixels within either. The figure's caption is the file's description. The file is written under another
    name and renamed, so that no half figure is ever there.

    Raises:
        InputError: for another extension, a missing folder, or one that cannot be written.
    """
    target = check_target(path, suffixes=tuple(_FORMATS))
    suffix = target.suffix.lower()
    style, (description, metadata) = style_of(figure), _FORMATS[suffix]
    caption = {description: figure.caption} if isinstance(figure, StyledFigure) and figure.caption else {}
    with style.settings(), replacing(target) as temporary:
        figure.savefig(temporary, format=suffix[1:], dpi=style.dots_per_inch, metadata={**metadata, **caption})
    return target
