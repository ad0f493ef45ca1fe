"""The networks by name: what the numbers in a name and the settings mean, and the recipe each is trained by."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from landscape.zoo import models
from landscape.zoo.recipes import Recipe
from landscape.zoo.settings import Choice, Number, Spec, WholeNumber
from landscape.zoo.sources import Source

__all__ = ["ARCHITECTURES", "Architecture", "Groups"]

Groups = tuple[str | None, ...]  # what the pattern of a name found
Values = dict[str, Any]

_UNITS: Spec = {"units": Choice("relu", models.ACTIVATIONS), "init": Choice("torch", models.INITIALIZATIONS)}
_SIZE = r"([1-9][0-9]?)x([1-9][0-9]{0,5})"
_NUMBER = r"([1-9][0-9]{0,5})"
_LONGEST = 1_000_000  # tokens; no stream of the data sets here has so many
_STREAMS: Spec = {"streams": WholeNumber(20), "length": WholeNumber(_LONGEST, 1, _LONGEST), "dropout": Number(0.0, 0.0, 0.95)}
_WIDTH = WholeNumber(1)


@dataclass(frozen=True)
class Architecture:
    """A family of networks.

    Attributes:
        pattern: what its names look like after the data set's.
        kinds: the kinds of data it takes.
        make: the network, from what the pattern found, its settings and its data set.
        recipe: likewise.
        spec: its settings, by data set.
        check: refuses numbers in a name that no network has, before any data are read.
        home: the data set that need not be named.
    """

    pattern: str
    kinds: tuple[str, ...]
    make: Callable[[Groups, Values, Source], nn.Module]
    recipe: Callable[[Groups, Values, Source], Recipe]
    spec: Callable[[str], Spec] = field(default=lambda source: {})
    check: Callable[[str, Groups], None] = field(default=lambda name, groups: None)
    home: str | None = None

    def match(self, text: str) -> Groups | None:
        """What the pattern finds in a name, None where it does not fit."""
        found = re.fullmatch(self.pattern, text)
        return found.groups() if found else None


def _whole(text: str | None) -> int:
    return int(text or 0)


def _check_size(name: str, groups: Groups) -> None:
    _WIDTH.read(name, "width", groups[1] or "")


def _small_recipe(groups: Groups, values: Values, source: Source) -> Recipe:
    """Of networks that train in seconds or minutes."""
    if source.kind == "points":
        return Recipe(epochs=60, batch_size=50, weight_decay=0.0)
    if not source.large:
        return Recipe(epochs=30)
    return Recipe(epochs=20, learning_rate=0.02)


def _resnet(groups: Groups, values: Values, source: Source) -> nn.Module:
    depth, shortcuts, batch_norm = _whole(groups[0]), not groups[1], not groups[2]
    return models.ResidualNetwork(depth, values["width"], shortcuts, source.shape[0], source.n_classes, batch_norm)


def _resnet_recipe(groups: Groups, values: Values, source: Source) -> Recipe:
    if not source.large:
        return Recipe(epochs=15, learning_rate=0.02 if groups[2] else 0.1)
    # Li et al. 2018, appendix: 0.1, but 0.01 where a deep network without shortcuts would not train with it
    rate = 0.01 if groups[2] or (groups[1] and _whole(groups[0]) > 20) else 0.1
    return _long_recipe(rate, source)


def _long_recipe(rate: float, source: Source) -> Recipe:
    return Recipe(
        epochs=300, learning_rate=rate, milestones=(150 / 300, 225 / 300, 275 / 300), augmented=source.augment is not None
    )


def _vgg_recipe(groups: Groups, values: Values, source: Source) -> Recipe:
    rate = 0.01 if groups[0] else 0.1
    return _long_recipe(rate, source) if source.large else Recipe(epochs=15, learning_rate=rate)


def _wide_recipe(groups: Groups, values: Values, source: Source) -> Recipe:
    if not source.large:
        return Recipe(epochs=15)
    return Recipe(epochs=200, milestones=(60 / 200, 120 / 200, 160 / 200), factor=0.2, augmented=source.augment is not None)


def _dense_recipe(groups: Groups, values: Values, source: Source) -> Recipe:
    if not source.large:
        return Recipe(epochs=15, weight_decay=1e-4, batch_size=64)
    augmented = source.augment is not None
    return Recipe(epochs=300, milestones=(0.5, 0.75), augmented=augmented, weight_decay=1e-4, batch_size=64)


def _lstm(groups: Groups, values: Values, source: Source) -> nn.Module:
    n_words = values.get("vocabulary", source.n_classes)
    return models.LanguageLSTM(n_words, _whole(groups[0]), _whole(groups[1]), values["dropout"], values["scale"])


def _lstm_recipe(groups: Groups, values: Values, source: Source) -> Recipe:
    """Zaremba et al. 2014, section 4.1: small, medium and large.

    Their loss is a sum over the tokens of a step, ours a mean: their rate 1 and norm 5 are here 1 × tokens and 5 / tokens.
    """
    width = _whole(groups[1])
    unroll, epochs, held, factor, norm = 20, 13, 4, 0.5, 5.0
    if width >= 1500:
        unroll, epochs, held, factor, norm = 35, 55, 14, 1 / 1.15, 10.0
    elif width >= 650:
        unroll, epochs, held, factor, norm = 35, 39, 6, 1 / 1.2, 5.0
    return Recipe(
        epochs=epochs,
        learning_rate=float(unroll),
        milestones=(held / epochs,),
        momentum=0.0,
        weight_decay=0.0,
        batch_size=values["streams"],
        largest_gradient=norm / unroll,
        factor=factor,
        falling=True,
        unroll=unroll,
    )


def _lstm_spec(source: str) -> Spec:
    return {**_STREAMS, "scale": Number(0.1, 0.0, 10.0)}


def _gpt(groups: Groups, values: Values, source: Source) -> nn.Module:
    n_words = values.get("vocabulary", source.n_classes)
    n_layers, width = _whole(groups[0]), _whole(groups[1])
    return models.GPT(n_words, n_layers, width, values["heads"], values["context"], values["dropout"])


def _gpt_recipe(groups: Groups, values: Values, source: Source) -> Recipe:
    return Recipe(epochs=10, learning_rate=1e-3, weight_decay=0.1, batch_size=32, largest_gradient=1.0, optimizer="adamw")


def _mask_recipe(groups: Groups, values: Values, source: Source) -> Recipe:
    if not source.large:
        return Recipe(epochs=15, learning_rate=0.01, augmented=True, weight_decay=0.0, batch_size=4, optimizer="adam")
    return Recipe(epochs=60, learning_rate=1e-3, augmented=True, weight_decay=0.0, batch_size=2, optimizer="adam")


def _cnn(groups: Groups, values: Values, source: Source) -> nn.Module:
    return models.ConvolutionalNetwork(n_channels=source.shape[0], n_classes=source.n_classes, **values)


_CNN_SPEC: Spec = {
    "n_layers": WholeNumber(2, 1, 4),
    "width": WholeNumber(16, 1, 512),
    "padding": Choice("same", models.PADDINGS),
    "stride": WholeNumber(1, 1, 3),
    "pooling": Choice("max", models.POOLINGS),
    "units": Choice("relu", models.ACTIVATIONS),
    "init": Choice("he", models.INITIALIZATIONS),
}

ARCHITECTURES: tuple[Architecture, ...] = (
    Architecture(
        "softmax",
        ("points", "images"),
        lambda groups, values, source: models.SoftmaxRegression(source.n_inputs, source.n_classes),
        _small_recipe,
    ),
    Architecture(
        f"mlp-{_SIZE}",
        ("points", "images"),
        lambda groups, values, source: models.MultilayerPerceptron(
            source.n_inputs, _whole(groups[0]), _whole(groups[1]), source.n_classes, **values
        ),
        _small_recipe,
        lambda source: _UNITS,
        _check_size,
    ),
    Architecture(
        f"residual-{_SIZE}(-noshort)?",
        ("points", "images"),
        lambda groups, values, source: models.ResidualPerceptron(
            source.n_inputs, _whole(groups[0]), _whole(groups[1]), source.n_classes, shortcuts=not groups[2], **values
        ),
        _small_recipe,
        lambda source: {**_UNITS, "init": Choice("he", models.INITIALIZATIONS)},
        _check_size,
    ),
    Architecture("cnn", ("images",), _cnn, _small_recipe, lambda source: _CNN_SPEC),
    Architecture(
        f"resnet{_NUMBER}(-noshort)?(-nobn)?",
        ("images",),
        _resnet,
        _resnet_recipe,
        lambda source: {"width": WholeNumber(8 if source == "digits" else 16)},
        lambda name, groups: models.check_depth(_whole(groups[0])),
        home="cifar10",
    ),
    Architecture(
        f"wrn{_NUMBER}-([1-9][0-9]?)",
        ("images",),
        lambda groups, values, source: models.WideResidualNetwork(
            _whole(groups[0]), _whole(groups[1]), source.shape[0], source.n_classes
        ),
        _wide_recipe,
        check=lambda name, groups: models.check_wide_depth(_whole(groups[0])),
        home="cifar10",
    ),
    Architecture(
        "vgg9(-nobn)?",
        ("images",),
        lambda groups, values, source: models.VGG9(
            values["width"], not groups[0], source.shape[1], source.shape[0], source.n_classes
        ),
        _vgg_recipe,
        lambda source: {"width": WholeNumber(8 if source == "digits" else 64, 1, 1024)},
        home="cifar10",
    ),
    Architecture(
        f"densenet{_NUMBER}",
        ("images",),
        lambda groups, values, source: models.DenseNet(_whole(groups[0]), values["growth"], source.shape[0], source.n_classes),
        _dense_recipe,
        lambda source: {"growth": WholeNumber(12, 1, 256)},
        lambda name, groups: models.check_dense_depth(_whole(groups[0])),
        home="cifar10",
    ),
    Architecture(f"lstm-{_SIZE}", ("text",), _lstm, _lstm_recipe, _lstm_spec, _check_size),
    Architecture(
        f"gpt-{_SIZE}",
        ("text",),
        _gpt,
        _gpt_recipe,
        lambda source: {"context": WholeNumber(64), "heads": WholeNumber(4, 1, 64), "dropout": Number(0.0, 0.0, 0.95)},
        _check_size,
    ),
    Architecture(
        "unet(-noskip)?",
        ("masks",),
        lambda groups, values, source: models.EncoderDecoder(
            values["width"], values["n_levels"], not groups[0], source.shape[0], source.n_classes
        ),
        _mask_recipe,
        lambda source: {"width": WholeNumber(8 if source == "cells" else 16, 1, 256), "n_levels": WholeNumber(3, 1, 6)},
    ),
    Architecture(
        "fcn",
        ("masks",),
        lambda groups, values, source: models.FullyConvolutional(values["width"], source.shape[0], source.n_classes),
        _mask_recipe,
        lambda source: {"width": WholeNumber(8 if source == "cells" else 16, 1, 256)},
    ),
)
