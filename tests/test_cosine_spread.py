"""How far the cosine of two random directions strays from 0: what draws show, for every normalization and kind of weight."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from cases import normal
from torch import Tensor, nn

from landscape.core import weights
from landscape.core.choices import NORMALIZATIONS
from landscape.core.directions import cosine, cosine_spread, random_direction, roles, select_parameters

N_PAIRS = 250


class Uneven(nn.Module):
    """Two matrices of filters that differ in length and size."""

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        lengths = torch.tensor([0.1, 0.3, 3.0, 9.0])[:, None]
        self.first = nn.Parameter(normal(4, 40, dtype=dtype) * lengths)
        self.second = nn.Parameter(normal(6, 5, seed=1, dtype=dtype))


def mask(shape: torch.Size) -> Tensor:
    """Three quarters of the entries, and a whole filter."""
    held = torch.rand(shape, generator=torch.Generator().manual_seed(3)) < 0.75
    held[1] = True
    held[:, 0] = False
    held[1, 0] = True
    return held


MODELS: dict[str, Callable[[], tuple[nn.Module, dict[str, Tensor]]]] = {
    "real": lambda: (Uneven(), {}),
    "complex": lambda: (Uneven(torch.complex64), {}),
    "pruned": lambda: (Uneven(), {"first": mask(torch.Size((4, 40))), "second": mask(torch.Size((6, 5)))}),
}


def prepared(name: str) -> tuple[weights.Weights, dict[str, Tensor], nn.Module]:
    model, pruned = MODELS[name]()
    read = weights.read(model)
    return {n: t.masked_fill(pruned[n], 0) if n in pruned else t for n, t in read.items()}, pruned, model


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("normalize", NORMALIZATIONS)
def test_the_spread_is_what_draws_show(name: str, normalize: str) -> None:
    read, pruned, model = prepared(name)
    model_roles = roles(model)
    names = select_parameters(read, model_roles, ("bias", "norm"))
    pairs = [
        [random_direction(read, model_roles, names, seed, axis, normalize, pruned) for axis in "xy"] for seed in range(N_PAIRS)
    ]
    shown = math.sqrt(np.mean([cosine(x, y) ** 2 for x, y in pairs]))
    # The standard deviation of N independent cosines is known to 1/√(2N) = 4.5 %, for those of few numbers, which are flatter or
    # steeper than normal ones, to twice that. With `weight` lengths are not fixed: of the 20 entries or so that count, 1/20 more.
    assert cosine_spread(read, model_roles, names, normalize, pruned) == pytest.approx(shown, rel=0.3)


@pytest.mark.parametrize("name", MODELS)
def test_the_spread_is_the_formula(name: str) -> None:
    """√(Σ ‖θ_j‖⁴ / n_j) / Σ ‖θ_j‖² by loops over blocks, with lengths of 1 where the normalization says unit."""
    read, pruned, model = prepared(name)
    model_roles = roles(model)

    def spread(normalize: str, blocks: list[Tensor], held: list[Tensor]) -> float:
        fourth = square = 0.0
        for block, out in zip(blocks, held, strict=True):
            n = int((~out).sum()) * (2 if block.is_complex() else 1)
            if n:
                length = 1.0 if normalize.startswith("unit") else float((weights.to_double(block).abs() ** 2).sum())
                fourth, square = fourth + length**2 / n, square + length
        return math.sqrt(fourth) / square

    out = {n: pruned.get(n, torch.zeros(t.shape, dtype=torch.bool)) for n, t in read.items()}
    rows = [[row for part in parts.values() for row in part] for parts in (read, out)]
    layers = [list(parts.values()) for parts in (read, out)]
    for kind, blocks in (("filter", rows), ("layer", layers)):
        for normalize in (kind, f"unit-{kind}"):
            found = cosine_spread(read, model_roles, list(read), normalize, pruned)
            assert found == pytest.approx(spread(normalize, *blocks), rel=1e-12)
    n = sum(int((~o).sum()) for o in out.values()) * (2 if name == "complex" else 1)
    assert cosine_spread(read, model_roles, list(read), "none", pruned) == pytest.approx(1 / math.sqrt(n), rel=1e-12)
    # A model in which no two normalizations have one spread, so that each formula is seen.
    spreads = [cosine_spread(read, model_roles, list(read), one, pruned) for one in NORMALIZATIONS if one not in ("model",)]
    assert min(abs(math.log(a / b)) for i, a in enumerate(spreads) for b in spreads[:i]) > math.log(1.02)
