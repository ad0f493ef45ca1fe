"""Standard errors, intervals and effective examples through a whole run and its file: which are there, and what they say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from cases import integers, normal, perceptron, seeded, segmentation
from torch import Tensor, nn

import landscape
from landscape import Problem, Surface, io
from landscape.core.intervals import wilson

QUIET = {"quiet": True, "threads": 1, "device": "cpu"}
X = (0.0, 1.0, 3)
N = 1000


def images(loss: Any = None) -> Problem:
    model = seeded(lambda: nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3)))
    return Problem(model, loss or nn.CrossEntropyLoss(), {"train": (normal(N, 4), integers(3, N))}, name="many")


def line(problem: Problem, to: Path | None = None, **options: Any) -> Surface:
    return landscape.line(problem, x=options.pop("x", X), to=to, **{**QUIET, **options})


def test_a_criterions_accuracy_has_wilsons_interval(tmp_path: Path) -> None:
    line(images(), tmp_path / "l.h5", examples=100)
    surface = landscape.read(tmp_path / "l.h5")
    assert set(surface.stderr) == set(surface.effective) == {"train_loss"}
    assert set(surface.low) == set(surface.high) == {"train_accuracy"}
    ends = np.array([wilson(float(p), 100, N) for p in surface.values["train_accuracy"]])
    assert np.array_equal(np.stack([surface.low["train_accuracy"], surface.high["train_accuracy"]], axis=1), ends)
    assert (surface.high["train_accuracy"] > surface.low["train_accuracy"]).all()
    assert (surface.effective["train_loss"] > 5).all()
    with h5py.File(tmp_path / "l.h5") as file:
        assert {"train_loss", "train_loss_stderr", "train_accuracy", "train_accuracy_low", "train_accuracy_high"} == set(
            file["values"]
        )
        assert set(file["effective"]) == {"train_loss"}


def test_all_examples_are_exact() -> None:
    surface = line(images())
    assert not surface.stderr["train_loss"].any()
    for ends in (surface.low, surface.high):
        assert np.array_equal(ends["train_accuracy"], surface.values["train_accuracy"])
    assert not surface.effective


def test_pixels_have_the_ratios_error() -> None:
    """Labels by pixel: the example is the image, and its pixels are no independent ones."""
    surface = line(segmentation(), examples=20)
    assert set(surface.stderr) == set(surface.effective) == {"train_loss", "train_accuracy"}
    assert (surface.stderr["train_accuracy"] > 0).all()
    assert not surface.low


def test_the_first_examples_have_no_errors(tmp_path: Path) -> None:
    surface = line(images(), examples="first:500")
    for errors in (surface.stderr["train_loss"], surface.low["train_accuracy"], surface.high["train_accuracy"]):
        assert np.isnan(errors).all()
    assert surface.done["train_loss"].all()


def counted(model: nn.Module, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
    """As many write it: accuracy in floats; and a fraction of their own."""
    outputs, (_, targets) = model(batch[0]), batch
    right = outputs.argmax(dim=1) == targets
    losses = nn.functional.cross_entropy(outputs, targets, reduction="none")
    return {"loss": losses, "accuracy": right.float(), "sure": losses < 0.5, "margin": outputs[:, 0]}


def test_a_loss_functions_fractions_have_intervals() -> None:
    surface = line(images(counted), examples=100)
    assert set(surface.low) == {"train_accuracy", "train_sure"}
    assert set(surface.stderr) == {"train_loss", "train_margin"}
    expected = line(images(), examples=100)
    # Of 0 and 1 in floats Σ(s − p)² = n p (1 − p), in another order of rounding.
    for kind in ("values", "low", "high"):
        ours, theirs = (getattr(found, kind)["train_accuracy"] for found in (surface, expected))
        assert ours == pytest.approx(theirs, rel=1e-9)


def test_losses_of_0_and_1_are_a_fraction_too(tmp_path: Path) -> None:
    def wrong(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        return model(batch[0]).argmax(dim=1) != batch[1]

    surface = line(images(wrong), tmp_path / "l.h5", examples=100)
    assert set(surface.low) == {"train_loss"}
    assert not surface.stderr
    early = line(images(wrong), tolerance=0.2)
    short = early.examples["train"] < N  # 0.67 ± 0.03 at 256; but for the points of the audit
    assert short.any()
    low, value, high = (arrays["train_loss"] for arrays in (early.low, early.values, early.high))
    assert ((low < value) & (value < high))[short].all()
    assert np.array_equal(low[~short], high[~short])


def test_whole_batches_have_no_errors() -> None:
    def mean(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        return nn.functional.cross_entropy(model(batch[0]), batch[1])

    data = images().data
    surface = line(Problem(images().model, mean, data, per_example=False), examples=100)
    assert np.isnan(surface.stderr["train_loss"]).all()


def test_with_a_tolerance_points_say_how_many_carry_their_spread() -> None:
    surface = line(images(), tolerance=0.05)
    counts, effective = surface.examples["train"], surface.effective["train_loss"]
    assert (counts < N).any()
    assert (effective[counts < N] >= 64).all()
    assert np.isnan(effective[counts == N]).all()


def old_file(path: Path, folder: Path, **options: Any) -> None:
    """A file as version 0.1.0 wrote it: standard errors for fractions, 0 where all was right."""
    surface = line(images(), folder / "new.h5", **options)
    errors = np.zeros(len(surface.x))
    io.write(
        Surface(
            **{**vars(surface), "low": {}, "high": {}, "effective": {}, "stderr": {**surface.stderr, "train_accuracy": errors}}
        ),
        path,
    )


@pytest.mark.parametrize("examples", [100, "first:100", None])
def test_a_file_of_version_0_1_0_is_read_and_gone_on_with(tmp_path: Path, examples: Any) -> None:
    path = tmp_path / "old.h5"
    old_file(path, tmp_path, examples=examples)
    before = landscape.read(path)
    assert set(before.stderr) == {"train_loss", "train_accuracy"}
    assert not before.low
    longer = line(images(), path, examples=examples, x=(0.0, 1.0, 5))
    fresh = line(images(), examples=examples, x=(0.0, 1.0, 5))
    assert set(longer.stderr) == {"train_loss"}
    for kind in ("low", "high"):
        assert np.array_equal(getattr(longer, kind)["train_accuracy"], getattr(fresh, kind)["train_accuracy"], equal_nan=True)
    if examples == 100:  # what the old points were not asked for stays unknown
        assert np.isfinite(longer.effective["train_loss"]).tolist() == [False, True, False, True, False]


@pytest.mark.parametrize("old_first", [True, False])
def test_parts_of_version_0_1_0_are_merged_with_new_ones(tmp_path: Path, old_first: bool) -> None:
    old_file(tmp_path / "old.h5", tmp_path, examples=100, part="1/2", x=(0.0, 1.0, 5))
    line(images(), tmp_path / "part.h5", examples=100, part="2/2", x=(0.0, 1.0, 5))
    names = ["old.h5", "part.h5"] if old_first else ["part.h5", "old.h5"]
    merged = landscape.merge([tmp_path / name for name in names], quiet=True)
    whole = line(images(), examples=100, x=(0.0, 1.0, 5))
    assert set(merged.stderr) == {"train_loss"}
    for kind in ("values", "low", "high"):
        assert np.array_equal(getattr(merged, kind)["train_accuracy"], getattr(whole, kind)["train_accuracy"])
    assert np.isfinite(merged.effective["train_loss"]).sum() == 2  # of the new part's points


def test_a_metric_of_0_1_0_whose_own_name_ends_like_an_error_is_itself(tmp_path: Path) -> None:
    old_file(tmp_path / "old.h5", tmp_path)
    with h5py.File(tmp_path / "old.h5", "r+") as file:
        for name in ("values", "done"):
            file.copy(file[f"{name}/train_accuracy"], file[name], "train_loss_low")
        file["values/train_loss_low"].attrs["metric"] = "loss_low"
    surface = landscape.read(tmp_path / "old.h5")
    assert set(surface.metrics) == {"train_loss", "train_loss_low", "train_accuracy"}
    assert not surface.low


def test_several_points_at_once_have_their_own_errors() -> None:
    one, several = (line(images(counted), examples=100, engine=engine, batch_size=32) for engine in ("eager", "batched"))
    for kind in ("stderr", "low", "high", "effective"):
        assert getattr(one, kind).keys() == getattr(several, kind).keys()
        for key, array in getattr(one, kind).items():
            # float32, mapped over points: sums of 100 squares and fourth powers of rounded losses, a few units of 6e-8 each.
            assert getattr(several, kind)[key] == pytest.approx(array, rel=1e-4), (kind, key)


def test_splits_keep_their_own_errors() -> None:
    surface = line(perceptron(), examples=11, split="train,test")
    assert (surface.stderr["train_loss"] > 0).all()
    assert not surface.stderr["test_loss"].any()  # all 11 of them
    assert set(surface.effective) == {"train_loss"}
    assert np.isfinite(surface.effective["train_loss"]).all()
