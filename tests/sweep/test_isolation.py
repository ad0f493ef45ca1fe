"""The caller's global state neither leaks into a run nor is changed by it (T7)."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from cases import images, perceptron, tokens
from torch import nn

import landscape
from landscape import Problem, Surface


def plane(problem: Problem) -> Surface:
    return landscape.surface(problem, x=(-1, 1, 3), y=(-1, 1, 3), quiet=True, threads=1)


@contextmanager
def default_dtype() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@contextmanager
def deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


@contextmanager
def legacy_precision() -> Iterator[None]:
    torch.set_float32_matmul_precision("medium")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision("highest")


@contextmanager
def new_precision() -> Iterator[None]:
    holder = torch.backends.mkldnn.matmul
    before = holder.fp32_precision
    holder.fp32_precision = "bf16"
    try:
        yield
    finally:
        holder.fp32_precision = before


STATES: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "inference mode": torch.inference_mode,
    "no grad": torch.no_grad,
    "default device": lambda: torch.device("meta"),
    "default type": default_dtype,
    "deterministic": deterministic,
    "precision, the old way": legacy_precision,
    "precision, the new way": new_precision,
    "plain": nullcontext,
}


def observed() -> list[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            precision: Any = torch.get_float32_matmul_precision()
        except RuntimeError as error:
            precision = type(error)
        return [
            precision,
            torch.backends.mkldnn.matmul.fp32_precision,
            torch.get_default_dtype(),
            torch.get_default_device(),
            torch.is_autocast_enabled("cpu"),
            torch.is_inference_mode_enabled(),
            torch.is_grad_enabled(),
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
            torch.get_num_threads(),
            torch.random.get_rng_state().tolist(),
            random.getstate(),
            np.random.get_state()[1].tolist(),  # type: ignore[union-attr, index]
        ]


@pytest.mark.parametrize("make", [perceptron, images, tokens])
@pytest.mark.parametrize("name", STATES)
def test_the_callers_state_neither_leaks_in_nor_changes(name: str, make: Callable[[], Problem]) -> None:
    plain = plane(make()).values["train_loss"]
    problem = make()
    with STATES[name]():
        before = observed()
        surface = plane(problem)
        assert observed() == before
    assert np.array_equal(surface.values["train_loss"], plain)
    assert surface.checks["passed"] == 1


def test_a_model_made_in_inference_mode_is_measured() -> None:
    with torch.inference_mode():
        problem = perceptron()
        assert next(problem.model.parameters()).is_inference()
        surface = plane(problem)
    assert np.array_equal(surface.values["train_loss"], plane(perceptron()).values["train_loss"])


def test_a_run_that_raises_leaves_the_state_as_it_was() -> None:
    def raising(model: nn.Module, batch: Any) -> Any:
        raise ValueError("no such luck")

    problem = perceptron()
    with default_dtype(), torch.autocast("cpu", dtype=torch.bfloat16):
        before = observed()
        with pytest.raises(landscape.RunError, match="no such luck"):
            plane(Problem(problem.model, raising, problem.data))
        assert observed() == before
