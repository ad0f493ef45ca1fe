"""Metrics of a loss function through a whole run: each is there at every point and on every rank, or the run ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cases import CORNERS, Coordinates, Follow, coordinates
from parallel.jobs import QUIET, finish, needs_mpi, start
from torch import Tensor, nn

import landscape
from landscape import Problem
from landscape.errors import RunError, UserCodeError


class Sometimes(Follow):
    """The loss a + b, with a second metric where a function of the weights says so."""

    def __init__(self, when: Any) -> None:
        super().__init__(lambda a, b: a + b)
        self.when = when

    def __call__(self, model: nn.Module, batch: Tensor) -> dict[str, Tensor]:  # type: ignore[override]
        losses = super().__call__(model, batch)
        return {"loss": losses, "extra": losses + 1} if self.when(*model.weight.tolist(), len(batch)) else {"loss": losses}


@pytest.mark.parametrize(
    ("when", "words"),
    [
        (lambda a, b, n: (a, b) != (2, 0), 'x = 2, y = 0: .*no "extra" .*examples 0 to 3 of train'),
        (lambda a, b, n: (a, b) == (2, 0), 'x = 2, y = 0: .*"extra" too .*examples 0 to 3 of train'),
        (lambda a, b, n: (a, b) != (2, 0) or n == 4, 'x = 2, y = 0: .*no "extra" .*examples 4 to 4 of train'),
    ],
)
def test_a_metric_of_some_points_is_an_error_that_says_where(tmp_path: Path, when: Any, words: str) -> None:
    problem = Problem(Coordinates(), Sometimes(when), {"train": torch.zeros(5, 1)}, name="coordinates")
    with pytest.raises(UserCodeError, match=words):
        landscape.surface(problem, *CORNERS, x=(0, 2, 3), y=(0, 1, 2), to=tmp_path / "s.h5", batch_size=4, **QUIET)
    surface = landscape.read(tmp_path / "s.h5")
    assert not any(done[2, 0] for done in surface.done.values())
    for key, extra in (("train_loss", 0), ("train_extra", 1)):
        if key in surface.metrics:
            expected = surface.x[:, None] + surface.y[None, :] + extra
            assert np.array_equal(surface.values[key][surface.done[key]], expected[surface.done[key]])


def test_a_metric_of_some_batches_is_an_error_before_the_first_point(tmp_path: Path) -> None:
    problem = Problem(Coordinates(), Sometimes(lambda a, b, n: n == 4), {"train": torch.zeros(5, 1)}, name="coordinates")
    with pytest.raises(RunError, match=r'no "extra" .*examples 4 to 4 of train'):
        landscape.surface(problem, *CORNERS, x=(0, 2, 3), y=(0, 1, 2), to=tmp_path / "s.h5", batch_size=4, **QUIET)
    assert not (tmp_path / "s.h5").exists()


@needs_mpi
@pytest.mark.parametrize("has_it", [0, 1])
def test_a_metric_of_one_rank_is_an_error_that_names_it(tmp_path: Path, has_it: int) -> None:
    torch.save(coordinates(lambda a, b: 0.0)[0].model.state_dict(), tmp_path / "a.pt")
    program = f"""
    import os, time, torch, landscape
    from cases import Coordinates
    from landscape.errors import LandscapeError
    from landscape.parallel import detect_executor

    def loss(model, batch):
        time.sleep(0.01)
        losses = model.weight.sum().expand(len(batch))
        return {{"loss": losses, "extra": losses}} if detect_executor().rank == {has_it} else {{"loss": losses}}

    problem = landscape.Problem(Coordinates(), loss, {{"train": torch.zeros(5, 1)}}, name="coordinates")
    try:
        landscape.line(problem, "a.pt", x=(-1, 1, 41), normalize="none", ignore="none", to="l.h5", quiet=True, threads=1, device="cpu")
    except LandscapeError as error:
        print("said", type(error).__name__, error, flush=True)
        os._exit(3)
    """
    code, out, err = finish(start(2, program, tmp_path))
    assert code != 0
    assert "extra" in out + err
    assert "KeyError" not in out + err
