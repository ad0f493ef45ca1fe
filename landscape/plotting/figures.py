"""Choosing a figure by its name, and writing it to a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from landscape.atomic import check_target, replacing
from landscape.errors import InputError, nearest
from landscape.plotting.contours import contour, filled, heatmap
from landscape.plotting.curves import curve
from landscape.plotting.panels import style
from landscape.plotting.relief import relief
from landscape.surface import Surface

__all__ = ["KINDS", "figure", "save"]

KINDS: dict[str, Callable[..., Figure]] = {
    "curve": curve,
    "contour": contour,
    "filled": filled,
    "heatmap": heatmap,
    "relief": relief,
}
# How each format is written: without the moment of writing, so that equal figures are equal files.
_METADATA: dict[str, dict[str, None]] = {".png": {}, ".pdf": {"CreationDate": None}, ".svg": {"Date": None}}


def figure(
    surfaces: Surface | Sequence[Surface],
    kind: str | None = None,
    metric: str | None = None,
    log: bool = False,
    clip: float | None = None,
    names: Sequence[str] | None = None,
) -> Figure:
    """The figure of the given kind: `curve` for lines; `contour`, `filled`, `heatmap` or `relief` for planes.

    Without a kind lines are curves and planes filled contours; a heatmap where an axis has one point or not even its ends and origin
    are measured, since contours need neighbours. The other arguments and the errors are those of the functions of these names.

    Raises:
        InputError: for an unknown kind.
    """
    several = [surfaces] if isinstance(surfaces, Surface) else list(surfaces)
    if kind is None:
        kind = _fitting_kind(several, metric)
    if kind not in KINDS:
        raise InputError(f'unknown kind of figure "{kind}": {nearest(kind, KINDS)}')
    return KINDS[kind](several, metric=metric, log=log, clip=clip, names=names)


def _fitting_kind(surfaces: Sequence[Surface], metric: str | None) -> str:
    if all(surface.kind == "line" for surface in surfaces):
        return "curve"
    key = metric if metric is not None else surfaces[0].metric().key
    parts = [surface.complete_part(key) if key in surface.metrics else None for surface in surfaces]
    return "filled" if all(part is not None and min(part.shape) > 1 for part in parts) else "heatmap"


def save(figure: Figure, path: str | Path) -> Path:
    """Write a figure as .png (300 dots an inch), .pdf or .svg, by the extension of `path`, and return the path.

    The file is written under another name and renamed, so that no half figure is ever there.

    Raises:
        InputError: for another extension, a missing folder, or one that cannot be written.
    """
    target = check_target(path, suffixes=tuple(_METADATA))
    suffix = target.suffix.lower()
    with style(), replacing(target) as temporary:
        figure.savefig(temporary, format=suffix[1:], dpi=300, metadata=_METADATA[suffix])
    return target
