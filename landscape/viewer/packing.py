"""Arrays as one short text: all of a page's numbers, every bit of them, in a third of the room that decimals take."""

from __future__ import annotations

import base64
import zlib

import numpy as np

__all__ = ["Packer"]

Reference = list[int]


class Packer:
    """Collects arrays; `add` says where in the whole an array stands, `text` is the whole.

    The text is base64 of a zlib stream of all float64 numbers, little-endian, their bytes sorted by significance (first the lowest
    byte of every number, then the next), because neighbours have their high bytes in common.

    >>> packer = Packer()
    >>> packer.add(np.array([[1.0, 2.0, 3.0]])), packer.add(np.ones((2, 1)))
    ([0, 1, 3], [3, 2, 1])
    """

    def __init__(self) -> None:
        self._arrays: list[np.ndarray] = []
        self._size = 0

    def add(self, rows: np.ndarray) -> Reference:
        """Take rows `(n_rows, n_columns)` and return where they are: offset, number of rows, number of columns."""
        reference = [self._size, *rows.shape]
        self._arrays.append(np.ascontiguousarray(rows, dtype="<f8").ravel())
        self._size += rows.size
        return reference

    def text(self) -> str:
        """All arrays in the order they came."""
        numbers = np.concatenate(self._arrays) if self._arrays else np.empty(0, dtype="<f8")
        planes = np.ascontiguousarray(numbers.view(np.uint8).reshape(-1, 8).T)
        return base64.b64encode(zlib.compress(planes.tobytes(), 9)).decode("ascii")
