"""The zoo's problems by name: which network, which data, which loss, and how it is trained."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from landscape.errors import InputError, did_you_mean
from landscape.problem import Problem
from landscape.zoo.architectures import ARCHITECTURES, Architecture, Groups
from landscape.zoo.catalogue import CATALOGUE
from landscape.zoo.data import Splits
from landscape.zoo.recipes import OPTIMIZERS, Recipe
from landscape.zoo.settings import Choice, Number, Setting, Spec, WholeNumber, settle
from landscape.zoo.sources import SOURCES, Augmentation, Loss, Place, Source

__all__ = ["Blueprint", "Entry", "Recipe", "Setting", "blueprint", "describe", "problem", "problems"]

_PREFIX = re.compile(rf"(?:({'|'.join(SOURCES)})-)?(.*)")
_ADAPTIVE_RATE = 1e-3  # where Adam is asked for and no rate


@dataclass(frozen=True)
class Entry:
    """What `landscape problems` lists, each in words.

    Attributes:
        name: of the problem; the numbers in it may be others.
        model: the network.
        data: the data set.
        loss: the loss and the metrics.
        recipe: how it is trained.
        source: the paper and section it comes from.
        settings: what `--set` takes, with the defaults.
        needs_files: whether it wants --data-dir.
    """

    name: str
    model: str
    data: str
    loss: str
    recipe: str
    source: str
    settings: Mapping[str, Setting]
    needs_files: bool

    @property
    def description(self) -> str:
        """Network and data in one line."""
        return f"{self.model}, on {self.data}{'; needs --data-dir' if self.needs_files else ''}"


@dataclass(frozen=True)
class Blueprint:
    """A problem before anything is read or built: what a name and its settings ask for."""

    name: str
    make_model: Callable[[], nn.Module]
    make_data: Callable[[Place, bool], Splits]
    make_loss: Callable[[], Loss]
    recipe: Recipe
    augment: Augmentation | None = None
    large: bool = False
    evaluation_batch: int = 500

    def build(self, data_dir: Place = None, seed: int = 0, download: bool = False) -> Problem:
        """The problem with weights drawn from a seed; torch's own random numbers are left as they were.

        Args:
            data_dir: the folder its files are in.
            seed: of the weights.
            download: fetch files that are missing.

        Raises:
            InputError: when data are missing or damaged.
        """
        data = self.make_data(data_dir, download)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            model = self.make_model().eval()
        return Problem(model, self.make_loss(), data, name=self.name)


def problems() -> list[Entry]:
    """What the zoo offers; the numbers in a name may be others.

    >>> [entry.name for entry in problems()][:2]
    ['moons-softmax', 'moons-mlp-2x16']
    """
    return [_entry(name, words, source) for name, words, source in CATALOGUE]


def describe(name: str) -> Entry:
    """One problem in words, also one whose name has other numbers than those listed.

    >>> describe("digits-resnet8").settings["width"]
    8

    Raises:
        InputError: for an unknown name.
    """
    source_name, architecture, groups = _find(name)
    architecture.check(name, groups)
    listed = {known: (words, paper) for known, words, paper in CATALOGUE}
    kin = next((known for known in listed if _find(known)[:2] == (source_name, architecture)), None)
    kin = kin or next(known for known in listed if _find(known)[1] is architecture)
    words, paper = listed.get(name) or (f"a network of the kind of {kin}", listed[kin][1])
    return _entry(name, words, paper)


def problem(name: str, data_dir: Place = None, **settings: Setting) -> Problem:
    """A problem of the zoo, with untrained weights that are the same at every call.

    >>> problem("digits-resnet8", width=4).splits
    ['train', 'test']

    Raises:
        InputError: for an unknown name or setting, or data that are missing or damaged.
    """
    return blueprint(name, settings).build(data_dir)


def blueprint(name: str, settings: Mapping[str, Setting] | None = None) -> Blueprint:
    """What a name and its settings ask for; nothing is read yet.

    Raises:
        InputError: for an unknown name or setting, or a value out of range.
    """
    source_name, architecture, groups = _find(name)
    source = SOURCES[source_name]
    architecture.check(name, groups)
    own, spec = _specs(source_name, architecture, groups)
    values = settle(name, spec, settings or {})
    mine, theirs = ({key: values[key] for key in part} for part in (architecture.spec(source_name), source.spec))
    both = {**theirs, **mine}
    recipe = _recipe(architecture.recipe(groups, both, source), values, settings or {})
    changed = [f"{key}={values[key]}" for key in own if values[key] != own[key].default]
    for_model = both if source.kind == "text" else mine  # a language model has to know the size of the vocabulary
    return Blueprint(
        " ".join([name, *changed]),
        lambda: architecture.make(groups, for_model, source),
        lambda place, download: source.read(both, place, download),
        lambda: source.loss(both),
        recipe,
        source.augment,
        source.large,
        source.evaluation_batch,
    )


def _find(name: str) -> tuple[str, Architecture, Groups]:
    found = _PREFIX.fullmatch(name)
    source_name, rest = (found[1], found[2]) if found else (None, name)
    for architecture in ARCHITECTURES:
        groups = architecture.match(rest)
        home = source_name or architecture.home
        if groups is not None and home is not None and SOURCES[home].kind in architecture.kinds:
            return home, architecture, groups
    raise InputError(
        f'the zoo has no problem "{name}": {did_you_mean(name, (known for known, _, _ in CATALOGUE))}; "landscape problems" lists them'
    )


def _specs(source_name: str, architecture: Architecture, groups: Groups) -> tuple[Spec, Spec]:
    """The settings of network and data, and those together with the recipe's."""
    source = SOURCES[source_name]
    own: Spec = {**architecture.spec(source_name), **source.spec}
    usual = architecture.recipe(groups, {key: kind.default for key, kind in own.items()}, source)
    size: Spec = {"unroll": WholeNumber(usual.unroll)} if usual.unroll else {"batch_size": WholeNumber(usual.batch_size, 1, 65536)}
    recipe: Spec = {
        "optimizer": Choice(usual.optimizer, OPTIMIZERS),
        "learning_rate": Number(usual.learning_rate, 0.0, 1e6),
        **size,
        "momentum": Number(usual.momentum, 0.0, 0.9999),
        "weight_decay": Number(usual.weight_decay, 0.0, 1e3),
        "largest_gradient": Number(usual.largest_gradient, 1e-9, 1e9),
        "augmented": Choice("yes" if usual.augmented else "no", ("yes", "no") if source.augment else ("no",)),
    }
    return own, {**own, **recipe}


def _recipe(usual: Recipe, values: Mapping[str, Any], given: Mapping[str, Setting]) -> Recipe:
    """The usual recipe, with what was given in place of its own."""
    changes = {key: values[key] for key in given if hasattr(usual, key) and key != "augmented"}
    if "augmented" in given:
        changes["augmented"] = values["augmented"] == "yes"
    if changes.get("optimizer", "sgd") != "sgd" and usual.optimizer == "sgd":
        changes.setdefault("learning_rate", _ADAPTIVE_RATE)
    return replace(usual, **changes)


def _entry(name: str, words: str, paper: str) -> Entry:
    source_name, architecture, groups = _find(name)
    source: Source = SOURCES[source_name]
    _, spec = _specs(source_name, architecture, groups)
    return Entry(
        name,
        words,
        source.title,
        source.measures,
        blueprint(name).recipe.describe(),
        paper,
        {key: kind.default for key, kind in spec.items()},
        source.needs_files,
    )
