"""Net2Net: a wider or deeper net that computes what a trained one does (Chen, Goodfellow and Shlens 2016)."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from landscape.core.weights import Weights, read
from landscape.errors import InputError, did_you_mean
from landscape.zoo.models import VGG9, ConvolutionalNetwork, MultilayerPerceptron
from landscape.zoo.models.cnn import Pooling
from landscape.zoo.models.layers import Maxout

__all__ = ["Growth", "deepen", "hidden_layers", "widen"]

_NETS = (MultilayerPerceptron, ConvolutionalNetwork, VGG9)  # their modules come one after the other
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
_UNITS = (nn.ReLU, nn.Sigmoid, nn.Tanh, Maxout)
_PASSIVE = (nn.Sequential, nn.Flatten, nn.MaxPool2d, Pooling)  # take each channel by itself, and have no weights
_LARGEST_SEED = 2**63  # torch's generators take smaller ones


@dataclass(frozen=True)
class _Layer:
    """A linear layer or convolution, and what stands between it and the next."""

    name: str
    module: nn.Linear | nn.Conv2d
    norms: tuple[str, ...] = ()
    units: tuple[str, nn.Module] | None = None

    @property
    def n_pieces(self) -> int:
        """Rows of the weight that make one unit."""
        return self.units[1].n_pieces if self.units is not None and isinstance(self.units[1], Maxout) else 1

    @property
    def width(self) -> int:
        """Units, or channels."""
        return self.module.weight.shape[0] // self.n_pieces


@dataclass(frozen=True, eq=False)
class _Move:
    """Where a tensor of the teacher goes, linearly: rows taken by index, then columns, each divided by how often it was taken."""

    name: str
    rows: Tensor | None = None  # (n_rows,) int64
    columns: Tensor | None = None  # (n_columns,) int64
    counts: Tensor | None = None  # (n_columns,) int64

    def __call__(self, tensor: Tensor) -> Tensor:
        if self.rows is not None:
            tensor = tensor[self.rows]
        if self.columns is not None and self.counts is not None:
            tensor = tensor[:, self.columns] / self.counts.view(1, -1, *(1 for _ in tensor.shape[2:]))
        return tensor.clone()


@dataclass(frozen=True, eq=False)
class Growth:
    """A student that computes what its teacher does, and how the teacher's weights become the student's.

    The weights map affinely, θ ↦ Gθ + c, and hence directions linearly, δ ↦ Gδ: the student at `weights(θ*)` + a · `direction(δ)` +
    b · `direction(η)` computes what the teacher does at θ* + a δ + b η, so that their planes show one surface.

    Attributes:
        model: the student, with weights of its own.
    """

    model: nn.Module
    _shapes: Mapping[str, torch.Size] = field(repr=False)  # of the teacher's tensors
    _moves: Mapping[str, _Move] = field(repr=False)
    _constants: Weights = field(default_factory=dict, repr=False)

    def weights(self, weights: Mapping[str, Tensor]) -> Weights:
        """Weights of the student that compute what these weights of the teacher do: Gθ + c.

        Raises:
            InputError: when they are not the teacher's, by name and shape.
        """
        for name in self._shapes:
            if name not in weights:
                raise InputError(f"the weights lack {name}, which the teacher has; give the teacher's weights")
        grown = self.direction(weights)
        like = next(iter(grown.values()))
        return grown | {name: tensor.to(like) for name, tensor in self._constants.items()}

    def direction(self, direction: Mapping[str, Tensor]) -> Weights:
        """The direction of the student that changes what it computes as this one does in the teacher: Gδ, in the same type.

        Tensors left out do not move; neither does what was inserted.

        Raises:
            InputError: for a tensor that the teacher has not, or of another shape.
        """
        grown = {}
        for name, tensor in direction.items():
            if name not in self._shapes:
                raise InputError(f"the teacher has no {name}: {did_you_mean(name, self._shapes)}")
            if tensor.shape != self._shapes[name]:
                raise InputError(f"{name} has shape {tuple(tensor.shape)}, the teacher's {tuple(self._shapes[name])}")
            move = self._moves[name]
            grown[move.name] = move(tensor.detach().cpu())
        return grown


def hidden_layers(model: nn.Module) -> dict[str, int]:
    """The hidden layers that `widen` and `deepen` can work on, by the name of their module, and their units or channels.

    >>> hidden_layers(MultilayerPerceptron(n_hidden=2, width=32))
    {'1': 32, '3': 32}

    Raises:
        InputError: for a net that is not one layer after the other: a `MultilayerPerceptron`, `ConvolutionalNetwork` or `VGG9`.
    """
    return {layer.name: layer.width for layer in _layers(model)[:-1]}


def widen(model: nn.Module, widths: Mapping[str, int], seed: int = 0) -> Growth:
    """Replicate units of hidden layers, and divide what goes out of them by how often they are there (Chen et al. 2016, section 2.2).

    Units stay where they are, and the new ones copy units drawn at random. No noise is added: copies get equal gradients and stay
    equal in a training without dropout.

    Args:
        model: the teacher, of any activation, with or without batch norm; it is left as it is.
        widths: units or channels by the name of a hidden layer; those not named keep theirs.
        seed: of the draw.

    >>> teacher = MultilayerPerceptron(n_hidden=1, width=32)
    >>> growth = widen(teacher, {"1": 48})
    >>> [tuple(parameter.shape) for parameter in growth.model.parameters()]
    [(48, 64), (48,), (10, 48), (10,)]
    >>> inputs = torch.rand(5, 64)
    >>> bool((growth.model(inputs) - teacher(inputs)).abs().max() < 1e-5)
    True

    Raises:
        InputError: for an unknown layer, a width smaller than before, a net it does not know, or a seed out of range.
    """
    layers = _layers(model)
    _check_widths(hidden_layers(model), widths)
    if not 0 <= seed < _LARGEST_SEED:
        raise InputError(f"the seed {seed} is not a whole number from 0 to 2^63 - 1")
    generator = torch.Generator().manual_seed(seed)
    moves = {name: _Move(name) for name in read(model)}
    columns = counts = None  # of the layer at hand, as the one before it was widened
    for i, layer in enumerate(layers):
        rows = pieces = None
        width = widths.get(layer.name, layer.width)
        if width > layer.width:
            drawn = torch.randint(layer.width, (width - layer.width,), generator=generator)
            rows = torch.cat([torch.arange(layer.width), drawn])
            pieces = _spread(rows, layer.n_pieces)
        weight = f"{layer.name}.weight"
        moves[weight] = _Move(weight, pieces, columns, counts)
        for name in [f"{layer.name}.bias", *(name for name in moves if name.rpartition(".")[0] in layer.norms)]:
            if name in moves:
                moves[name] = _Move(name, pieces)
        columns = counts = None
        if rows is not None:
            n_pixels = _inputs(layers[i + 1].module) // layer.width  # of a map that is flattened, channel by channel
            columns, counts = _spread(rows, n_pixels), _spread_values(torch.bincount(rows)[rows], n_pixels)
    return _grown(model, copy.deepcopy(model), moves)


def deepen(model: nn.Module, after: str) -> Growth:
    """Insert a layer whose weights are the identity, and a ReLU, behind a hidden layer of ReLUs (Chen et al. 2016, section 2.3).

    ReLU(I · ReLU(h)) is ReLU(h), so that nothing changes, at no weights of the teacher. Of convolutions it is a 3x3 kernel whose
    centre is one, before any pooling. No batch norm is inserted.

    Args:
        model: the teacher; it is left as it is.
        after: the name of a hidden layer.

    >>> growth = deepen(MultilayerPerceptron(n_hidden=1, width=32), after="1")
    >>> [tuple(parameter.shape) for parameter in growth.model.parameters()]
    [(32, 64), (32,), (32, 32), (32,), (10, 32), (10,)]

    Raises:
        InputError: for an unknown layer, units that are no ReLUs, or a net it does not know.
    """
    names = hidden_layers(model)
    if after not in names:
        raise InputError(f'the net has no hidden layer "{after}": {did_you_mean(after, names)}')
    layer = next(layer for layer in _layers(model) if layer.name == after)
    if layer.units is None or not isinstance(layer.units[1], nn.ReLU):
        units = "none" if layer.units is None else type(layer.units[1]).__name__
        raise InputError(
            f"the units of layer {after} are {units}, through which the identity does not pass; deepen behind ReLU units"
        )
    student = copy.deepcopy(model)
    modules = dict(student.named_modules())
    home, _, place = layer.units[0].rpartition(".")
    sequence = modules[home]
    assert isinstance(sequence, nn.Sequential)
    identity = _identity(layer)
    for offset, module in enumerate((identity, nn.ReLU()), 1):
        sequence.insert(int(place) + offset, module.train(model.training))
    renamed = {module: name for name, module in student.named_modules()}
    moves = {}
    for name in read(model):
        prefix, _, leaf = name.rpartition(".")
        moves[name] = _Move(f"{renamed[modules[prefix]]}.{leaf}")
    constants = {f"{renamed[identity]}.{leaf}": tensor for leaf, tensor in read(identity).items()}
    return _grown(model, student, moves, constants)


def _layers(model: nn.Module) -> list[_Layer]:
    if not isinstance(model, _NETS):
        known = ", ".join(net.__name__ for net in _NETS)
        raise InputError(f"a {type(model).__name__} cannot be widened or deepened; take one of: {known}")
    layers: list[_Layer] = []
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            layers.append(_Layer(name, module))
        elif layers and isinstance(module, _NORMS):
            last = layers.pop()
            layers.append(_Layer(last.name, last.module, (*last.norms, name), last.units))
        elif layers and isinstance(module, _UNITS):
            last = layers.pop()
            layers.append(_Layer(last.name, last.module, last.norms, (name, module)))
        elif module is not model and not isinstance(module, _PASSIVE):
            raise InputError(f"{name} is a {type(module).__name__}, for which there is no widening or deepening rule")
    return layers


def _check_widths(names: Mapping[str, int], widths: Mapping[str, int]) -> None:
    for name, width in widths.items():
        if name not in names:
            raise InputError(f'the net has no hidden layer "{name}": {did_you_mean(str(name), names)}')
        if isinstance(width, bool) or not isinstance(width, int):
            raise InputError(f"{width!r} units for layer {name} are not a whole number")
        if width < names[name]:
            raise InputError(f"{width} units for layer {name} are fewer than the {names[name]} it has; a net can only grow")


def _inputs(module: nn.Linear | nn.Conv2d) -> int:
    return module.weight.shape[1]


def _spread(index: Tensor, n: int) -> Tensor:
    """Indices `(m,)` of blocks of n neighbours to those of their entries, `(m · n,)`."""
    return (index.view(-1, 1) * n + torch.arange(n)).flatten()


def _spread_values(values: Tensor, n: int) -> Tensor:
    return values.view(-1, 1).expand(-1, n).flatten()


def _identity(layer: _Layer) -> nn.Linear | nn.Conv2d:
    """A layer that returns what it is given, of the type and on the device of another."""
    weight, width = layer.module.weight, layer.width
    made: nn.Linear | nn.Conv2d
    if isinstance(layer.module, nn.Linear):
        made = nn.Linear(width, width, device=weight.device, dtype=weight.dtype)
        nn.init.eye_(made.weight)
    else:
        made = nn.Conv2d(width, width, 3, padding=1, device=weight.device, dtype=weight.dtype)
        nn.init.dirac_(made.weight)
    assert made.bias is not None
    nn.init.zeros_(made.bias)
    return made


def _grown(teacher: nn.Module, student: nn.Module, moves: Mapping[str, _Move], constants: Weights | None = None) -> Growth:
    """The student with its weights in place, and modules that say the sizes they have."""
    weights = read(teacher)
    growth = Growth(student, {name: tensor.shape for name, tensor in weights.items()}, moves, constants or {})
    owners = dict(student.named_modules())
    for name, tensor in growth.weights(weights).items():
        prefix, _, leaf = name.rpartition(".")
        owner, old = owners[prefix], getattr(owners[prefix], leaf)
        value = tensor.to(old.device)
        setattr(owner, leaf, nn.Parameter(value, old.requires_grad) if isinstance(old, nn.Parameter) else value)
        if leaf == "weight" and isinstance(owner, nn.Linear):
            owner.out_features, owner.in_features = tensor.shape
        elif leaf == "weight" and isinstance(owner, nn.Conv2d):
            owner.out_channels, owner.in_channels = tensor.shape[:2]
        elif leaf == "weight" and isinstance(owner, _NORMS):
            owner.num_features = len(tensor)
    return growth
