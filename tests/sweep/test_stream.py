"""A surface that grows while one looks: the values of `surface`, a file that can be resumed, and torch as the caller has it."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cases import images, perceptron

import landscape
from landscape import io
from landscape.errors import InputError
from landscape.parallel import SerialExecutor

QUIET: dict[str, Any] = {"quiet": True, "threads": 1, "device": "cpu"}
AXES: dict[str, Any] = {"x": (-1, 1, 5), "y": (-1, 1, 3)}


def n_done(surface: landscape.Surface) -> int:
    return int(surface.done["train_loss"].sum())


@pytest.mark.parametrize("more", [{}, {"seed": 3, "normalize": "layer", "orthogonalize": True}, {"engine": "batched"}])
def test_a_stream_ends_with_the_surface(more: dict[str, Any]) -> None:
    *before, last = landscape.stream(images(), **AXES, **more, **QUIET)
    whole = landscape.surface(images(), **AXES, **more, **QUIET)
    assert np.array_equal(last.values["train_loss"], whole.values["train_loss"])
    assert last.numbers == whole.numbers
    assert last.attributes == whole.attributes
    assert last.checks == whole.checks
    counts = [n_done(part) for part in before]
    assert counts == sorted(counts)  # each is a copy, which does not grow any more
    assert counts[0] < counts[-1] == 15 or "engine" in more
    for part in before:
        mask = part.done["train_loss"]
        assert np.array_equal(part.values["train_loss"][mask], whole.values["train_loss"][mask])
        assert np.isnan(part.values["train_loss"][~mask]).all()


def test_through_three_models() -> None:
    models = [images(seed).model for seed in range(3)]
    *_, last = landscape.stream(images(), *models, x=(0, 1, 2), y=(0, 1, 2), **QUIET)
    whole = landscape.surface(images(), *models, x=(0, 1, 2), y=(0, 1, 2), **QUIET)
    assert np.array_equal(last.values["train_loss"], whole.values["train_loss"])


@pytest.mark.parametrize("closed", [False, True])
def test_whoever_breaks_off_can_go_on(tmp_path: Path, closed: bool) -> None:
    to = tmp_path / "s.h5"
    stream = landscape.stream(images(), **AXES, to=to, **QUIET)
    for part in stream:
        if n_done(part) == 4:
            break
    stream.close() if closed else None
    del stream
    io.check_free(to)
    assert n_done(landscape.read(to)) == 4
    assert landscape.read(to).checks["passed"] == 1
    again = landscape.surface(images(), **AXES, to=to, **QUIET)
    assert again.runs[-1]["points"] == 11
    assert np.array_equal(again.values["train_loss"], landscape.surface(images(), **AXES, **QUIET).values["train_loss"])
    assert [n_done(part) for part in landscape.stream(images(), **AXES, to=to, **QUIET)] == [15]  # nothing is left


def test_an_error_where_one_looks_leaves_the_file(tmp_path: Path) -> None:
    to = tmp_path / "s.h5"

    def look() -> None:
        with contextlib.closing(landscape.stream(images(), **AXES, to=to, **QUIET)) as stream:
            raise ZeroDivisionError(next(stream))

    with pytest.raises(ZeroDivisionError):
        look()
    assert n_done(landscape.read(to)) == 1
    io.check_free(to)


def test_in_between_torch_is_as_the_caller_has_it() -> None:
    torch.manual_seed(7)
    expected = [torch.rand(3) for _ in range(4)]
    torch.manual_seed(7)
    before, found = torch.get_num_threads(), []
    torch.set_default_dtype(torch.float64)
    try:
        with torch.autocast("cpu"):
            for _ in landscape.stream(perceptron(), x=(-1, 1, 4), y=(0, 0, 1), quiet=True, device="cpu", threads=2):
                assert torch.is_grad_enabled()
                assert torch.is_autocast_enabled("cpu")
                assert torch.get_default_dtype() == torch.float64
                assert torch.get_num_threads() == before
                if len(found) < 4:
                    found.append(torch.rand(3, dtype=torch.float32))
    finally:
        torch.set_default_dtype(torch.float32)
    assert all(map(torch.equal, found, expected))


def test_ranks_have_no_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    class Several(SerialExecutor):
        n_ranks = 2

        def fail(self, error: BaseException) -> None:
            self.failed = error

    several = Several()
    monkeypatch.setattr(sys.modules["landscape.sweep.run"], "detect_executor", lambda: several)
    with pytest.raises(InputError, match="under mpirun use surface"):
        next(landscape.stream(perceptron(), **QUIET))
    assert isinstance(several.failed, InputError)  # whose job would wait for the other ranks


def test_wrong_words_are_refused_at_once() -> None:
    with pytest.raises(InputError, match='no option "xs"'):
        landscape.stream(perceptron(), xs=(-1, 1, 3))
