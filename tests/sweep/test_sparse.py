"""Sparse buffers, in which graph networks keep their adjacency: the same surfaces as with dense ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from cases import N_EXAMPLES, integers, normal, seeded
from torch import Tensor, nn

import landscape
from landscape import Problem
from landscape.core import weights

LAYOUTS = [torch.sparse_coo, torch.sparse_csr, torch.sparse_csc]
EDGES = torch.tensor([[0.5, 1.0, 0.0, 0.0], [0.0, 0.5, 1.0, 0.0], [0.0, 0.0, 0.5, 1.0], [1.0, 0.0, 0.0, 0.5]])


class Graph(nn.Module):
    def __init__(self, adjacency: Tensor) -> None:
        super().__init__()
        self.first, self.norm, self.last = nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 3)
        self.register_buffer("adjacency", adjacency)

    def forward(self, nodes: Tensor) -> Tensor:
        return self.last(torch.tanh(self.norm((self.adjacency @ self.first(nodes).t()).t())))


def problem(layout: torch.layout, seed: int = 0) -> Problem:
    model = seeded(lambda: Graph(EDGES.to_sparse(layout=layout) if layout != torch.strided else EDGES), seed)
    return Problem(model, nn.CrossEntropyLoss(), {"train": (normal(N_EXAMPLES, 4), integers(3, N_EXAMPLES))})


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("options", [{}, {"bn": "recalibrated"}, {"precision": "fp64"}, {"ignore": "none"}], ids=str)
def test_a_sparse_buffer_gives_the_values_of_a_dense_one(layout: torch.layout, options: dict[str, Any], tmp_path: Path) -> None:
    found, expected = (problem(kind) for kind in (layout, torch.strided))
    surfaces = [landscape.line(p, x=(-1, 1, 3), quiet=True, **options) for p in (found, expected)]
    # Sums of four float32 products in two orders, two layers deep.
    assert surfaces[0].values["train_loss"] == pytest.approx(surfaces[1].values["train_loss"], rel=1e-6)
    assert surfaces[0].checks["passed"] == 1
    assert found.model.adjacency.layout == layout
    for x in ((0, 1, 2), (0, 1, 3)):  # measured, and measured further
        landscape.line(found, x=x, to=tmp_path / "s.h5", quiet=True, **options)


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("bn", ["interpolated", "recalibrated", "frozen"])
def test_lines_between_checkpoints_leave_it_alone(layout: torch.layout, bn: str) -> None:
    values = []
    for kind in (layout, torch.strided):
        ends = [problem(kind, seed).model for seed in (1, 2)]
        values.append(landscape.line(problem(kind), *ends, x=(0, 1, 3), bn=bn, quiet=True).values["train_loss"])
    assert values[0] == pytest.approx(values[1], rel=1e-6)


def test_digests_tell_sparse_tensors_apart() -> None:
    digests = {weights.digest({"a": EDGES.to_sparse(layout=layout)}) for layout in LAYOUTS}
    digests |= {weights.digest({"a": 2 * EDGES.to_sparse()}), weights.digest({"a": EDGES.roll(1, dims=0).to_sparse()})}
    assert len(digests) == 5
    twice = torch.sparse_coo_tensor([[0, 0], [1, 1]], [0.5, 0.25], (2, 2), check_invariants=True)  # one entry in two parts
    assert weights.digest({"a": twice}) == weights.digest({"a": torch.tensor([[0, 0.75], [0, 0]]).to_sparse()})


@pytest.mark.filterwarnings("ignore:ComplexHalf support")
@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2, torch.complex32])
def test_digests_of_types_that_numpy_lacks(kind: torch.dtype) -> None:
    some = [torch.tensor(values).to(kind) for values in ([1.0, 2.0], [1.0, 4.0], [1.0, 2.0])]
    first, second, third = (weights.digest({"a": tensor}) for tensor in some)
    assert first == third != second
