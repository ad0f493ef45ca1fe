"""Moving pictures of planes: one relief that turns, or several after one another on one scale under one camera."""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.animation import FFMpegWriter, PillowWriter
from mpl_toolkits.mplot3d import Axes3D

from landscape.atomic import check_target, replacing
from landscape.core.surface import Surface
from landscape.errors import InputError, RunError
from landscape.plotting.panels import Panel, name_panel
from landscape.plotting.relief import CAMERA, TITLE_HEIGHT, align_heights, draw_pins, draw_plane, panels_with_scale, relief_sheet
from landscape.plotting.relief_mesh import HEIGHT
from landscape.plotting.scale import Scale
from landscape.plotting.styles import StyledFigure, style_named

__all__ = ["animate", "check_animation"]

_SUFFIXES = (".gif", ".mp4")
_N_FRAMES = 72  # of one turn: five degrees each
_DOTS_PER_INCH = {"paper": 150, "slides": 96, "notebook": 150}  # a film of a paper's sharpness would be large
_N_COLOURS = 200  # of a GIF, all frames together: it may have 256, and more of them make larger files than better pictures


def animate(
    surfaces: Surface | Sequence[Surface],
    to: str | Path,
    metric: str | None = None,
    log: bool = False,
    clip: float | None = None,
    names: Sequence[str] | None = None,
    offset: float = 0.0,
    style: str = "notebook",
    camera: tuple[float, float] = CAMERA,
    n_frames: int | None = None,
    fps: float | None = None,
    follow: Callable[[int, int], None] | None = None,
) -> Path:
    """Write a film of reliefs, .gif or .mp4 by the extension of `to`, and return its path.

    One surface turns once around its vertical axis. Several, the epochs of a training say, are a frame each, in their order, on one
    scale of heights and colours under one camera. Equal surfaces and options give equal files with one version of the programs.

    Args:
        surfaces: one plane or several, values `(nx, ny)`.
        to: the file to write. An .mp4 needs the program ffmpeg.
        metric: for example `train_loss`; by default the training loss.
        log: heights are decimal logarithms, as for `relief`.
        clip: where the scale ends.
        names: what to call the surfaces; their problems where not given.
        offset: with `log`, heights are log(value + offset).
        style: the preset, `paper`, `slides` or `notebook`.
        camera: elevation and azimuth of the eye in degrees; a turn starts at this azimuth.
        n_frames: of one turn; 72 by default. For one surface only.
        fps: frames a second; by default 18 for a turn, 2 for several surfaces.
        follow: is called after each frame with how many are done and how many there are.

    Raises:
        InputError: for another extension, a missing ffmpeg, too few frames, what `relief` refuses, or a file that cannot be written.
    """
    target = check_animation(to, n_frames, fps)
    panels, scale = panels_with_scale(surfaces, metric, log, clip, names, offset)
    if len(panels) > 1 and n_frames is not None:
        raise InputError(f"a number of frames is for one surface that turns; of {len(panels)} surfaces each is a frame")
    total = len(panels) if len(panels) > 1 else n_frames or _N_FRAMES
    preset = style_named(style)
    figure, (axes,) = relief_sheet(panels, scale, preset, 1)
    axes.view_init(*camera)
    ffmpeg = matplotlib.rcParams["animation.ffmpeg_path"]  # the reader's own, which the preset does not know
    with preset.settings(), replacing(target) as temporary, _told(target):
        matplotlib.rcParams["animation.ffmpeg_path"] = ffmpeg
        frames = _several(figure, axes, panels, scale) if len(panels) > 1 else _turn(figure, axes, panels[0], scale, total)
        writer = _writer(target, fps or (2.0 if len(panels) > 1 else 18.0))
        with writer.saving(figure, str(temporary), _DOTS_PER_INCH[preset.name]):
            for done, _ in enumerate(frames, start=1):
                writer.grab_frame(facecolor="white")
                if follow is not None:
                    follow(done, total)
    return target


def check_animation(to: str | Path, n_frames: int | None = None, fps: float | None = None, overwrite: bool = True) -> Path:
    """Refuse before any file is read what could not be written as a film at the end, and return the path.

    Raises:
        InputError: for another extension than .gif and .mp4, a file that cannot be written or, unless `overwrite`, that exists, an
            .mp4 where there is no ffmpeg, fewer than two frames, or a speed that is none.
    """
    target = check_target(to, overwrite, suffixes=_SUFFIXES)
    if target.suffix.lower() == ".mp4" and not FFMpegWriter.isAvailable():
        raise InputError(
            f"{target}: an .mp4 needs the program ffmpeg, which is not on the path; install it (apt, brew or conda install ffmpeg), "
            "or name a .gif, which needs nothing more"
        )
    if n_frames is not None and not 2 <= n_frames <= 3600:
        raise InputError(f"{n_frames} frame{'s make' if n_frames != 1 else ' makes'} no turn; pass 2 to 3600")
    if fps is not None and not 0.1 <= fps <= 120:
        raise InputError(f"{fps:g} frames a second cannot be shown; pass 0.1 to 120")
    return target


def _turn(figure: StyledFigure, axes: Axes3D, panel: Panel, scale: Scale, n_frames: int) -> Iterator[None]:
    """Bring one relief into each position of a turn."""
    elevation, azimuth = axes.elev, axes.azim
    draw_plane(axes, panel, scale)
    name_panel(axes, panel, 0, 1, height=TITLE_HEIGHT)
    for number in range(n_frames):
        axes.view_init(elevation, azimuth + 360 * number / n_frames)
        draw_pins(axes, panel, scale)
        align_heights(axes)
        if number == 0:
            _hold(figure)
            axes.set_box_aspect((1, 1, HEIGHT), zoom=0.94)  # within its place, so that no label leaves the picture on the way
        yield


def _several(figure: StyledFigure, axes: Axes3D, panels: Sequence[Panel], scale: Scale) -> Iterator[None]:
    """Put each surface on the axes in turn; what tells them apart is the name, in every style."""
    elevation, azimuth = axes.elev, axes.azim
    for number, panel in enumerate(panels):
        axes.clear()
        axes.view_init(elevation, azimuth)
        draw_plane(axes, panel, scale)
        draw_pins(axes, panel, scale)
        align_heights(axes)
        axes.set_title(panel.title, y=TITLE_HEIGHT, pad=0)
        if number == 0:
            _hold(figure)
        yield


def _hold(figure: StyledFigure) -> None:
    """Let everything stay where the layout of this frame puts it: laid out anew, a turning box would tremble."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")


@contextmanager
def _told(target: Path) -> Iterator[None]:
    """What goes wrong within ffmpeg, in one line."""
    logger = logging.getLogger("matplotlib.animation")
    level = logger.level
    logger.setLevel(logging.ERROR)  # it would print the same over many lines
    try:
        yield
    except (subprocess.CalledProcessError, BrokenPipeError) as error:
        said = str(getattr(error, "stderr", None) or "").strip().splitlines()
        why = said[-1] if said else "it ended before the film did"
        raise RunError(f"{target}: ffmpeg could not write it ({why}); name a .gif, which needs no ffmpeg") from error
    finally:
        logger.setLevel(level)


def _writer(target: Path, fps: float) -> Any:
    if target.suffix.lower() == ".gif":
        return _GifWriter(fps=fps)  # type: ignore[arg-type]  # fractions serve as well
    exact = ["-fflags", "+bitexact", "-flags:v", "+bitexact", "-map_metadata", "-1", "-threads", "1"]  # the same bytes each time
    fitting = ["-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2:color=white", "-pix_fmt", "yuv420p"]  # what players know: even sides
    return FFMpegWriter(fps=fps, codec="h264", extra_args=[*fitting, "-crf", "20", *exact, "-f", "mp4"])  # type: ignore[arg-type]


class _GifWriter(PillowWriter):
    """matplotlib's writer, with one palette for all frames and a format that does not hang on the file's name."""

    def finish(self) -> None:
        """Write all frames at once."""
        frames: list[Any] = [frame.convert("RGB") for frame in self._frames]  # type: ignore[attr-defined]
        if not frames:
            return  # something else went wrong before the first, and is to be told
        # The palette is taken from frames around the turn, put beneath each other: one of the first alone would lack colours.
        some = frames[:: max(1, len(frames) // 6)]
        strip = some[0].resize((some[0].width, some[0].height * len(some)))
        for number, frame in enumerate(some):
            strip.paste(frame, (0, number * frame.height))
        palette = strip.quantize(_N_COLOURS, kmeans=2)
        colours = np.array(palette.getpalette(), dtype=np.uint8).reshape(-1, 3)
        colours[(colours > 247).all(axis=1)] = 255  # white is to be white, not the mean of all that is nearly so
        palette.putpalette(colours.tobytes())
        paletted = [frame.quantize(palette=palette, dither=0) for frame in frames]  # dithering would shimmer, and not compress
        duration = round(1000 / self.fps)
        paletted[0].save(
            self.outfile, format="GIF", save_all=True, append_images=paletted[1:], duration=duration, loop=0, optimize=True
        )  # fmt: skip
