"""Agreement, number by number, with the original implementation of Li et al. (tomgoldstein/loss-landscape)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from packs import SHARED, cifar10
from torch import Tensor, nn

import landscape
from landscape import Problem, Surface, io
from landscape.zoo.models import ResidualNetwork

ROOT = Path(__file__).resolve().parents[1]
DIGITS = ROOT / "tests" / "data" / "digits"
CHANNELS = {"mean": (125.3, 123.0, 113.9), "std": (63.0, 62.1, 66.7)}  # of the original's data loader, in grey levels


def normalized(images: Tensor) -> Tensor:
    mean, std = (torch.tensor(CHANNELS[name]).reshape(3, 1, 1) / 255 for name in ("mean", "std"))
    return (images.float() / 255 - mean) / std


def digits(shortcuts: bool = True) -> Problem:
    with np.load(DIGITS / "digits32.npz") as arrays:
        images, labels = (torch.from_numpy(arrays[name]) for name in sorted(arrays, key=lambda name: -arrays[name].ndim))
    if images.shape[-1] == 3:
        images = images.permute(0, 3, 1, 2).contiguous()
    model = ResidualNetwork(8, shortcuts=shortcuts)
    return Problem(model, nn.CrossEntropyLoss(), {"train": (normalized(images), labels.long())})


EVERY = slice(None)
FULL = pytest.param(EVERY, EVERY, marks=pytest.mark.slow)


def agrees(ours: Surface, theirs: Path, n_examples: int, *nodes: slice) -> float:
    """The largest relative difference in loss over some of their nodes, once NaN, accuracies and axes agree."""
    with h5py.File(theirs) as file:
        loss, accuracy = file["train_loss"][()], file["train_acc"][()]
        axes = [file[f"{name}coordinates"][()] for name in "xy"[: loss.ndim]]
    if loss.ndim == 2:
        loss, accuracy = loss.T, accuracy.T  # theirs are indexed [y, x]
    loss, accuracy = loss[nodes], accuracy[nodes]
    for axis, coordinates, node in zip(ours.axes, axes, nodes, strict=True):
        assert axis.values == pytest.approx(coordinates[node], abs=1e-12)
    own = ours.values["train_loss"]
    assert np.array_equal(np.isnan(own), np.isnan(loss))
    usable = np.isfinite(loss) & (loss < 1e4)
    assert usable.sum() > 0.7 * loss.size
    # Accuracies may differ by one example in 200, where two logits are equal to rounding; theirs are in percent.
    assert (np.abs(100 * ours.values["train_accuracy"] - accuracy)[usable] <= 100 / 200 + 1e-9).all()
    assert (ours.examples["train"] == n_examples)[~np.isnan(own)].all()  # a NaN ends its pass
    return float((np.abs(own - loss) / loss)[usable].max())


def axis(name: str, nodes: slice) -> np.ndarray:
    with h5py.File(DIGITS / f"{name}.surface.h5") as file:
        return file["xcoordinates"][nodes]


@pytest.mark.parametrize(("x", "y"), [(slice(0, None, 5), slice(2, None, 6)), FULL])
def test_a_filter_normalized_plane(x: slice, y: slice) -> None:
    axes = {"x": axis("plane_filter", x), "y": axis("plane_filter", y)}
    directions = DIGITS / "plane_filter.directions.h5"
    surface = landscape.surface(digits(), DIGITS / "resnet8_seed1.pt", directions=directions, quiet=True, **axes)
    assert agrees(surface, DIGITS / "plane_filter.surface.h5", 600, x, y) < 1e-4


@pytest.mark.parametrize("along", ["their directions", "both models"])
@pytest.mark.parametrize("nodes", [slice(0, None, 6), pytest.param(EVERY, marks=pytest.mark.slow)])
def test_a_line_with_statistics_moving_and_nan_staying(nodes: slice, along: str) -> None:
    start, end, x = DIGITS / "resnet8_seed0.pt", DIGITS / "resnet8_seed1.pt", axis("line_states", nodes)
    if along == "both models":
        surface = landscape.line(digits(), start, end, x=x, bn="interpolated", quiet=True)
    else:
        surface = landscape.line(digits(), start, directions=DIGITS / "line_states.directions.h5", x=x, quiet=True)
    assert surface.attributes["bn"] == "interpolated"
    assert surface.attributes["bn_reason"].startswith(
        "where a running variance is negative the points are NaN: valid for x from -0."
    )
    assert np.isnan(surface.values["train_loss"][0])  # a running variance is negative there
    assert surface.done["train_loss"][0]
    assert surface.checks["nan_count_train_loss"] == 1
    assert agrees(surface, DIGITS / "line_states.surface.h5", 600, nodes) < 1e-4


@pytest.mark.parametrize("nodes", [slice(0, None, 5), pytest.param(EVERY, marks=pytest.mark.slow)])
def test_a_layer_normalized_line_without_shortcuts(
    tmp_path: Path, command: Callable[..., Any], factory: Callable[[str], str], nodes: slice
) -> None:
    name = factory("import test_reference\nreturn test_reference.digits(shortcuts=False)")
    x = axis("line_layer_noshort", nodes)
    words = (
        "line", name, DIGITS / "resnet8_noshort_seed1.pt", "--directions", DIGITS / "line_layer_noshort.directions.h5",
        f"--x={x[0]}:{x[-1]}:{len(x)}", "-o", tmp_path / "l.h5", "--quiet",
    )  # fmt: skip
    assert command(*words).code == 0
    assert agrees(landscape.read(tmp_path / "l.h5"), DIGITS / "line_layer_noshort.surface.h5", 600, nodes) < 1e-4


def test_our_normalization_leaves_theirs_as_it_is() -> None:
    """Their stored directions have the lengths that our rule gives: filter by filter, layer by layer."""
    for name, shortcuts, checkpoint, by_filter in (
        ("plane_filter", True, "resnet8_seed1", True),
        ("line_layer_noshort", False, "resnet8_noshort_seed1", False),
    ):
        model = digits(shortcuts).model
        state = torch.load(DIGITS / f"{checkpoint}.pt", weights_only=True)
        state = state.get("state_dict", state)
        found = io.any_directions(DIGITS / f"{name}.directions.h5")["x"]
        for (key, _), delta in zip(model.named_parameters(), found, strict=True):
            theta = state[key].double().numpy()
            delta = np.asarray(delta, dtype=np.float64)
            if theta.ndim <= 1:
                assert not delta.any()
                continue
            rows = (len(theta), -1) if by_filter else (1, -1)
            lengths = [np.linalg.norm(part.reshape(rows), axis=1) for part in (delta, theta)]
            assert lengths[0] == pytest.approx(lengths[1], rel=1e-5)


@pytest.mark.slow
def test_resnet56_on_cifar10() -> None:
    reference, model = SHARED / "reference" / "li2018", SHARED / "data" / "checkpoints" / "li2018" / "resnet56.t7"
    if not (model.exists() and reference.is_dir()):
        pytest.skip(f"no li2018 reference at {SHARED}; LANDSCAPE_SHARED may name the folder that holds reference/ and data/")
    images, labels = cifar10("train", 500)
    problem = Problem(ResidualNetwork(56), nn.CrossEntropyLoss(), {"train": (normalized(images), labels)})
    surface = landscape.surface(
        problem, model, x=(-1, 1, 9), y=(-1, 1, 9), directions=reference / "resnet56.directions.h5", quiet=True
    )
    assert agrees(surface, reference / "resnet56.surface.h5", 500, EVERY, EVERY) < 1e-4
