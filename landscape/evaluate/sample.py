"""Which examples a run measures on, and in which order."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from landscape.errors import InputError
from landscape.problem import Examples

__all__ = ["Sample", "choose"]


@dataclass(frozen=True, eq=False)
class Sample:
    """The examples of one split that are used, in the order they are looked at."""

    examples: Examples
    population: int  # size of the whole split
    sha256: str  # of the whole split
    order: str  # "all", "first:N" or "random:N seed S"; with a tolerance also "shuffled seed S"
    indices: np.ndarray | None = None  # (n,) the places of the examples in the split; None: all in their order

    @property
    def size(self) -> int:
        """How many examples are used."""
        return self.examples.size

    @property
    def reach(self) -> int | None:
        """How many examples these are a random sample of, and their errors speak of; None where they are no random sample.

        The first N of a split are none of the split. In a shuffled order, as a tolerance takes them, part of them is one of those N.
        """
        if not self.order.startswith("first:"):
            return self.population
        return self.size if "shuffled" in self.order else None

    @property
    def partial(self) -> bool:
        """Whether a point may have a standard error that is neither none nor 0."""
        return self.reach is not None and ("shuffled" in self.order or self.size < self.reach)

    @property
    def split(self) -> str:
        """The name of the split."""
        return self.examples.split

    def to_attributes(self) -> dict[str, object]:
        """What the file stores of it."""
        return {"sha256": self.sha256, "size": self.population, "used": self.size, "order": self.order}


def choose(examples: Examples, wanted: int | str | None, seed: int, shuffled: bool) -> Sample:
    """Choose examples of a split: all, the first N (`first:N`), or N drawn at random without replacement.

    Args:
        examples: the whole split.
        wanted: None, a number, or `first:N`; more than there are means all.
        seed: of the draw; the same seed draws the same examples from splits of one size.
        shuffled: one fixed random order, as a tolerance needs it, instead of the original one.

    Raises:
        InputError: when `wanted` is of another form.
    """
    size = examples.size
    generator = _generator(seed, examples.split)
    count, first = _wanted(wanted)
    order, indices = "all", None
    if count is not None and count < size:
        indices = np.arange(count) if first else np.sort(generator.choice(size, count, replace=False))
        order = f"first:{count}" if first else f"random:{count} seed {seed}"
    if shuffled:
        indices = generator.permutation(np.arange(size) if indices is None else indices)
        order = f"{order}, shuffled seed {seed}"
    return Sample(examples.select(indices), size, examples.sha256, order, indices)


def _generator(seed: int, split: str) -> np.random.Generator:
    key = hashlib.sha256(f"{seed}/examples/{split}".encode()).digest()[:16]
    return np.random.Generator(np.random.Philox(key=np.frombuffer(key, dtype="<u8").astype(np.uint64)))


def _wanted(wanted: int | str | None) -> tuple[int | None, bool]:
    if wanted is None or wanted == "all":
        return None, False
    text = str(wanted)
    first = text.startswith("first:")
    try:
        count = int(text.removeprefix("first:"))
        if count < 1:
            raise ValueError
    except ValueError:
        raise InputError(f'examples "{wanted}" is neither a number nor first:N; write for example 1000 or first:1000') from None
    return count, first
