"""The catalogue itself: what each kind gives, and that its table of outputs is what the layer's derivatives say."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from handmade import Conv1D, Paired
from kinds import KINDS, chain, labels_of, season
from oracle import plain
from torch import nn
from users import _SIZES

# Layers of one weight, each of whose outputs is an entry of axis 1 (or the last one of a vector).
_BARE = (
    nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d, Conv1D, Paired,
)  # fmt: skip


def test_there_are_more_kinds_than_were_asked_for() -> None:
    assert len(KINDS) >= 150
    assert {type(layer) for name in KINDS for layer in _made(name).modules() if type(layer).__module__.startswith("torch.nn")} >= {
        nn.Bilinear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d, nn.Embedding,
        nn.EmbeddingBag, nn.LSTM, nn.GRU, nn.RNN, nn.LSTMCell, nn.GRUCell, nn.MultiheadAttention, nn.TransformerEncoderLayer,
        nn.TransformerDecoderLayer, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.InstanceNorm1d, nn.InstanceNorm2d,
        nn.InstanceNorm3d, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, nn.LocalResponseNorm, nn.PReLU, nn.Dropout, nn.Upsample,
        nn.Flatten, nn.Unflatten, nn.MaxPool1d, nn.AvgPool2d, nn.ParameterList, nn.ParameterDict,
    }  # fmt: skip


def _made(name: str) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        (layer,), _ = chain([name], _SIZES[KINDS[name].takes][0])
        return season(layer)


def _bare() -> Iterator[str]:
    made = {name: plain(_made(name)) for name in KINDS}
    return (name for name, layer in made.items() if isinstance(layer, _BARE) and "forward" not in vars(layer))


@pytest.mark.parametrize("name", sorted(_bare()))
def test_the_table_of_outputs_is_what_derivatives_say(name: str) -> None:
    """An entry of a weight belongs to the output that moves with it: ∂(output o)/∂w is not 0 there, and 0 for all other outputs."""
    layer = plain(_made(name)).double()
    sizes = _SIZES[KINDS[name].takes][0]
    outputs = layer(torch.rand(3, *sizes, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + 0.5)
    channels = outputs.transpose(0, -1 if KINDS[name].gives == "sequence" else 1)
    for part, weight in layer.named_parameters():
        if weight.dim() < 2 or not weight.requires_grad:
            continue
        table = labels_of(KINDS[name], part, weight.shape)
        assert int(table.max()) + 1 == len(channels)
        for o, channel in enumerate(channels):
            (slope,) = torch.autograd.grad(channel.sum(), weight, retain_graph=True)
            assert torch.equal(slope != 0, table == o)
