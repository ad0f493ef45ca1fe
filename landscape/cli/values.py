"""The values of options: what their texts mean, and what is wrong with those that mean nothing."""

from __future__ import annotations

import argparse
import re

from landscape.core.grid import parse_axis
from landscape.errors import InputError
from landscape.sweep.seeds import check_seeds

__all__ = ["axis", "examples", "seeds", "setting", "words"]


def axis(text: str) -> tuple[float, float, int]:
    """start:stop:n as three numbers."""
    try:
        return parse_axis(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def examples(text: str) -> int | str:
    """A number of examples, or first:N as it stands."""
    return int(text) if re.fullmatch("[0-9]{1,18}", text) else text


def seeds(text: str) -> list[int]:
    """first..last, or a list with commas, as numbers."""
    try:
        first, dots, last = text.partition("..")
        asked = range(int(first), int(last) + 1) if dots else [int(seed) for seed in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f'"{text}" is neither first..last nor a list of whole numbers') from None
    if len(asked[:2]) < 2:
        raise argparse.ArgumentTypeError(f'"{text}" has to name two different seeds at least; for one, use --seed')
    try:
        return list(check_seeds(asked))
    except InputError as error:
        raise argparse.ArgumentTypeError(f'"{text}": {error}') from None


def setting(text: str) -> tuple[str, str]:
    """key=value as a pair."""
    key, equals, value = text.partition("=")
    if not (key and equals and value):
        raise argparse.ArgumentTypeError(f'"{text}" is not key=value')
    return key, value


def words(text: str) -> list[str]:
    """A list with commas as its words."""
    return [word.strip() for word in text.split(",")]
