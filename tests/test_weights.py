"""Weights: what is read from a module, and arithmetic against the same sums written out."""

from __future__ import annotations

import copy
import hashlib
import struct

import pytest
import torch
from cases import CATALOGUE, Images, Tagger, seeded
from torch import nn

from landscape.core import weights


def test_read_copies_parameters_and_buffers_without_counters() -> None:
    model = seeded(Images)
    read = weights.read(model)
    assert set(read) == {
        "conv.weight", "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var", "mix.weight", "mix.bias", "head.weight", "head.bias",
    }  # fmt: skip
    read["conv.weight"].zero_()
    assert model.conv.weight.any()
    assert not read["head.weight"].requires_grad


def test_read_names_tied_parameters_once() -> None:
    model = seeded(Tagger)
    assert "head.weight" not in weights.read(model)
    assert "head.weight" in model.state_dict()
    assert weights.parameter_names(model) == [name for name in weights.read(model)]


def test_wrappers_do_not_show_in_names() -> None:
    model = seeded(Images)
    plain = weights.read(model)
    assert weights.read(nn.DataParallel(model)).keys() == plain.keys()
    assert weights.read(torch.compile(model)).keys() == plain.keys()
    assert weights.read(torch.compile(nn.DataParallel(model))).keys() == plain.keys()
    assert weights.strip_prefix("module._orig_mod.module.a.module.weight") == "a.module.weight"


def test_buffers_are_the_floating_ones() -> None:
    model = nn.Module()
    model.register_buffer("table", torch.arange(3))
    model.register_buffer("mean", torch.zeros(2))
    assert weights.buffer_names(model) == ["mean"]
    assert set(weights.read(model)) == {"table", "mean"}


def test_arithmetic() -> None:
    a = {"u": torch.tensor([1.0, 2.0]), "v": torch.tensor([[3.0]])}
    b = {"u": torch.tensor([10.0, -1.0])}
    total = weights.add(a, b, 0.5)
    assert total["u"].tolist() == [6.0, 1.5]
    assert total["v"] is a["v"]
    assert a["u"].tolist() == [1.0, 2.0]
    assert weights.difference(b, a, ["u"])["u"].tolist() == [9.0, -3.0]
    assert weights.dot(a, b) == 1 * 10 - 2
    assert weights.norm(a) == pytest.approx(14**0.5, rel=1e-15)


def test_sums_are_in_float64() -> None:
    # 2^24 + 1 is no float32: a float32 sum of 2^24 and ones stops growing.
    tensor = torch.ones(1025)
    tensor[0] = 2.0**12
    assert weights.dot({"w": tensor}, {"w": tensor}) == 2.0**24 + 1024
    half = torch.full((4,), 300.0, dtype=torch.float16)  # 300² overflows float16
    assert weights.norm({"w": half}) == 600.0


def written_out(tensors: dict[str, torch.Tensor]) -> str:
    """The digest by the words of the format: sorted (name, dtype, shape, little-endian bytes), for float32."""
    sha = hashlib.sha256()
    for name in sorted(tensors):
        values = tensors[name].flatten().tolist()
        sha.update(f"{name}|float32|{tuple(tensors[name].shape)}|".encode() + struct.pack(f"<{len(values)}f", *values))
    return sha.hexdigest()


def test_digest_is_the_one_described() -> None:
    tensors = {"b": torch.tensor([[1.5, -2.0]]), "a": torch.tensor(3.25)}
    assert weights.digest(tensors) == written_out(tensors)
    assert weights.digest(dict(reversed(tensors.items()))) == written_out(tensors)
    assert weights.digest({"b": tensors["b"].t().contiguous().t(), "a": tensors["a"]}) == written_out(tensors)  # any memory layout


@pytest.mark.parametrize(
    "other",
    [
        {"c": torch.zeros(2, 3)},
        {"w": torch.zeros(3, 2)},
        {"w": torch.zeros(2, 3, dtype=torch.float64)},
        {"w": torch.zeros(2, 3, dtype=torch.float16)},
        {"w": torch.zeros(2, 3, dtype=torch.bfloat16)},
        {"w": torch.tensor([[0.0] * 3, [0.0, 0.0, -0.0]])},
        {"w": torch.zeros(2, 3), "x": torch.zeros(0)},
    ],
)
def test_digest_tells_name_shape_type_and_bits_apart(other: dict[str, torch.Tensor]) -> None:
    assert weights.digest(other) != weights.digest({"w": torch.zeros(2, 3)})


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_copy_has_the_same_digest(name: str) -> None:
    model = CATALOGUE[name]().model
    read = weights.read(model)
    assert weights.digest(weights.read(copy.deepcopy(model))) == weights.digest(read)
    first = next(iter(read))
    read[first].view(-1)[0] += 1
    assert weights.digest(weights.read(model)) != weights.digest(read)
