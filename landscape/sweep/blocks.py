"""Blocks: the points computed at once, and the part of them that one run looks after."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from landscape.errors import InputError

__all__ = ["Index", "Part", "blocks_of"]

Index = tuple[int, ...]
_MOST_PARTS = 1_000_000


def blocks_of(first: Sequence[Index], indices: Iterable[Index], size: int) -> list[list[Index]]:
    """All points of a grid in blocks of `size`, those of `first` ahead of the others.

    Which points share a block follows from the grid alone: not from what is measured already, from parts or from ranks. A block
    is computed and recorded whole. So its values, which may depend on each other in their last digits, are the same for everybody.
    """
    ahead = set(first)
    ordered = [*first, *(index for index in indices if index not in ahead)]
    return [ordered[start : start + size] for start in range(0, len(ordered), size)]


@dataclass(frozen=True)
class Part:
    """Part `number` of `n_parts` of a surface's blocks: every n-th, so that each part is a coarse picture of the whole."""

    number: int = 1
    n_parts: int = 1

    @classmethod
    def of(cls, text: str | None) -> Part:
        """The part a text such as 3/10 names; all there is for None.

        >>> Part.of("3/10")
        Part(number=3, n_parts=10)

        Raises:
            InputError: when it names none.
        """
        if text is None:
            return cls()
        found = re.fullmatch(r"\s*([0-9]{1,9})\s*/\s*([0-9]{1,9})\s*", str(text))
        if not found or not 1 <= int(found[1]) <= int(found[2]) <= _MOST_PARTS:
            raise InputError(f'part "{str(text)[:40]}" is not like 3/10: the third of ten, counted from 1')
        return cls(int(found[1]), int(found[2]))

    def of_blocks(self, blocks: Sequence[list[Index]]) -> Sequence[list[Index]]:
        """The blocks that belong to this part."""
        return blocks[self.number - 1 :: self.n_parts]

    def __str__(self) -> str:
        return f"{self.number}/{self.n_parts}" if self.n_parts > 1 else ""
