"""Drawn cells and their membranes: images and masks without a file, for a study of networks from images to images.

Made of additions, multiplications, divisions and square roots alone, which round alike on every machine, so that the bytes are the same.
"""

from __future__ import annotations

import numpy as np
import torch

from landscape.zoo.data.splits import Splits

__all__ = ["cells"]

_N_TEST = 16
_SPACING = 16  # pixels between the middles of cells, about
_HALF_WIDTH = 1.2  # of a membrane, in pixels
_MARGIN = 3  # squares of sites around the image: two for the neighbours, one for the bend
_BEND = 5.0  # pixels by which a membrane is bent at most


def cells(side: int = 64, examples: int = 64) -> Splits:
    """Cells like those in electron micrographs: images uint8 `(n, 1, side, side)`, masks uint8 `(n, side, side)`, 1 on a membrane.

    Each image is a random tessellation of its own, so that train and test have none in common. A cell is about 16 pixels wide
    whatever the side: a larger image has more of them. Membranes are dark, but fade; cells have tones, grain and round organelles
    with outlines as dark as membranes, so that no threshold finds the membranes. Always the same images: the first of many are
    the few.

    Args:
        side: of an image, in pixels.
        examples: images to train on; 16 others are the `test` split.
    """
    found: Splits = {}
    for key, (split, n) in enumerate((("train", examples), ("test", _N_TEST))):
        drawn = [_draw(np.random.Generator(np.random.Philox(key=(key << 32) + number)), side) for number in range(n)]
        images, masks = (torch.from_numpy(np.stack(parts)) for parts in zip(*drawn, strict=True))
        found[split] = images.unsqueeze(1), masks
    return found


def _draw(generator: np.random.Generator, side: int) -> tuple[np.ndarray, np.ndarray]:
    """One image and its mask, both uint8 `(side, side)`."""
    n = side // _SPACING + 1 + 2 * _MARGIN
    sites = _sites(generator, n)
    columns, rows = np.meshgrid(np.arange(side, dtype=np.float64), np.arange(side, dtype=np.float64))
    rows, columns = (places + _BEND * _cloud(generator, side, 16) for places in (rows, columns))
    nearest, to_membrane = _tessellation(sites, rows, columns)
    mask = to_membrane < _HALF_WIDTH

    tone = (145 + 60 * generator.random(n * n))[nearest]
    tone += 22 * _cloud(generator, side, 4) + 22 * _cloud(generator, side, 2)  # the grain
    strength = 0.75 + 0.5 * _cloud(generator, side, 10)  # membranes fade in places
    dark = strength * np.clip(1.6 - to_membrane / _HALF_WIDTH, 0, 1)
    organelle = sites + _SPACING * 0.35 * (2 * generator.random((n * n, 2)) - 1)
    radius, outline = 1.5 + 2.0 * generator.random(n * n), 0.9 * (generator.random(n * n) < 0.6)
    away = np.sqrt((rows - organelle[nearest, 0]) ** 2 + (columns - organelle[nearest, 1]) ** 2)
    ring = outline[nearest] * np.clip(1.6 - np.abs(away - radius[nearest]), 0, 1)
    noise = 22 * (generator.random((side, side)) + generator.random((side, side)) - 1) * 2
    image = tone - 120 * np.maximum(dark, np.where(mask, 0, ring)) + noise
    return np.clip(np.rint(image), 0, 255).astype(np.uint8), mask.astype(np.uint8)


def _sites(generator: np.random.Generator, n: int) -> np.ndarray:
    """A place at random in each square of a lattice, `(n·n, 2)`: rows and columns in pixels, the image from 0."""
    lattice = np.stack(np.meshgrid(np.arange(n), np.arange(n), indexing="ij"), axis=-1).reshape(-1, 2)
    return _SPACING * (lattice - _MARGIN + generator.random((n * n, 2)))


def _tessellation(sites: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each pixel, the site it is nearest to, and its distance from the line half-way to the next site, in pixels.

    The two nearest sites are at most 1.8 squares away, so that five by five squares hold them.
    """
    n = round(len(sites) ** 0.5)
    top, left = (np.floor(places / _SPACING).astype(np.int64) + _MARGIN for places in (rows, columns))
    first, second = (np.full(rows.shape, np.inf) for _ in range(2))
    nearest, next_one = (np.zeros(rows.shape, dtype=np.int64) for _ in range(2))
    for down in range(-2, 3):
        for right in range(-2, 3):
            site = np.clip(top + down, 0, n - 1) * n + np.clip(left + right, 0, n - 1)
            square = (rows - sites[site, 0]) ** 2 + (columns - sites[site, 1]) ** 2
            closer, between = square < first, (square >= first) & (square < second) & (site != nearest)
            second = np.where(closer, first, np.where(between, square, second))
            next_one = np.where(closer, nearest, np.where(between, site, next_one))
            first, nearest = np.where(closer, square, first), np.where(closer, site, nearest)
    apart = np.sqrt((sites[nearest, 0] - sites[next_one, 0]) ** 2 + (sites[nearest, 1] - sites[next_one, 1]) ** 2)
    return nearest, (second - first) / (2 * apart)


def _cloud(generator: np.random.Generator, side: int, spacing: int) -> np.ndarray:
    """Smooth values in [-1, 1], `(side, side)`: random at the nodes of a lattice, a cubic step between them."""
    n = side // spacing + 2
    values = 2 * generator.random((n, n)) - 1
    places = np.arange(side) / spacing
    node = np.floor(places).astype(np.int64)
    share = places - node
    share = share * share * (3 - 2 * share)
    upper = values[node][:, node] * (1 - share) + values[node][:, node + 1] * share
    lower = values[node + 1][:, node] * (1 - share) + values[node + 1][:, node + 1] * share
    return upper * (1 - share)[:, None] + lower * share[:, None]
