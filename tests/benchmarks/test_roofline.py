"""Operations, bytes and rates."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from landscape.problem import Problem
from landscape_benchmarks.case import pose
from landscape_benchmarks.roofline import Cost, Rates, cost_of, measure_rates

CPU = torch.device("cpu")


def test_a_perceptron_costs_what_its_layers_say() -> None:
    n, widths = 30, (5, 7, 3)
    model = nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 3))
    data = {"train": (torch.randn(n, widths[0]), torch.randint(0, 3, (n,)))}
    cost = cost_of(pose(Problem(model, nn.CrossEntropyLoss(), data), None, None, CPU, 2))
    assert cost.operations == pytest.approx(n * 2 * (5 * 7 + 7 * 3))  # a multiplication and an addition for each weight
    assert cost.activations == pytest.approx(n * (7 + 3))  # the ReLU comes with the layer before it
    assert cost.parameters == 5 * 7 + 7 * 3  # biases stand still
    assert not cost.convolved


def test_a_convolution_costs_its_kernel_at_each_pixel_and_its_norm_nothing() -> None:
    n = 20
    model = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten())
    data = {"train": (torch.randn(n, 2, 6, 6), torch.randint(0, 3, (n,)))}
    cost = cost_of(pose(Problem(model, nn.CrossEntropyLoss(), data), None, None, CPU, 2))
    assert cost.operations == pytest.approx(n * 2 * (2 * 9) * 4 * 36)
    assert cost.activations == pytest.approx(n * 4 * 36)
    assert cost.convolved


def test_the_floor_is_operations_over_their_rate_or_bytes_over_theirs() -> None:
    rates = Rates({"fp32": 1e9, "bf16": 4e9}, {"fp32": 2e9, "bf16": 1e9}, copy=1e8)
    floor = rates.floor(Cost(operations=1e9, activations=1e3, parameters=10, convolved=False), "fp32")
    assert floor.operation_seconds == pytest.approx(1.0)
    assert floor.byte_seconds == pytest.approx((4 * 4 * 10 + 2 * 4 * 1e3) / 1e8)
    assert floor.seconds == floor.operation_seconds
    winograd = rates.floor(Cost(operations=1e9, activations=1e3, parameters=10, convolved=True), "fp32")
    assert winograd.operation_seconds == pytest.approx(0.5)  # convolutions are faster than matrix products here
    bytes_bind = rates.floor(Cost(operations=4e9, activations=1e9, parameters=0, convolved=True), "bf16")
    assert bytes_bind.operation_seconds == pytest.approx(1.0)
    assert bytes_bind.seconds == bytes_bind.byte_seconds == pytest.approx(2 * 2 * 1e9 / 1e8)


def test_the_better_of_two_measurements_counts() -> None:
    first, second = Rates({"fp32": 3.0}, {"fp32": 4.0}, 9.0), Rates({"fp32": 5.0}, {"fp32": 2.0}, 7.0)
    assert first.best(second) == Rates({"fp32": 5.0}, {"fp32": 4.0}, 9.0)


def test_rates_are_of_this_century_and_the_users_matrix_precision_comes_back() -> None:
    """Between a slow core of 2005 and all GPUs of 2035: a factor of 1,000 or a swapped unit would show."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        rates = measure_rates(CPU, ["fp32"])
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)
    assert 1e8 < rates.matrix["fp32"] < 1e17
    assert 1e8 < rates.convolution["fp32"] < 1e17
    assert 1e8 < rates.copy < 1e15
