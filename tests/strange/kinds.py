"""The catalogue of layer kinds that strange users build from.

A *place* says what passes between two layers: a vector `(C,)`, an image `(C, *spatial)` of one to three dimensions, a sequence
`(T, C)`, tokens `(T,)`, complex numbers `(C,)`. A kind takes one place and gives another; its module is made for the sizes at hand,
and the sizes behind it are seen by running it. Widths are even throughout, so that groups and heads divide them.

Each kind also says what makes one output in its weights, where that is not a slice along the first axis: the table that the filter
norms are held to, itself held to the layers' own derivatives in test_kinds.py.
"""

from __future__ import annotations

import fnmatch
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import handmade as own
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize, prune

VOCABULARY = 6
IMAGES = ("image1", "image2", "image3")
CONVS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)

Sizes = tuple[int, ...]  # of one example
Units = Callable[[Sizes], Tensor]  # shape of a weight -> the number of the output that each entry feeds


@dataclass(frozen=True)
class Kind:
    """A kind of layer.

    Attributes:
        takes: the place in front of it.
        gives: the place behind it.
        make: sizes of an example -> module.
        units: glob of parameter names inside the module -> which output each entry makes; else the first axis counts outputs.
        batchwise: whether an example's output depends on the others in its batch.
        words: further things that are true of it, for those who choose.
    """

    takes: str
    gives: str
    make: Callable[[Sizes], nn.Module]
    units: Mapping[str, Units] = field(default_factory=dict)
    batchwise: bool = False
    words: frozenset[str] = frozenset()


def along(*axes: int) -> Units:
    """Outputs counted by one axis, or by several together; a tensor of at most one dimension is one output altogether."""

    def labels(shape: Sizes) -> Tensor:
        unit = torch.zeros(shape, dtype=torch.int64)
        for axis in axes if len(shape) > 1 else ():
            view = [-1 if i == axis else 1 for i in range(len(shape))]
            unit = unit * shape[axis] + torch.arange(shape[axis]).reshape(view)
        return unit

    return labels


def by_group(groups: int) -> Units:
    """Outputs of a transposed convolution: `(in, out // groups, *kernel)`, the first axis in as many blocks as there are groups."""

    def labels(shape: Sizes) -> Tensor:
        if len(shape) < 2:
            return torch.zeros(shape, dtype=torch.int64)
        block = torch.arange(shape[0]) // (shape[0] // groups)
        unit = block[:, None] * shape[1] + torch.arange(shape[1])[None, :]
        return unit.reshape(*unit.shape, *[1] * (len(shape) - 2)).expand(shape)

    return labels


def labels_of(kind: Kind, name: str, shape: Sequence[int]) -> Tensor:
    """Which output each entry of a parameter of the kind's module makes."""
    units = next((units for glob, units in kind.units.items() if fnmatch.fnmatchcase(name, glob)), along(0))
    return units(tuple(shape))


def _quietly(make: Callable[..., nn.Module], *arguments: Any, **options: Any) -> nn.Module:
    """Call what torch calls deprecated, and people's code still calls."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return make(*arguments, **options)


def _pruned(module: nn.Module, way: str) -> nn.Module:
    if way == "least":
        return prune.l1_unstructured(module, "weight", amount=0.4)
    return prune.ln_structured(module, "weight", amount=0.5, n=2, dim=0)


def _parametrized(module: nn.Module, *functions: nn.Module) -> nn.Module:
    for function in functions:
        parametrize.register_parametrization(module, "weight", function)
    return module


def _old_norm(module: nn.Module) -> nn.Module:
    return _quietly(nn.utils.weight_norm, module)


def _one_pruned(model: nn.Module) -> nn.Module:
    _pruned(model.encoder, "least")
    return model


def _normed_twice(model: nn.Module) -> nn.Module:
    """One weight in two layers, each of which normalizes it by itself."""
    model.decoder.weight = nn.Parameter(model.encoder.weight.detach().clone())
    for layer in (model.encoder, model.decoder):
        parametrizations.weight_norm(layer)
    model.decoder.parametrizations.weight.original1 = model.encoder.parametrizations.weight.original1
    return model


def _named(layers: Mapping[str, nn.Module]) -> nn.Sequential:
    chain = nn.Sequential()
    for name, layer in layers.items():
        chain.add_module(name, layer)
    return chain


def _zeroed(module: nn.Module, rows: slice) -> nn.Module:
    with torch.no_grad():
        module.weight[rows] = 0
    return module


def _hooked(module: nn.Module) -> nn.Module:
    module.register_forward_hook(lambda layer, inputs, output: output * 0.5 + 0.1)
    module.register_forward_pre_hook(lambda layer, inputs: (inputs[0] + 0.2,))
    return module


def _strided(module: nn.Linear) -> nn.Module:
    """A weight whose memory runs the other way, as `nn.Parameter(weight.t())` leaves it."""
    module.weight = nn.Parameter(module.weight.detach().t().contiguous().t())
    return module


KINDS: dict[str, Kind] = {}


def _add(place: str, kinds: Mapping[str, Callable[[Sizes], nn.Module]], gives: str | None = None, **more: Any) -> None:
    for name, make in kinds.items():
        KINDS[name] = Kind(place, gives or place, make, **more)


_WEIGHT_NORMS: dict[str, Callable[[nn.Module], nn.Module]] = {
    "weight_norm_old": _old_norm,
    "weight_norm_new": lambda layer: parametrizations.weight_norm(layer),
    "spectral_norm_old": lambda layer: nn.utils.spectral_norm(layer),
    "spectral_norm_new": lambda layer: parametrizations.spectral_norm(layer),
}

# --- vectors ---

_add("vector", {
    "linear": lambda s: nn.Linear(s[0], 6),
    "linear without bias": lambda s: nn.Linear(s[0], 4, bias=False),
    "linear, frozen": lambda s: nn.Linear(s[0], 4).requires_grad_(False),
    "linear, zero": lambda s: _zeroed(nn.Linear(s[0], 4), slice(None)),
    "linear, a zero row": lambda s: _zeroed(nn.Linear(s[0], 4), slice(1, 2)),
    "linear, strided": lambda s: _strided(nn.Linear(s[0], 4)),
    "linear, hooked": lambda s: _hooked(nn.Linear(s[0], 4)),
    "residual": lambda s: own.Residual(nn.Sequential(nn.Linear(s[0], 4), nn.ReLU(inplace=True), nn.Linear(4, s[0]))),
    "bilinear": lambda s: own.Paired(s[0]),
    "batchnorm of vectors": lambda s: nn.BatchNorm1d(s[0]),
    "batchnorm, cumulative": lambda s: nn.BatchNorm1d(s[0], momentum=None),
    "batchnorm, twice": lambda s: own.NormTwice(s[0]),
    "batchnorm, not affine": lambda s: nn.BatchNorm1d(s[0], affine=False),
    "layernorm": lambda s: nn.LayerNorm(s[0]),
    "rmsnorm": lambda s: nn.RMSNorm(s[0]),
    "groupnorm of vectors": lambda s: nn.GroupNorm(s[0] // 2, s[0]),
    "own norm": lambda s: own.ScaleNorm(s[0]),
    "dropout": lambda s: nn.Dropout(0.5),
    "alpha dropout": lambda s: nn.AlphaDropout(0.3),
    "dropout by function": lambda s: own.Functional(),
    "prelu": lambda s: nn.PReLU(s[0]),
    "relu in place": lambda s: nn.ReLU(inplace=True),
    "gelu": lambda s: nn.GELU(),
    "softmax": lambda s: nn.Softmax(dim=1),
    "glu": lambda s: nn.Sequential(nn.Linear(s[0], 8), nn.GLU()),
    "orthogonal": lambda s: parametrizations.orthogonal(nn.Linear(s[0], 4)),
    "own parametrization": lambda s: _parametrized(nn.Linear(s[0], s[0]), own.Symmetric()),
    "two parametrizations": lambda s: _parametrized(nn.Linear(s[0], s[0]), own.Symmetric(), own.Softplus()),
    "pruned linear": lambda s: _pruned(nn.Linear(s[0], 4), "least"),
    "tied autoencoder": lambda s: own.TiedAutoencoder(s[0]),
    "transposed twin": lambda s: own.TransposedTwin(s[0]),
    "one module twice": lambda s: own.Twice(s[0]),
    "lists of parameters": lambda s: own.Listed(s[0]),
    "experts": lambda s: own.Experts(s[0]),
    "low rank": lambda s: own.LowRank(s[0]),
    "buffers": lambda s: own.Buffers(s[0]),
    "integer parameter": lambda s: own.Integers(s[0]),
    "counting": lambda s: own.Counting(),
    "dicts between": lambda s: nn.Sequential(own.Splits(s[0]), own.Joins()),
    "empty parameter": lambda s: own.Empty(s[0]),
    "unregistered tensor": lambda s: own.Unregistered(s[0]),
    "straight through": lambda s: own.StraightThrough(),
    "hypernetwork": lambda s: own.Hyper(s[0]),
    "forward replaced": lambda s: own.patched(nn.Linear(s[0], 4)),
    "names of all kinds": lambda s: _named({"conv/1": nn.Linear(s[0], 4), "größe": nn.PReLU(4), "a b": nn.Linear(4, 4)}),
    "pruned within a norm": lambda s: prune.l1_unstructured(_old_norm(nn.Linear(s[0], 4)), "weight_v", amount=1),
    "tied, one pruned": lambda s: _one_pruned(own.TiedAutoencoder(s[0])),
    "tied weight norm": lambda s: _normed_twice(own.TiedAutoencoder(s[0])),
    "batchnorm, positive": lambda s: _parametrized(nn.BatchNorm1d(s[0]), own.Softplus()),
    "names with module": lambda s: _named({"module": nn.Linear(s[0], 4), "act": nn.Tanh()}),
})  # fmt: skip
_add("vector", {"extra state": lambda s: own.Remembering(s[0])}, words=frozenset({"extra state"}))
_add("vector", {"hf conv1d": lambda s: own.Conv1D(4, s[0])}, units={"weight": along(1)})
_add("vector", {"hf conv1d, square": lambda s: own.Conv1D(s[0], s[0])}, units={"weight": along(1)})
_add("vector", {"weight_norm_old of hf conv1d": lambda s: _old_norm(own.Conv1D(4, s[0]))}, units={"weight": along(1)})
_add("vector", {"complex linear": lambda s: own.ComplexLinear(s[0])}, words=frozenset({"complex"}))
_add("vector", {"batchnorm, untracked": lambda s: nn.BatchNorm1d(s[0], track_running_stats=False)}, batchwise=True)
for _name, _type in {"float64": torch.float64, "bfloat16": torch.bfloat16}.items():
    _add("vector", {f"{_name} parameter": lambda s, t=_type: own.Converted(s[0], t)}, words=frozenset({"mixed"}))
for _name, _layout in {"coo": torch.sparse_coo, "csr": torch.sparse_csr}.items():
    _add("vector", {f"graph, {_name}": lambda s, t=_layout: own.Graph(s[0], t)}, words=frozenset({"sparse"}))
_add("vector", {"float64 buffer": lambda s: own.Offset()}, words=frozenset({"mixed"}))
for _name, _wrap in _WEIGHT_NORMS.items():
    _add("vector", {f"{_name} of linear": lambda s, w=_wrap: w(nn.Linear(s[0], 4))})
_add("vector", {"unflatten": lambda s: nn.Sequential(nn.Linear(s[0], 24), nn.Unflatten(1, (2, 3, 4)))}, "image2")

# --- images ---

for _rank, _place in enumerate(IMAGES, start=1):
    _conv, _back = CONVS[_rank - 1], TRANSPOSED[_rank - 1]
    _add(_place, {
        f"conv{_rank}d": lambda s, c=_conv: c(s[0], 4, 3, padding=1),
        f"conv{_rank}d, grouped": lambda s, c=_conv: c(s[0], 4, 3, padding=1, groups=2),
        f"conv{_rank}d, depthwise": lambda s, c=_conv: c(s[0], 2 * s[0], 3, padding=1, groups=s[0]),
        f"conv{_rank}d, dilated": lambda s, c=_conv: c(s[0], 2, 3, padding=2, dilation=2),
        f"batchnorm{_rank}d": lambda s, n=(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)[_rank - 1]: n(s[0]),
        f"max pool {_rank}d": lambda s, n=(nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)[_rank - 1]: n(2, ceil_mode=True),  # of one pixel too
        f"average pool {_rank}d": lambda s, n=(nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)[_rank - 1]: n(2, ceil_mode=True),
    })  # fmt: skip
    _instance = (nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d)[_rank - 1]
    _add(_place, {f"instancenorm{_rank}d": lambda s, n=_instance: n(s[0], affine=True)})
    _add(_place, {f"instancenorm{_rank}d, tracked": lambda s, n=_instance: n(s[0], affine=True, track_running_stats=True)})
    _add(_place, {f"transposed{_rank}d": lambda s, c=_back: c(s[0], 2, 2, stride=2)}, units={"weight": by_group(1)})
    _grouped = {f"transposed{_rank}d, grouped": lambda s, c=_back: c(s[0], 4, 3, padding=1, groups=2)}
    _add(_place, _grouped, units={"weight": by_group(2)})
for _rank in (1, 2):
    _fourier = {f"spectral conv{_rank}d": lambda s, r=_rank: own.SpectralConv(s[0], r)}
    _add(f"image{_rank}", _fourier, words=frozenset({"complex"}))
for _name, _wrap in _WEIGHT_NORMS.items():
    _add("image2", {f"{_name} of conv2d": lambda s, w=_wrap: w(nn.Conv2d(s[0], 4, 3, padding=1))})
    _add(
        "image2",
        {f"{_name} of transposed2d": lambda s, w=_wrap: w(nn.ConvTranspose2d(s[0], 4, 3, padding=1, groups=2))},
        units={"weight": by_group(2)},
    )
_add("image1", {
    "global filter": lambda s: own.GlobalFilter(s[0], s[1]),
    "groupnorm": lambda s: nn.GroupNorm(s[0] // 2, s[0]),
    "layernorm of two axes": lambda s: nn.LayerNorm(s),
    "upsample, linear": lambda s: nn.Upsample(scale_factor=2, mode="linear"),
    "adaptive pool": lambda s: nn.AdaptiveAvgPool1d(2),
    "pruned conv1d": lambda s: _pruned(nn.Conv1d(s[0], 4, 3, padding=1), "rows"),
})  # fmt: skip
_add("image2", {
    "conv2d, circular": lambda s: nn.Conv2d(s[0], 4, 3, padding=1, padding_mode="circular", bias=False),
    "conv2d, standardized": lambda s: own.StandardizedConv2d(s[0], 4, 3, padding=1),
    "pruned conv2d": lambda s: _pruned(nn.Conv2d(s[0], 4, 3, padding=1), "least"),
    "conv2d, then relu in place": lambda s: nn.Sequential(nn.Conv2d(s[0], 4, 3, padding=1), nn.ReLU(inplace=True)),
    "conv2d and batchnorm": lambda s: nn.Sequential(nn.Conv2d(s[0], 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU()),
    "channels last": lambda s: nn.Conv2d(s[0], 4, 3, padding=1).to(memory_format=torch.channels_last),
    "squeeze": lambda s: own.Squeeze(s[0]),
    "local response norm": lambda s: nn.LocalResponseNorm(3),
    "dropout2d": lambda s: nn.Dropout2d(0.5),
    "prelu of images": lambda s: nn.PReLU(),
    "upsample, nearest": lambda s: nn.Upsample(scale_factor=2, mode="nearest"),
    "reflection pad": lambda s: nn.ReflectionPad2d(1),
    "pixel shuffle": lambda s: nn.Sequential(nn.Conv2d(s[0], 8, 1), nn.PixelShuffle(2)),
    "permuted": lambda s: own.Call(lambda x: x.permute(0, 1, 3, 2)),
    "transposed2d, output padding": lambda s: nn.ConvTranspose2d(s[0], 2, 3, stride=2, padding=1, output_padding=1, dilation=1),
})  # fmt: skip
KINDS["transposed2d, output padding"] = Kind(
    "image2", "image2", KINDS["transposed2d, output padding"].make, {"weight": by_group(1)}
)

# --- sequences ---

_add("sequence", {
    "linear of a sequence": lambda s: nn.Linear(s[1], 4),
    "lstm": lambda s: own.Taking(nn.LSTM(s[1], 4, batch_first=True), lambda out: out[0]),
    "lstm, both ways": lambda s: own.Taking(nn.LSTM(s[1], 2, batch_first=True, bidirectional=True), lambda out: out[0]),
    "lstm, projected": lambda s: own.Taking(nn.LSTM(s[1], 4, batch_first=True, proj_size=2), lambda out: out[0]),
    "lstm, two layers": lambda s: own.Taking(nn.LSTM(s[1], 4, 2, batch_first=True, dropout=0.5), lambda out: out[0]),
    "lstm, time first": lambda s: own.TimeFirst(s[1]),
    "lstm, own state": lambda s: own.OwnState(s[1]),
    "gru": lambda s: own.Taking(nn.GRU(s[1], 4, batch_first=True), lambda out: out[0]),
    "gru, both ways": lambda s: own.Taking(nn.GRU(s[1], 2, batch_first=True, bidirectional=True), lambda out: out[0]),
    "rnn": lambda s: own.Taking(nn.RNN(s[1], 4, nonlinearity="relu", batch_first=True), lambda out: out[0]),
    "attention": lambda s: own.SelfAttention(s[1]),
    "attention, own biases": lambda s: own.SelfAttention(s[1], add_bias_kv=True, kdim=s[1], vdim=s[1]),
    "transformer encoder": lambda s: nn.TransformerEncoderLayer(s[1], 2, 8, batch_first=True),
    "transformer encoder, norm first": lambda s: nn.TransformerEncoderLayer(s[1], 2, 8, batch_first=True, norm_first=True),
    "transformer decoder": lambda s: own.Decoder(s[1]),
    "positions": lambda s: own.Positions(*s),
    "layernorm of a sequence": lambda s: nn.LayerNorm(s[1]),
    "weight_norm_new of lstm": lambda s: own.Taking(
        parametrizations.weight_norm(nn.LSTM(s[1], 4, batch_first=True), "weight_hh_l0"), lambda out: out[0]
    ),
})  # fmt: skip

# --- ways out, to a vector ---

for _place in IMAGES:
    _add(_place, {
        f"flatten of {_place}": lambda s: nn.Flatten(),
        f"view(len(x), -1) of {_place}": lambda s: own.Call(lambda x: x.view(len(x), -1)),
        f"mean of {_place}": lambda s: own.Call(lambda x: x.mean(dim=tuple(range(2, x.dim())))),
    }, "vector")  # fmt: skip
_add("image2", {
    "view(-1, n)": lambda s: own.Call(lambda x: x.view(-1, x.shape[1] * x.shape[2] * x.shape[3])),
    "conv2d, then view(x.size(0), -1)": lambda s: nn.Sequential(
        nn.Conv2d(s[0], 2, 3, padding=1), own.Call(lambda x: x.view(x.size(0), -1))
    ),
}, "vector")  # fmt: skip
_add("sequence", {
    "last step": lambda s: own.Call(lambda x: x[:, -1]),
    "mean over time": lambda s: own.Call(lambda x: x.mean(dim=1)),
    "pooled by a query": lambda s: own.Pooled(s[1]),
    "last state of lstm": lambda s: own.Taking(nn.LSTM(s[1], 4, batch_first=True), lambda out: out[1][0][0]),
    "lstm cell": lambda s: own.Stepping(nn.LSTMCell(s[1], 4)),
    "gru cell": lambda s: own.Stepping(nn.GRUCell(s[1], 4)),
    "packed gru": lambda s: own.Packed(s[1]),
}, "vector")  # fmt: skip

# --- tokens and complex numbers ---

_add("tokens", {
    "embedding": lambda s: nn.Embedding(VOCABULARY, 4),
    "embedding with padding": lambda s: nn.Embedding(VOCABULARY, 4, padding_idx=0),
    "embedding with a largest norm": lambda s: nn.Embedding(VOCABULARY, 4, max_norm=1.0),
}, "sequence")  # fmt: skip
_add("tokens", {
    "bag of embeddings": lambda s: nn.EmbeddingBag(VOCABULARY, 4, mode="mean"),
    "weighted bag of embeddings": lambda s: own.Bag(VOCABULARY),
    "largest of a bag": lambda s: nn.EmbeddingBag(VOCABULARY, 4, mode="max"),
    "tied language model": lambda s: own.TiedLanguageModel(VOCABULARY),
}, "vector")  # fmt: skip
_add("complex", {"complex matrix": lambda s: own.ComplexInput(s[0])}, words=frozenset({"complex"}))
_add("complex", {"absolute value": lambda s: own.Call(torch.abs)}, "vector", words=frozenset({"complex"}))
_add("complex", {"real and imaginary": lambda s: own.Call(lambda z: torch.cat([z.real, z.imag], dim=1))}, "vector",
     words=frozenset({"complex"}))  # fmt: skip


def season(model: nn.Module) -> nn.Module:
    """Give a model the marks of training: norms whose scales and statistics have moved, and no parameter that is exactly as made."""
    with torch.no_grad():
        for layer in model.modules():
            if getattr(layer, "running_mean", None) is not None:
                layer.running_mean.normal_(0, 0.3)
                layer.running_var.uniform_(0.5, 2.0)
                layer.num_batches_tracked.fill_(3)
        for parameter in model.parameters():
            if (parameter.is_floating_point() or parameter.is_complex()) and parameter.dim() <= 1:
                parameter.add_(0.2 * torch.randn_like(parameter))
    return model


def chain(names: Iterable[str], sizes: Sizes) -> tuple[list[nn.Module], Sizes]:
    """The modules of some kinds, one behind the other, and the sizes of an example behind the last."""
    layers: list[nn.Module] = []
    sample = _sample(KINDS[next(iter(names))].takes, sizes)
    for name in names:
        layer = KINDS[name].make(tuple(sample.shape[1:]))
        layers.append(layer)
        with torch.no_grad():
            sample = layer.eval()(sample)
        layer.train()
    return layers, tuple(sample.shape[1:])


def _sample(place: str, sizes: Sizes) -> Tensor:
    if place == "tokens":
        return torch.zeros(2, *sizes, dtype=torch.int64)
    dtype = own.complex_type() if place == "complex" else torch.get_default_dtype()
    return torch.full((2, *sizes), 0.5, dtype=dtype)
