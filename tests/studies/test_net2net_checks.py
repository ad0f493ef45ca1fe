"""Measures of how like its teacher a grown net is, against nets of which it is known."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import landscape
from harness.growth import widen
from harness.net2net_checks import copy_gap, corners, in_double, output_gap, surface_gap
from landscape.errors import InputError
from landscape.zoo.models import MultilayerPerceptron
from landscape.zoo.problems import problem
from landscape.zoo.training import train

SMALL = {"batch_size": 500, "threads": 1, "quiet": True, "precision": "fp64", "examples": 100}


def test_the_output_gap_is_the_largest_difference() -> None:
    first, second = nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        first.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
        second.weight.copy_(torch.tensor([[1.0, 0.25], [0.0, -1.0]]))
    assert output_gap(first, second, torch.tensor([[1.0, 3.0], [2.0, 1.0]])) == 6.0  # 3 against -3
    assert first.weight.dtype == torch.float32


def test_corners_span_the_plane_that_the_sweep_draws_for_the_teacher() -> None:
    teacher, student = in_double(problem("digits-mlp-2x8", init="he")), in_double(problem("digits-mlp-2x16"))
    assert {tensor.dtype for tensor in teacher.examples("test").tensors} == {torch.float64, torch.int64}
    growth = widen(teacher.model, {"1": 16, "3": 16}, seed=2)
    how = {"x": (-1, 1, 3), "y": (-1, 1, 3), "seed": 4, **SMALL}  # the seed draws the examples too
    plane = landscape.surface(teacher, **how)
    mapped = landscape.surface(student, *corners(teacher.model, growth, 4), **how)
    other = landscape.surface(student, *corners(teacher.model, growth, 5), **how)
    assert surface_gap(plane, mapped) <= 1e-12  # sums of 64 terms in another order, at 1.1e-16 each, through three layers
    assert surface_gap(plane, other) > 1e-3
    with pytest.raises(InputError, match="on one grid"):
        surface_gap(plane, landscape.surface(teacher, **{**how, "x": (-1, 1, 4)}))


def test_copies_never_part_without_noise_and_are_seen_to_where_they_do(tmp_path: Path) -> None:
    teacher = problem("digits-mlp-1x8", init="he").model
    growth = widen(teacher, {"1": 16}, seed=1)
    trained = train("digits-mlp-1x16", tmp_path, epochs=2, start=growth.model)
    state = torch.load(trained.end, weights_only=True)["state_dict"]
    begun = growth.model.state_dict()
    assert float((state["1.weight"] - begun["1.weight"]).abs().max()) > 0.01  # it did train
    assert copy_gap(growth, state) <= 1e-4  # equal gradients but for rounding, 22 steps of which cannot make 1e-4 of 1e-7
    state["1.weight"][8] += 0.5 * float(state["1.weight"].abs().max())  # the ninth unit is a copy, whichever of
    assert copy_gap(growth, state) > 0.2


def test_without_copies_nothing_parts() -> None:
    growth = widen(MultilayerPerceptron(n_hidden=1, width=4), {})
    assert copy_gap(growth, growth.model.state_dict()) == 0
