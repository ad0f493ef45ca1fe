"""Seeds: whole numbers, each once, checked before anything is measured."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Iterable
from typing import Any

import numpy as np

from landscape.errors import InputError

__all__ = ["MOST_SEEDS", "check_seed", "check_seeds", "read_seeds"]

MOST_SEEDS = 10_000  # of one line; each draw is a copy of the weights in memory
_LARGEST = 2**53  # the axis of several seeds is float64


def check_seed(seed: Any) -> int:
    """A seed as the whole number it is: Python's, numpy's or torch's.

    A direction is drawn from the seed's digits, so that 1, 1.0 and True would be three directions.

    Raises:
        InputError: when it is none, or beyond ±2^53.
    """
    try:
        if isinstance(seed, bool | np.bool_) or str(getattr(seed, "dtype", "")).endswith("bool"):
            raise TypeError
        number = operator.index(seed)
    except (TypeError, ValueError, RuntimeError):
        raise InputError(f"the seed is {_shown(seed)}; a seed is a whole number such as 0") from None
    if abs(number) > _LARGEST:
        raise InputError(f"the seed {_shown(number)} is too large; seeds go from -2^53 to 2^53")
    return number


def check_seeds(seeds: Any) -> tuple[int, ...]:
    """Several seeds as whole numbers, in their order.

    >>> check_seeds(range(1, 4))
    (1, 2, 3)

    Raises:
        InputError: when they are no list of seeds, none at all, more than 10,000, or name one twice.
    """
    advice = "give a list of whole numbers such as range(1, 11)"
    if isinstance(seeds, str | bytes | dict) or not isinstance(seeds, Iterable) or getattr(seeds, "ndim", 1) != 1:
        raise InputError(f"seeds are {_shown(seeds)}; {advice}, or one number as seed=")
    chosen = list(itertools.islice(seeds, MOST_SEEDS + 1))
    if not chosen:
        raise InputError(f"no seeds: {advice}, or leave them out")
    if len(chosen) > MOST_SEEDS:
        raise InputError(f"more than {MOST_SEEDS:,} seeds; ten or a hundred show the spread")
    numbers = [check_seed(seed) for seed in chosen]
    seen: set[int] = set()
    for number in numbers:
        if number in seen:
            raise InputError(f"the seed {number} is named twice; name each once, for two draws of one seed are one direction")
        seen.add(number)
    return tuple(numbers)


def read_seeds(text: str) -> list[int] | range:
    """Seeds as the command line has them: first..last, or a list with commas.

    >>> read_seeds("1..3"), read_seeds("4,7")
    (range(1, 4), [4, 7])

    Raises:
        InputError: when they are neither, or fewer than two.
    """
    try:
        first, dots, last = text.partition("..")
        asked = range(int(first), int(last) + 1) if dots else [int(seed) for seed in text.split(",")]
    except ValueError:
        raise InputError(f'"{text}" is neither first..last nor a list of whole numbers') from None
    if len(asked[:2]) < 2:
        raise InputError(f'"{text}" has to name two different seeds at least; for one, use --seed')
    return asked


def _shown(value: Any) -> str:
    """A value in few letters, and what it is where that is not plain."""
    try:
        text = " ".join(repr(value).split())
    except Exception:  # numbers of more digits than Python prints, and whatever a repr may raise
        text = f"a {type(value).__name__}"
    return text if len(text) <= 60 else f"{text[:57]}..."
