"""The self-audit of a run with a tolerance: what no sample shows is found, an honest loss is left alone, and bits depend on neither."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from parallel.jobs import finish, needs_mpi, start
from torch import Tensor, nn

import landscape
from landscape import Problem, Surface
from landscape.core.surface import BY_METRIC
from landscape.evaluate import choose
from landscape.measures import describe_audit
from landscape.report import describe, tabulate
from landscape.sweep.tolerance_audit import fails

QUIET = {"quiet": True, "threads": 1, "device": "cpu"}
N = 5000


class Height(nn.Module):
    """A model of one weight, at 1."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1, 1, dtype=torch.float64))


class Scaled:
    """Losses by example times how far the weight is from 0; and how often each point was asked for how many examples."""

    def __init__(self) -> None:
        self.asked: list[tuple[float, int]] = []

    def __deepcopy__(self, memo: dict[int, Any]) -> Scaled:
        return self

    def __call__(self, model: nn.Module, batch: Tensor) -> Tensor:
        self.asked.append((float(model.weight.sum()), len(batch)))
        return batch[:, 0] * (1 + model.weight.square().sum())


def spikes(seed: int) -> np.ndarray:
    """One example in a thousand has a loss of 100, the others 0.01: nine tenths of the mean are theirs."""
    losses = 0.01 * (1 + 0.1 * np.random.default_rng(seed).normal(size=N))
    losses[np.random.default_rng(seed + 1000).permutation(N)[: N // 1000]] = 100.0
    return losses


def honest(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).gamma(2.0, size=N)


def problem_of(losses: np.ndarray, loss: Any = None, **more: np.ndarray) -> tuple[Problem, Scaled]:
    loss = loss or Scaled()
    data = {name: torch.from_numpy(array)[:, None] for name, array in {"train": losses, **more}.items()}
    return Problem(Height(), loss, data, name="spikes"), loss


def options_of(given: dict[str, Any]) -> dict[str, Any]:
    return {"normalize": "none", "ignore": "none", "tolerance": 0.02, "batch_size": 256, **QUIET, **given}


def line(losses: np.ndarray, to: Path | None = None, n: int = 41, **given: Any) -> tuple[Surface, Scaled]:
    problem, loss = problem_of(losses, given.pop("loss", None))
    return landscape.line(problem, x=(-1, 1, n), to=to, **options_of(given)), loss


def off(surface: Surface, losses: np.ndarray, **options: Any) -> np.ndarray:
    """How far each value is from that of all examples, in its own standard errors; 0 where it is exact."""
    exact, _ = line(losses, **{"n": len(surface.x), **options, "tolerance": 0.0})
    gaps, errors = surface.values["train_loss"] - exact.values["train_loss"], surface.stderr["train_loss"]
    # Sums of 5,000 numbers in float64, in two orders: 1e-12 of a value is far above their rounding.
    return np.where(np.abs(gaps) <= 1e-12 * exact.values["train_loss"], 0.0, gaps / np.where(errors > 0, errors, np.nan))


def found(surface: Surface, name: str, split: str = "train") -> Any:
    return surface.checks[f"tolerance_audit_{split}_{name}"]


# --- what it finds ---


class Elsewhere(Scaled):
    """At each point other examples are the spikes: the thousandth whose number fits the weight."""

    def __call__(self, model: nn.Module, batch: Tensor) -> Tensor:
        chosen = ((batch[:, 0] + model.weight.detach()[0, 0] * 997).round() % 1000) == 0
        return torch.where(chosen, 100.0, 0.01 + 1e-6 * batch[:, 0] / N) * (1 + 0 * model.weight.sum())


def test_what_no_sample_shows_is_found() -> None:
    """In three runs of four the first 256 examples hold no spike, and the values are a tenth of the truth."""
    fooled, wrong = 0, []
    for seed in range(10):
        losses = spikes(seed)
        surface, _ = line(losses, seed=seed, n=21)
        wrong.append(not (np.abs(off(surface, losses, seed=seed)) <= 3).all())
        fooled += found(surface, "first_look") > 256
    assert fooled >= 5
    assert sum(wrong) <= 1


def test_spikes_that_are_others_at_each_point_are_found_too() -> None:
    numbers, wrong = np.arange(N, dtype=np.float64), []
    for seed in range(5):
        surface, _ = line(numbers, seed=seed, n=21, loss=Elsewhere())
        errors = off(surface, numbers, seed=seed, loss=Elsewhere())
        wrong.append(not (np.abs(errors) <= 3).all())
    assert sum(wrong) <= 1


def test_an_honest_loss_is_left_alone() -> None:
    """Of ordinary losses some runs in a hundred fail by chance; how many of real ones, the module says."""
    begun = [found(line(honest(seed), seed=seed, n=21)[0], "first_look") for seed in range(12)]
    assert sum(first > 256 for first in begun) <= 2


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([], False),
        ([0.0] * 16, False),
        ([3.0, -2.0], False),
        ([3.01], True),
        ([-3.01], True),
        ([2.01, -2.01], True),
        ([np.inf], True),
    ],
)
def test_one_beyond_three_or_two_beyond_two(scores: list[float], expected: bool) -> None:
    assert fails(scores) is expected


# --- what it stores ---


@pytest.mark.parametrize("examples", [None, 3000, "first:3000"])
def test_the_scores_are_value_minus_truth_over_error(tmp_path: Path, examples: Any) -> None:
    losses = honest(0)
    line(losses, tmp_path / "l.h5", examples=examples)
    surface = landscape.read(tmp_path / "l.h5")
    sample = choose(problem_of(losses)[0].examples("train"), examples, 0, True).examples.tensors.numpy()[:, 0]
    nodes, used = found(surface, "points"), found(surface, "examples")
    assert nodes[0] == 20  # the origin
    assert len(nodes) == len(set(nodes)) <= 16
    assert any(n < len(sample) for n in used)
    for k, (node, n) in enumerate(zip(nodes, used, strict=True)):
        truth, value = float(found(surface, "truths")[k]), float(found(surface, "values")[k])
        scale = truth / sample.mean()
        # float64, 5,000 numbers in another order
        assert value == pytest.approx(scale * sample[:n].mean(), rel=1e-12)
        if n < len(sample):
            error = scale * sample[:n].std(ddof=1) * np.sqrt(1 / n - 1 / len(sample))
            assert found(surface, "z")[k] == pytest.approx((value - truth) / error, rel=1e-9)
        # The point itself is told exactly.
        assert surface.values["train_loss"][node] == truth
        assert surface.examples["train"][node] == len(sample)
    assert all(score == 0 for score, n in zip(found(surface, "z"), used, strict=True) if n == len(sample))


def test_it_is_told_that_the_scores_are_correlated() -> None:
    surface, _ = line(honest(1), tolerance=0.01)
    told = describe(surface)
    assert (
        f"{len(found(surface, 'z'))} points carried to all train examples, (value − truth)/error = {found(surface, 'z')[0]:.2f}, "
        in told
    )
    assert "these are correlated, as all points see the same examples first" in told
    assert describe_audit(surface, "train").startswith(
        f"{len(found(surface, 'z'))} points carried to all train examples: values at most"
    )
    assert tabulate(surface)["checks"]["tolerance_audit_train_z"] == found(surface, "z")
    fooled = next(s for s in (line(spikes(seed), seed=seed, n=21)[0] for seed in range(10)) if found(s, "first_look") > 256)
    assert f"every point was given {found(fooled, 'first_look'):,} examples at least" in describe(fooled)


def test_where_there_is_nothing_to_audit_nothing_is_said() -> None:
    for losses, options in ((honest(0)[:256], {}), (honest(0), {"tolerance": 0.0}), (honest(0), {"examples": 200})):
        surface, _ = line(losses, n=5, **options)
        assert not [name for name in surface.checks if name.startswith("tolerance_audit")]
        assert describe_audit(surface, "train") == ""


class Lost(Scaled):
    """Losses that are no numbers where the weight is above 1."""

    def __call__(self, model: nn.Module, batch: Tensor) -> Tensor:
        losses = super().__call__(model, batch)
        return torch.where(model.weight.sum() > 1, torch.nan, losses)


def test_losses_that_are_no_numbers_are_no_reason_to_go_on() -> None:
    surface, _ = line(honest(0), n=21, loss=Lost())
    assert np.isnan(surface.values["train_loss"]).sum() == 10
    assert found(surface, "first_look") == 256
    assert np.isfinite(found(surface, "z")).all()


# --- what it costs ---


def test_it_costs_no_more_than_a_tenth_of_the_run() -> None:
    """Counted by the loss itself: examples beyond those of the same run without an audit, at most a tenth of that run's."""
    losses = 1 + 0.3 * np.random.default_rng(3).normal(size=20_000)  # 256 examples do
    surface, loss = line(losses, n=401)
    carried = len(found(surface, "points"))
    early = np.delete(surface.examples["train"], found(surface, "points"))
    assert (early == 256).all()
    needed = 401 * 256
    assert 1 <= carried == max(1, needed // 10 // (20_000 - 256))
    assert sum(n for _, n in loss.asked) < 1.1 * needed + 16 * 256 + 20_000 * 4  # candidates; the self-check's six points


def test_one_point_is_carried_even_where_a_tenth_is_less() -> None:
    surface, _ = line(1 + 0.3 * np.random.default_rng(3).normal(size=20_000), n=9)
    assert len(found(surface, "points")) == 1


# --- that bits depend on neither ranks nor interruptions ---


def check_same(ours: Surface, theirs: Surface) -> None:
    for kind in (*BY_METRIC, "examples"):
        for key, array in getattr(ours, kind).items():
            assert np.array_equal(getattr(theirs, kind)[key], array, equal_nan=True), (kind, key)
    for name in ours.checks:
        if name.startswith("tolerance_audit"):
            assert ours.checks[name] == theirs.checks[name], name


class Interrupting(Scaled):
    """A loss during whose n-th call somebody presses Ctrl-C."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.n = n

    def __call__(self, model: nn.Module, batch: Tensor) -> Tensor:
        self.n -= 1
        if self.n == 0:
            raise KeyboardInterrupt
        return super().__call__(model, batch)


@pytest.mark.parametrize("losses", [spikes(2), honest(5)], ids=["spikes", "honest"])
def test_an_interrupted_run_goes_on_to_the_same_bits(tmp_path: Path, losses: np.ndarray) -> None:
    whole, loss = line(losses, n=21, seed=2)
    total, times = len(loss.asked), 0
    for k in range(30, total, total // 7):
        path = tmp_path / f"{k}.h5"
        with pytest.raises(KeyboardInterrupt):
            line(losses, path, n=21, seed=2, loss=Interrupting(k))
        if path.exists():
            times += 1
            with pytest.raises(KeyboardInterrupt):  # and once more, soon after
                line(losses, path, n=21, seed=2, loss=Interrupting(40))
        check_same(whole, line(losses, path, n=21, seed=2)[0])
    assert times >= 3


def test_a_file_that_is_gone_on_with_keeps_its_first_look(tmp_path: Path) -> None:
    seed = next(seed for seed in range(10) if found(line(spikes(seed), seed=seed, n=21)[0], "first_look") > 256)
    losses, path = spikes(seed), tmp_path / "l.h5"
    first, _ = line(losses, path, n=21, seed=seed)
    again, _ = line(losses, path, n=41, seed=seed)
    check_same(first, landscape.line(problem_of(losses)[0], x=(-1, 1, 21), to=None, **options_of({"seed": seed})))
    assert found(again, "first_look") == found(first, "first_look")
    assert found(again, "z") == found(first, "z")
    assert (np.abs(off(again, losses, seed=seed)) <= 3).all()
    finished, _ = line(losses, path, n=41, seed=seed)
    assert finished.complete
    assert found(finished, "z") == found(first, "z")


def test_parts_agree_on_their_first_look(tmp_path: Path) -> None:
    losses = spikes(2)
    for k in (1, 2, 3):
        line(losses, tmp_path / f"{k}.h5", seed=2, part=f"{k}/3")
    parts = [landscape.read(tmp_path / f"{k}.h5") for k in (1, 2, 3)]
    assert len({found(part, "first_look") for part in parts}) == 1
    merged = landscape.merge([tmp_path / f"{k}.h5" for k in (1, 2, 3)], quiet=True)
    assert merged.complete
    assert (np.abs(off(merged, losses, seed=2)) <= 3).all()
    assert found(merged, "z") == found(parts[0], "z")


def test_each_split_has_its_own_first_look() -> None:
    problem, _ = problem_of(honest(0), test=spikes(2))
    surface = landscape.line(problem, x=(-1, 1, 21), split="train,test", **options_of({"seed": 2}))
    assert found(surface, "first_look") == 256
    assert found(surface, "first_look", "test") > 256 or (surface.examples["test"] == N).all()
    assert surface.examples["train"].min() < N


@pytest.mark.parametrize("kind", ["plane", "draws", "negative seed"])
def test_planes_and_draws_are_audited_too(kind: str) -> None:
    problem, _ = problem_of(spikes(2))
    problem.model.weight = nn.Parameter(torch.ones(1, 2, dtype=torch.float64))
    if kind == "plane":
        surface = landscape.surface(problem, x=(-1, 1, 5), y=(-1, 1, 5), **options_of({"seed": 2}))
    elif kind == "draws":
        surface = landscape.line(problem, x=(-1, 1, 11), seeds=(1, 2, 3), **options_of({"seed": 2}))
    else:
        surface = landscape.line(problem, x=(-1, 1, 11), **options_of({"seed": -2}))
    assert surface.complete
    assert found(surface, "settled") == 1


def test_a_run_whose_time_is_up_before_measures_nothing_else(tmp_path: Path) -> None:
    surface, _ = line(honest(0), tmp_path / "l.h5", time_limit=0)
    assert not surface.done["train_loss"].any()
    finished, _ = line(honest(0), tmp_path / "l.h5")
    assert finished.complete
    check_same(finished, line(honest(0))[0])


@needs_mpi
def test_two_ranks_have_the_same_bits(tmp_path: Path) -> None:
    program = """
    import landscape
    from sweep.test_tolerance_audit import line, spikes

    line(spikes(2), "l.h5", n=21, seed=2)
    """
    code, out, err = finish(start(2, program, tmp_path))
    assert code == 0, out + err
    check_same(line(spikes(2), n=21, seed=2)[0], landscape.read(tmp_path / "l.h5"))
