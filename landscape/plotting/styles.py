"""The presets that figures come in: for the column of a paper, for a slide, for a notebook."""

from __future__ import annotations

import io
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import matplotlib.style
from matplotlib.artist import Artist
from matplotlib.backend_bases import RendererBase
from matplotlib.figure import Figure

from landscape.errors import InputError, did_you_mean

__all__ = ["STYLES", "Style", "StyledFigure", "style_named", "style_of"]


@dataclass(frozen=True)
class Style:
    """One preset: sizes of letters in points and of the sheet in inches, and what stands on it beside the data."""

    name: str
    text: float  # points: titles and labels
    small: float  # points: ticks, legends, names of models
    smallest: float  # points: labels within a drawing, small print
    width: float  # inches: a sheet of one column of panels
    full_width: float  # inches: a sheet of several columns; each column is `width` wide where this is 0
    page: tuple[float, float] | None  # inches: the sheet's fixed size, where it has one
    titles: bool  # a panel's name above it; else small letters tell several panels apart
    notes: bool  # small print under the panels; else it is only in `StyledFigure.caption` and the file's description
    dots_per_inch: int

    @property
    def line_scale(self) -> float:
        """How much larger lines and markers are than in letters of 8 points."""
        return self.text / 8

    def sheet_size(self, n_columns: int) -> tuple[float, float | None]:
        """The width of a sheet of `n_columns` panels in inches, and its height where that is fixed."""
        if self.page is not None:
            return self.page
        return (self.full_width if self.full_width and n_columns > 1 else self.width * n_columns), None

    def settings(self) -> AbstractContextManager[None]:
        """The settings all figures of this style are made and drawn under, whatever the reader's own matplotlib settings are."""
        k = self.line_scale
        sizes = {"lines.linewidth": 1.2, "hatch.linewidth": 0.5, "axes.linewidth": 0.6, "axes.labelpad": 2.0, "axes.titlepad": 4.0}
        for axis in ("xtick", "ytick"):
            sizes |= {f"{axis}.major.width": 0.6, f"{axis}.major.size": 2.5, f"{axis}.major.pad": 2.5}
            sizes |= {f"{axis}.minor.width": 0.4, f"{axis}.minor.size": 1.5}
        letters: dict[str, Any] = {
            "font.size": self.text, "axes.titlesize": self.text, "axes.labelsize": self.text - 0.5 * (self.name == "notebook"),
            "xtick.labelsize": self.small, "ytick.labelsize": self.small, "legend.fontsize": self.small,
        }  # fmt: skip
        house = {"legend.frameon": False, "legend.handlelength": 1.8, "figure.dpi": 150, "text.parse_math": False}
        files = {"pdf.fonttype": 42, "svg.fonttype": "path", "svg.hashsalt": "landscape"}  # letters go with the file, in outlines
        scaled: dict[str, Any] = {key: value * k for key, value in sizes.items()}
        return matplotlib.style.context(["default", {**scaled, **letters, **house, **files}])


STYLES = {
    "paper": Style("paper", 8, 7, 6.5, 3.3, 6.8, None, titles=False, notes=False, dots_per_inch=300),
    "slides": Style("slides", 18, 16, 14, 40 / 3, 0, (40 / 3, 7.5), titles=True, notes=False, dots_per_inch=144),
    "notebook": Style("notebook", 8, 7, 6.5, 3.3, 0, None, titles=True, notes=True, dots_per_inch=300),
}


def style_named(name: str) -> Style:
    """The preset of this name.

    Raises:
        InputError: when there is none.
    """
    if name not in STYLES:
        raise InputError(f'unknown style "{name}": {did_you_mean(name, STYLES)}')
    return STYLES[name]


class StyledFigure(Figure):
    """A figure that belongs to no window and no global state, and still shows in a notebook.

    Attributes:
        style: the preset it is made in.
        caption: what a reader must be told of it, in one text: the names of its panels, the axes, the notes.
    """

    def __init__(self, *, style: Style, **rest: Any) -> None:
        super().__init__(**rest)
        self.style = style
        self.caption = ""

    def draw(self, renderer: RendererBase) -> None:
        """Draw under the house's settings: matplotlib reads some of them, hatches among them, only now."""
        with self.style.settings():
            super().draw(renderer)

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=150 if self.style.page is None else 72)
        return buffer.getvalue()


def style_of(artist: Artist) -> Style:
    """The preset of the sheet that an artist is on."""
    figure = artist if isinstance(artist, Figure) else artist.get_figure()
    return figure.style if isinstance(figure, StyledFigure) else STYLES["notebook"]
