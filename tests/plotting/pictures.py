"""Small pictures to compare with those kept in `baselines/`, and how far apart two of them look.

Run as a program, this writes the baselines anew: `python -m tests.plotting.pictures` from the root, or this file by its path.
Look at each of them before committing it.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from landscape.core.surface import Axis, Metric, Point, Surface
from landscape.plotting import contour, curve, filled, relief

BASELINES = Path(__file__).parent / "baselines"
_TRAIN = {"train_loss": Metric("train", "loss", "nat")}
SIDE = 160  # pixels of a panel
_BLOCK = 4  # pixels: what a reader's eye takes together, and what letters moved by a pixel leave as it is


def plane(loss: Callable[[np.ndarray, np.ndarray], np.ndarray], n: int = 21) -> Surface:
    x = np.linspace(-1, 1, n)
    values = loss(*np.meshgrid(x, x, indexing="ij"))
    axes = tuple(Axis(name, x, {"label": "random direction", "norm": 2.0}) for name in "xy")
    points = (Point("net", (0.0, 0.0), {"train_loss": float(values[n // 2, n // 2])}),)
    return Surface("surface", axes, _TRAIN, {"train_loss": values}, {"train_loss": np.ones((n, n), bool)}, points=points)


def bowl(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """No symmetry: whatever is turned, mirrored or shifted shows."""
    return 0.01 + 3 * (x + 0.2 * y) ** 2 + y**2 + 0.8 * np.exp(-20 * ((x - 0.6) ** 2 + (y - 0.5) ** 2))


def cut(surface: Surface) -> Surface:
    values = {"train_loss": surface.values["train_loss"][:, 10]}
    done, errors = {"train_loss": np.ones(21, bool)}, {"train_loss": 0.05 + 0 * values["train_loss"]}
    return Surface("line", surface.axes[:1], _TRAIN, values, done, errors, points=(Point("net", (0.0,), {"train_loss": 0.01}),))


PICTURES: dict[str, Callable[[], Figure]] = {
    "contour": lambda: contour(plane(bowl), log=True, style="paper"),
    "curve": lambda: curve([cut(plane(bowl)), cut(plane(lambda x, y: 2 * bowl(x, y)))], names=["one", "two"], style="paper"),
    "pair": lambda: filled([plane(bowl), plane(lambda x, y: 2 * bowl(x, -y))], names=["one", "two"], clip=4.0, style="paper"),
    "relief": lambda: relief(plane(bowl), log=True, offset=0.1, clip=3.0, style="paper"),
    "slide": lambda: relief(plane(bowl), clip=3.0, style="slides"),
}


def pixels(figure: Figure) -> np.ndarray:
    """The panels of a figure, each brought to the same size: `(SIDE, n_panels * SIDE, 3)`.

    Where a panel stands on its sheet hangs on the metrics of letters, which differ between versions of matplotlib; what is in it
    does not.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
    with Image.open(buffer) as opened:
        picture = opened.convert("RGB")
    panels = [axes for axes in figure.axes if axes.get_label() != "<colorbar>"]
    crops = []
    for axes in panels:
        left, bottom, right, top = axes.get_position().extents * np.tile([picture.width, picture.height], 2)
        crops.append(picture.crop((round(left), round(picture.height - top), round(right), round(picture.height - bottom))))
    return np.concatenate([np.asarray(crop.resize((SIDE, SIDE), Image.Resampling.BOX)) for crop in crops], axis=1)


def kept(name: str) -> np.ndarray:
    return np.asarray(Image.open(BASELINES / f"{name}.png").convert("RGB"))


def distance(one: np.ndarray, other: np.ndarray) -> float:
    """How far apart two pictures look: the mean over blocks of the CIE 1976 colour difference, of which 1 is hardly seen, 100 black to white."""
    height, width = one.shape[0] // _BLOCK, one.shape[1] // _BLOCK
    blocks = [picture.reshape(height, _BLOCK, width, _BLOCK, 3).mean(axis=(1, 3)) for picture in (one, other)]
    return float(np.sqrt(((lab(blocks[0]) - lab(blocks[1])) ** 2).sum(axis=-1)).mean())


def lab(rgb: np.ndarray) -> np.ndarray:
    """sRGB from 0 to 255 as CIE L*a*b* under D65 (IEC 61966-2-1, CIE 15)."""
    c = rgb / 255
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]])
    t = linear @ to_xyz.T / np.array([0.95047, 1.0, 1.08883])
    f = np.where(t > (6 / 29) ** 3, np.cbrt(t), t * (29 / 6) ** 2 / 3 + 4 / 29)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], axis=-1)


if __name__ == "__main__":
    BASELINES.mkdir(exist_ok=True)
    for name, draw in PICTURES.items():
        Image.fromarray(pixels(draw())).save(BASELINES / f"{name}.png", optimize=True)
