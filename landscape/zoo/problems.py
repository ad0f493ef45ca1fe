"""The zoo's problems by name: which model, which data, which loss, and how it is trained."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from landscape.errors import InputError, nearest
from landscape.problem import Problem
from landscape.zoo import datasets
from landscape.zoo.models import MultilayerPerceptron, ResidualNetwork, check_depth

__all__ = ["Blueprint", "Entry", "Recipe", "Setting", "blueprint", "problem", "problems"]

Setting = str | int | float

_WIDEST = 4096  # channels or units; beyond it a typing error is likelier than a wish
_CIFAR10_PIXELS = ((125.3, 123.0, 113.9), (63.0, 62.1, 66.7))  # mean and standard deviation, as in the paper's code


@dataclass(frozen=True)
class Entry:
    """What `landscape problems` lists: a name, one line about it, and the paper and section it comes from."""

    name: str
    description: str
    source: str


@dataclass(frozen=True)
class Recipe:
    """How a problem is trained: SGD with Nesterov momentum, over `epochs` passes through the training examples.

    `milestones`: shares of the epochs after which the learning rate falls to a tenth; without any it follows half a cosine to 0.
    `augmented`: images are shifted by up to 4 pixels and mirrored at random. `largest_gradient`: the norm gradients are clipped at.
    """

    epochs: int
    learning_rate: float = 0.1
    milestones: tuple[float, ...] = ()
    augmented: bool = False
    momentum: float = 0.9
    weight_decay: float = 5e-4
    batch_size: int = 128
    largest_gradient: float = 5.0

    def rate(self, epoch: int) -> float:
        """The learning rate during an epoch, counted from 1.

        >>> [round(Recipe(4, 0.1, milestones=(0.5, 0.75)).rate(epoch), 4) for epoch in (1, 2, 3, 4)]
        [0.1, 0.1, 0.01, 0.001]
        """
        share = (epoch - 1) / self.epochs
        if self.milestones:
            return float(self.learning_rate * 0.1 ** sum(share >= milestone for milestone in self.milestones))
        return self.learning_rate * (1 + math.cos(math.pi * share)) / 2


@dataclass(frozen=True)
class Blueprint:
    """A problem before anything is read or built: what a name and its settings ask for."""

    name: str
    make_model: Callable[[], nn.Module]
    make_data: Callable[[str | os.PathLike[str] | None], datasets.Splits]
    make_loss: Callable[[], nn.Module | datasets.NormalizedCrossEntropy]
    recipe: Recipe

    def build(self, data_dir: str | os.PathLike[str] | None = None, seed: int = 0) -> Problem:
        """The problem with weights drawn from a seed; torch's own random numbers are left as they were.

        Raises:
            InputError: when data are missing or damaged.
        """
        data = self.make_data(data_dir)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            model = self.make_model().eval()
        return Problem(model, self.make_loss(), data, name=self.name)


_ENTRIES = (
    Entry(
        "resnet56",
        "residual network of 56 layers on CIFAR-10 (any depth 6 n + 2: resnet20, resnet110 …; width=16); needs --data-dir",
        "Li et al. 2018, section 5; He et al. 2016, section 4.2",
    ),
    Entry("resnet56-noshort", "the same without shortcuts (any depth 6 n + 2); needs --data-dir", "Li et al. 2018, section 5"),
    Entry(
        "digits-resnet26",
        "residual network of 26 layers on 8x8 digits (any depth 6 n + 2; width=8)",
        "after Li et al. 2018, section 5",
    ),
    Entry("digits-resnet26-noshort", "the same without shortcuts (any depth 6 n + 2)", "after Li et al. 2018, section 5"),
    Entry(
        "digits-mlp-3x64",
        "three hidden layers of 64 ReLU units on 8x8 digits (any number and width: digits-mlp-2x32 …)",
        "after Goodfellow, Vinyals and Saxe 2015, section 3",
    ),
)
_RESIDUAL = re.compile(r"(digits-)?resnet([1-9][0-9]{0,5})(-noshort)?")
_PERCEPTRON = re.compile(r"digits-mlp-([1-9][0-9]?)x([1-9][0-9]{0,5})")


def problems() -> list[Entry]:
    """What the zoo offers; the numbers in a name may be others.

    >>> [entry.name for entry in problems()][:2]
    ['resnet56', 'resnet56-noshort']
    """
    return list(_ENTRIES)


def problem(name: str, data_dir: str | os.PathLike[str] | None = None, **settings: Setting) -> Problem:
    """A problem of the zoo, with untrained weights that are the same at every call.

    >>> problem("digits-resnet8", width=4).splits
    ['train', 'test']

    Raises:
        InputError: for an unknown name or setting, or data that are missing or damaged.
    """
    return blueprint(name, settings).build(data_dir)


def blueprint(name: str, settings: dict[str, Setting] | None = None) -> Blueprint:
    """What a name and its settings ask for; nothing is read yet.

    Raises:
        InputError: for an unknown name or setting, or a value out of range.
    """
    if match := _RESIDUAL.fullmatch(name):
        return _residual(name, match, settings or {})
    if match := _PERCEPTRON.fullmatch(name):
        return _perceptron(name, match, settings or {})
    raise InputError(
        f'the zoo has no problem "{name}": {nearest(name, (entry.name for entry in _ENTRIES))}; "landscape problems" lists them'
    )


def _residual(name: str, match: re.Match[str], settings: dict[str, Setting]) -> Blueprint:
    on_digits, depth, shortcuts = bool(match[1]), int(match[2]), not match[3]
    _check_known(name, settings, ("width",))
    usual = 8 if on_digits else 16
    width = _whole_number(name, settings, "width", usual)
    check_depth(depth)  # now, not after the data are read
    title = name if width == usual else f"{name} width={width}"
    if on_digits:
        recipe = Recipe(epochs=15)
        return Blueprint(
            title,
            lambda: ResidualNetwork(depth, width, shortcuts, n_channels=1),
            lambda _: datasets.digits(),
            nn.CrossEntropyLoss,
            recipe,
        )
    # Li et al. 2018, appendix: 0.1, but 0.01 where a deep network without shortcuts would not train with it
    rate = 0.1 if shortcuts or depth <= 20 else 0.01
    recipe = Recipe(epochs=300, learning_rate=rate, milestones=(150 / 300, 225 / 300, 275 / 300), augmented=True)
    return Blueprint(
        title,
        lambda: ResidualNetwork(depth, width, shortcuts),
        datasets.cifar10,
        lambda: datasets.NormalizedCrossEntropy(*_CIFAR10_PIXELS),
        recipe,
    )


def _perceptron(name: str, match: re.Match[str], settings: dict[str, Setting]) -> Blueprint:
    _check_known(name, settings, ())
    n_hidden, width = int(match[1]), _whole_number(name, {"width": match[2]}, "width", 64)
    return Blueprint(
        name,
        lambda: MultilayerPerceptron(n_hidden=n_hidden, width=width),
        lambda _: datasets.digits(),
        nn.CrossEntropyLoss,
        Recipe(epochs=30),
    )


def _check_known(name: str, settings: dict[str, Setting], known: tuple[str, ...]) -> None:
    for key in settings:
        if key not in known:
            raise InputError(f'{name} has no setting "{key}"; ' + (nearest(key, known) if known else "it has none at all"))


def _whole_number(name: str, settings: dict[str, Setting], key: str, default: int) -> int:
    value = settings.get(key, default)
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not (number.is_integer() and 1 <= number <= _WIDEST):
        raise InputError(f"{name}: {key}={value} is not a whole number from 1 to {_WIDEST}")
    return int(number)
