"""Runs on a sample of the examples: their numbers come from errors of differences, against loops over the model's own losses."""

from __future__ import annotations

import itertools
import math
import shutil
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from cases import integers, next_token, normal, seeded, tokens
from torch import Tensor, nn

import landscape
from landscape import Problem, RunError, Surface, io
from landscape.core.subspace import Subspace
from landscape.evaluate import choose
from landscape.report import describe
from landscape.sweep.options import Options
from landscape.sweep.paired_errors import kept_examples
from landscape.sweep.plan import plan_line, plan_surface

N, USED = 400, 150
SIGNS = ("convexity", "turning_points", "minima")


def perceptron() -> Problem:
    model = seeded(lambda: nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))).double()
    data = {"train": (2 * normal(N, 4, dtype=torch.float64), integers(3, N))}
    data["test"] = (normal(90, 4, seed=5, dtype=torch.float64), integers(3, 90, seed=5))
    return Problem(model, nn.CrossEntropyLoss(), data, name="perceptron")


def texts() -> Problem:
    """Losses that are ratios: sums over the tokens of a text, and how many those are."""
    keep = (torch.arange(6) <= integers(6, N, seed=4)[:, None]).float()
    data = {"train": {"tokens": integers(7, N, 7, seed=3), "keep": keep}}
    return Problem(tokens().model, next_token, data, name="texts")


def own_losses(problem: Problem, space: Subspace, places: list[tuple[float, ...]], examples: np.ndarray) -> np.ndarray:
    """Losses of single examples `(n_places, n)`, linear to first order where they are ratios, by the user's model and loss alone."""
    rows = []
    for place in places:
        problem.model.load_state_dict(space.point(place), strict=False)
        with torch.no_grad():
            if isinstance(problem.data["train"], dict):
                batch = {name: tensor[examples] for name, tensor in problem.data["train"].items()}
                sums, weights = (part.double().numpy() for part in next_token(problem.model.eval(), batch)["loss"])
                ratio = sums.sum() / weights.sum()
                rows.append(ratio + (sums - ratio * weights) / weights.mean())
            else:
                inputs, targets = (part[examples] for part in problem.data["train"])
                rows.append(F.cross_entropy(problem.model(inputs), targets, reduction="none").numpy())
    return np.array(rows)


def beyond(losses: np.ndarray, coefficients: dict[int, float], roundoff: float) -> int:
    """The sign of a combination of means where it exceeds 3 of its error, else 0; one example after the other."""
    n = losses.shape[1]
    combined = [sum(c * losses[node, i] for node, c in coefficients.items()) for i in range(n)]
    mean = math.fsum(combined) / n
    sampling = sum((one - mean) ** 2 for one in combined) / (n - 1) * (1 / n - 1 / N)
    rounding = sum((c * roundoff * losses[node].mean()) ** 2 for node, c in coefficients.items())
    return int(math.copysign(1, mean)) if abs(mean) > 3 * math.sqrt(sampling + rounding) else 0


def turns(signs: list[int]) -> int:
    seen = [sign for sign in signs if sign]
    return sum(a != b for a, b in itertools.pairwise(seen))


@pytest.mark.parametrize("make", [perceptron, texts])
@pytest.mark.parametrize("engine", ["eager", "batched"])
def test_a_line_is_measured_as_by_loops_over_single_examples(make: Callable[[], Problem], engine: str) -> None:
    if make is texts and engine == "batched":
        pytest.skip("vmap has no rule for recurrent layers")
    x = np.linspace(-3, 3, 13) * (1 if make is perceptron else 4)
    surface = landscape.line(make(), x=x, examples=USED, seed=3, engine=engine, batch_size=64, quiet=True)
    problem, roundoff = make(), 2.0**-53 if make is perceptron else 2.0**-24
    plan = plan_line(make(), None, None, x, None, Options(seed=3))
    sample = choose(problem.examples("train"), USED, 3, False)
    assert sample.indices is not None
    losses = own_losses(problem, plan.subspace, [(float(a),) for a in x], sample.indices)
    np.testing.assert_allclose(losses.mean(axis=1), surface.values["train_loss"], rtol=1e-5)
    signs = [beyond(losses, {k + 1: 1.0, k: -1.0}, roundoff) for k in range(12)]
    curved = [beyond(losses, {k - 1: 1.0, k: -2.0, k + 1: 1.0}, roundoff) for k in range(1, 12)]
    lowest = [signs[k - 1] == -1 and signs[k] == 1 for k in range(1, 12)]
    assert sum(abs(sign) for sign in signs) > 0
    assert 0 < curved.count(1) < 11  # so that the test can tell right from wrong
    assert surface.numbers["turning_points"].value == turns(signs)
    assert surface.numbers["convexity"].value == curved.count(1) / 11
    assert surface.numbers["minima"].value == sum(lowest)
    assert surface.runs[-1]["paired_examples"] == USED


def test_a_plane_is_measured_as_by_loops_over_single_examples() -> None:
    x, y = np.linspace(-3, 3, 7), np.linspace(-2, 3, 6)
    surface = landscape.surface(perceptron(), x=x, y=y, examples=USED, seed=1, quiet=True)
    problem = perceptron()
    plan = plan_surface(perceptron(), None, None, None, x, y, False, Options(seed=1))
    sample = choose(problem.examples("train"), USED, 1, False)
    assert sample.indices is not None
    losses = own_losses(problem, plan.subspace, [(float(a), float(b)) for a in x for b in y], sample.indices)
    node = np.arange(42).reshape(7, 6)
    rows = [[beyond(losses, {int(b): 1.0, int(a): -1.0}, 2.0**-53) for a, b in itertools.pairwise(r)] for r in (*node, *node.T)]
    assert surface.numbers["turning_points"].value == pytest.approx(np.mean([turns(row) for row in rows]), rel=1e-12)
    minima = 0
    for i in range(1, 6):
        for j in range(1, 5):
            others = [int(node[i + a, j + b]) for a in (-1, 0, 1) for b in (-1, 0, 1) if (a, b) != (0, 0)]
            minima += all(beyond(losses, {other: 1.0, int(node[i, j]): -1.0}, 2.0**-53) == 1 for other in others)
    assert surface.numbers["minima"].value == minima


def test_each_draw_has_its_own_errors() -> None:
    """On so fine a line many curvatures are within their errors, so that another draw's errors would make another share."""
    how: dict[str, Any] = {"x": (-3, 3, 61), "examples": USED, "quiet": True}
    both = landscape.line(perceptron(), seeds=[4, 9], **how)
    # The sample is drawn from the run's seed, 0; so that single lines have the same, they are draws too.
    single = [landscape.line(perceptron(), seeds=[seed], **how).numbers["convexity"].value for seed in (4, 9)]
    assert both.numbers["convexity"].value == np.mean(single)
    assert len(set(single)) == 2
    assert all(0.1 < share < 0.9 for share in single)


def test_where_all_examples_are_used_nothing_is_kept() -> None:
    surface = landscape.line(perceptron(), x=(-1, 1, 5), quiet=True)
    assert "paired_examples" not in surface.runs[-1]
    assert not any(surface.numbers[name].withheld for name in SIGNS)
    assert surface.numbers == landscape.measure(surface)


def test_with_a_tolerance_points_are_compared_over_the_examples_they_share() -> None:
    problem = perceptron()
    surface = landscape.line(problem, x=(-3, 3, 9), tolerance=0.2, quiet=True)
    used = surface.examples["train"]
    assert used.min() < used.max() or used.max() < N
    assert surface.runs[-1]["paired_examples"] == used.min()
    sample = choose(problem.examples("train"), None, 0, True)
    assert sample.indices is not None
    plan = plan_line(perceptron(), None, None, (-3, 3, 9), None, Options())
    losses = own_losses(perceptron(), plan.subspace, [(float(a),) for a in surface.x], sample.indices[: used.min()])
    signs = [beyond(losses, {k + 1: 1.0, k: -1.0}, 2.0**-53) for k in range(8)]
    assert surface.numbers["turning_points"].value == turns(signs)


def reason(surface: Surface) -> str:
    found = {surface.numbers[name].withheld for name in SIGNS if name in surface.numbers}
    assert len(found) == 1
    return found.pop()


def whole_batches(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    return F.cross_entropy(model(batch[0]), batch[1])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"examples": "first:150"}, "the first examples are no random sample"),
        ({"examples": 50}, "share only 50 examples, too few"),
        ({"examples": "first:150", "tolerance": 0.3}, "the first examples are no random sample"),
        ({"loss": whole_batches, "examples": USED}, "losses of whole batches have no known error"),
    ],
)
def test_what_cannot_be_told_is_withheld_with_the_reason(options: dict[str, Any], words: str) -> None:
    problem, rest = perceptron(), dict(options)
    if (loss := rest.pop("loss", None)) is not None:
        problem = Problem(problem.model, loss, problem.data, per_example=False)
    assert words in reason(landscape.line(problem, x=(-1, 1, 5), quiet=True, **rest))


def test_over_budget_it_is_withheld(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("landscape.sweep.paired_errors._BUDGET", 6 * 4 * USED - 1)  # five points and the origin, less one byte
    assert "more than there is room for" in reason(landscape.line(perceptron(), x=(-1, 1, 5), examples=USED, quiet=True))
    monkeypatch.setattr("landscape.sweep.paired_errors._BUDGET", 6 * 4 * USED)
    assert reason(landscape.line(perceptron(), x=(-1, 1, 5), examples=USED, quiet=True)) == ""
    monkeypatch.setattr("landscape.sweep.paired_errors._ENOUGH", 100)  # fewer examples are kept of each point
    monkeypatch.setattr("landscape.sweep.paired_errors._BUDGET", 6 * 4 * 120)
    assert landscape.line(perceptron(), x=(-1, 1, 5), examples=USED, quiet=True).runs[-1]["paired_examples"] == 120


def test_half_of_the_disk_stays_free(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**6, 10**6 - 5000, 5000))
    assert "more than there is room for" in reason(landscape.line(perceptron(), x=(-1, 1, 5), examples=USED, quiet=True))


def test_a_disk_that_fills_up_costs_the_numbers_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def __init__(self, **options: Any) -> None: ...

        def seek(self, place: int) -> None: ...

        def write(self, data: bytes) -> None:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("landscape.sweep.paired_errors.tempfile.TemporaryFile", Full)
    surface = landscape.line(perceptron(), x=(-1, 1, 5), examples=USED, quiet=True)
    assert surface.complete
    assert "could not be kept (No space left on device)" in reason(surface)


def test_a_resumed_run_has_lost_the_losses_of_earlier_points(tmp_path: Path) -> None:
    path, how = tmp_path / "s.h5", {"examples": USED, "quiet": True}
    whole = landscape.line(perceptron(), x=(-1, 1, 9), **how)
    first = landscape.line(perceptron(), x=(-1, 1, 5), to=path, **how)
    assert reason(first) == ""
    finer = landscape.line(perceptron(), x=(-1, 1, 9), to=path, **how)
    assert "the run was resumed: the losses of single examples at 5 points are gone; --overwrite measures all again" in reason(
        finer
    )
    assert finer.numbers["basin_share"] == whole.numbers["basin_share"]  # what needs no errors is told
    assert reason(landscape.line(perceptron(), x=(-1, 1, 9), to=path, **how)) == reason(finer)
    again = landscape.line(perceptron(), x=(-1, 1, 9), to=path, overwrite=True, **how)
    assert again.numbers == whole.numbers


def test_a_run_with_nothing_left_to_do_keeps_what_was_found(tmp_path: Path) -> None:
    path, how = tmp_path / "s.h5", {"x": (-3, 3, 9), "to": tmp_path / "s.h5", "examples": USED, "quiet": True}
    first = landscape.line(perceptron(), **how)
    assert reason(first) == ""
    for split in ("train", "train", "test", "train,test"):  # another split is added; numbers are of the first
        assert landscape.line(perceptron(), split=split, **how).numbers == first.numbers
    read = io.read(path)
    assert read.numbers == first.numbers
    assert reason(Surface(**{**read.__dict__, "numbers": landscape.measure(read)})).startswith("from 150 of 400 examples")
    assert f"{'convexity':<24} {first.numbers['convexity']}" in describe(read)


def test_numbers_that_version_0_1_0_stored_are_not_kept(tmp_path: Path) -> None:
    path, how = tmp_path / "s.h5", {"x": (-3, 3, 9), "to": tmp_path / "s.h5", "examples": USED, "quiet": True}
    landscape.line(perceptron(), **how)
    import h5py

    with h5py.File(path, "r+") as file:
        del file["runs/0"].attrs["paired_examples"]
    assert "the run was resumed" in reason(landscape.line(perceptron(), **how))


def test_an_interrupted_run_tells_no_signs(tmp_path: Path) -> None:
    calls = []

    def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        calls.append(1)
        if len(calls) > 60:
            raise ValueError("enough")
        return F.cross_entropy(model(batch[0]), batch[1], reduction="none")

    problem = Problem(perceptron().model, loss, perceptron().data)
    with pytest.raises(RunError, match="enough"):
        landscape.line(problem, x=(-1, 1, 99), examples=USED, to=tmp_path / "s.h5", quiet=True, engine="eager", batch_size=USED)
    assert "the run was interrupted" in io.read(tmp_path / "s.h5").numbers["turning_points"].withheld


def test_a_merged_surface_withholds_what_only_the_runs_knew(tmp_path: Path) -> None:
    for part in (1, 2):
        how = {"x": (-1, 1, 9), "examples": USED, "part": f"{part}/2", "quiet": True}
        made = landscape.line(perceptron(), to=tmp_path / f"{part}.h5", **how)
        assert reason(made) == ""
        assert made.numbers["turning_points"].bound == "≥"
    merged = landscape.merge([tmp_path / "1.h5", tmp_path / "2.h5"], quiet=True)
    assert merged.complete
    assert "which only the run had" in reason(merged)


def test_a_point_without_a_loss_takes_no_part() -> None:
    def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        weight = next(model.parameters())
        return (
            F.cross_entropy(model(batch[0]), batch[1], reduction="none")
            + (weight[0, 0] - weight[0, 0].detach() + first(weight)).sqrt()
        )

    start = float(next(perceptron().model.parameters())[0, 0])

    def first(weight: Tensor) -> Tensor:
        return 1 - (weight[0, 0] - start) * 1e3  # NaN on one side of the origin

    surface = landscape.line(
        Problem(perceptron().model, loss, perceptron().data), x=(-1, 1, 9), examples=USED, check="warn", quiet=True
    )
    assert np.isnan(surface.values["train_loss"]).sum() == 4
    assert reason(surface) == ""


def test_which_examples_are_kept() -> None:
    examples = perceptron().examples("train")
    assert kept_examples(choose(examples, None, 0, False)) is None
    assert kept_examples(choose(examples, "first:100", 0, False)) is None
    drawn = kept_examples(choose(examples, 100, 0, False))
    assert drawn is not None
    assert sorted(drawn) == list(range(100))
    assert list(drawn) != sorted(drawn)  # any first part of them is a random choice, whatever order the split is in
    shuffled = kept_examples(choose(examples, None, 0, True))
    assert shuffled is not None
    assert list(shuffled) == list(range(N))  # all points look at the first ones
