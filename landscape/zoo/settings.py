"""Settings: what `--set key=value` may say, and what of it is wrong."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from landscape.errors import InputError, did_you_mean

__all__ = ["Choice", "Number", "Setting", "Spec", "WholeNumber", "settle"]

Setting = str | int | float


@dataclass(frozen=True)
class WholeNumber:
    """A whole number from `least` to `most`."""

    default: int
    least: int = 1
    most: int = 4096  # channels or units; beyond it a typing error is likelier than a wish

    def read(self, name: str, key: str, value: Setting) -> int:
        """The number a value means.

        Raises:
            InputError: when it is none, or out of range.
        """
        number = _number(value)
        if not (number.is_integer() and self.least <= number <= self.most):
            raise InputError(f"{name}: {key}={value} is not a whole number from {self.least} to {self.most}")
        return int(number)


@dataclass(frozen=True)
class Number:
    """A number from `least` to `most`."""

    default: float
    least: float = 0.0
    most: float = 1.0

    def read(self, name: str, key: str, value: Setting) -> float:
        """The number a value means.

        Raises:
            InputError: when it is none, or out of range.
        """
        number = _number(value)
        if not self.least <= number <= self.most:
            raise InputError(f"{name}: {key}={value} is not a number from {self.least:g} to {self.most:g}")
        return number


@dataclass(frozen=True)
class Choice:
    """One of some words."""

    default: str
    words: tuple[str, ...]

    def read(self, name: str, key: str, value: Setting) -> str:
        """The word a value is.

        Raises:
            InputError: when it is none of them.
        """
        if value not in self.words:
            raise InputError(f"{name}: {key}={value} is unknown: {did_you_mean(str(value), self.words)}")
        return str(value)


Spec = Mapping[str, WholeNumber | Number | Choice]


def settle(name: str, spec: Spec, settings: Mapping[str, Setting]) -> dict[str, Any]:
    """All settings of a spec, those not given at their defaults.

    Raises:
        InputError: for a key that is not in the spec, or a value out of range.
    """
    for key in settings:
        if key not in spec:
            raise InputError(f'{name} has no setting "{key}"; ' + did_you_mean(key, spec))
    return {key: kind.read(name, key, settings.get(key, kind.default)) for key, kind in spec.items()}


def _number(value: Setting) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan
