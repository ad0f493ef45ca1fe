"""Hundreds of strange users, drawn by hypothesis, whose sweeps are held to a plain oracle at every point.

    LANDSCAPE_STRANGE=5000 python -m pytest tests/strange    # as many users, drawn anew each time, failures reduced to small ones

Every feature of users.py has its own test: every kind of layer, form of data, loss, and wish is met with all else as usual, and again
with all else free.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import random
import re
import secrets
import tempfile
import zlib
from collections import Counter
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from forms import FORMS
from hypothesis import HealthCheck, Phase, given, seed, settings
from losses import LOSSES
from oracle import Oracle, allowed, labels, unit_lengths
from torch import Tensor
from users import CHOICES, FEATURES, RANDOM, THROUGH, User, build, calling, checkpoint_of, users

import landscape
from landscape import Problem

N_USERS = int(os.environ.get("LANDSCAPE_STRANGE", "0"))

# Features that fail for now, each with its row; such a feature is drawn for no other user, and has to fail for its own.
NOT_YET: dict[str, str] = {}


def n_users(feature: str) -> int:
    """How many users are drawn around a feature. The first has nothing else that is unusual, the others anything."""
    return math.ceil(N_USERS / len(FEATURES)) if N_USERS else 1 if feature.startswith("layer: ") else 2


def for_users(feature: str, each: int, do: Callable[[User], Any]) -> None:
    """Call a function for some users with a feature: always the same ones, unless a number was asked for."""

    @seed(zlib.crc32(feature.encode()) if not N_USERS else secrets.randbits(64))
    @settings(
        max_examples=each,
        database=None,
        deadline=None,  # the machine may be busy
        # A large data form takes long to draw where many things do not go together; nothing here hangs on how it was drawn.
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
        phases=[Phase.generate, Phase.shrink] if N_USERS else [Phase.generate],
    )
    @given(users(feature, frozenset(NOT_YET) - {feature}))
    def holds(user: User) -> None:
        do(user)

    holds()


def sweep(user: User, folder: Path) -> tuple[Path, int]:
    """The user's own call, or calls; the file, and the number of the checkpoint at the origin."""
    built = build(user)
    form, kind = FORMS[user.form], LOSSES[user.loss]
    data = {name: form.of(part) for name, part in built.examples.items()}
    problem = Problem(built.model, built.loss, data, per_example=not kind.whole, filters=user.axes or None)
    start = 1 if user.start is not None or user.geometry in THROUGH else 0
    origin = checkpoint_of(user, start, user.start, folder) if start else None
    ends = [checkpoint_of(user, number, user.start, folder) for number in (2, 3)]
    before = _everything(built)
    with calling(user.caller):
        state = _state()
        path = _calls(user, folder, lambda to, **more: _call(user, problem, origin, ends, to, **more))
        assert _state() == state, "the caller's state was changed"
    assert _everything(built) == before, "the user's own things were changed"
    return path, start


def _calls(user: User, folder: Path, call: Callable[..., None]) -> Path:
    """One call, or several that lead to one file."""
    path = folder / "s.h5"
    if user.run == "in parts":
        parts = [folder / f"{i}.h5" for i in (1, 2)]
        for i, part in enumerate(parts, start=1):
            call(part, part=f"{i}/2")
        landscape.merge(parts, path, quiet=True)
        return path
    if user.run == "extended":
        call(path, x=np.array(user.x[:1]))
    call(path)
    if user.geometry == "again":
        call(folder / "again.h5", directions=path)
        return folder / "again.h5"
    return path


def _call(user: User, problem: Problem, origin: Any, ends: list[Any], to: Path, **more: Any) -> None:
    options: dict[str, Any] = {
        "x": np.array(user.x), "ignore": user.ignore, "only": user.only, "bn": user.bn, "precision": user.precision,
        "split": user.split, "examples": {None: None, "random": 5, "first": "first:5"}[user.examples], "engine": user.engine,
        "batch_size": user.batch_size, "offload": user.where == "offloaded", "quiet": True, "to": to, "seed": user.seed,
        "save_directions": user.geometry != "draws", "memory": 1 if user.where == "streamed" else "80%", **more,
    }  # fmt: skip
    if user.geometry in ("line", "draws"):
        seeds = [user.seed, user.seed + 1] if user.geometry == "draws" else None
        landscape.line(problem, origin, seeds=seeds, normalize=user.normalize, **options)
    elif user.geometry == "between":
        landscape.line(problem, origin, ends[0], **options)
    elif user.geometry in THROUGH:
        landscape.surface(problem, origin, *ends, y=np.array(user.y), orthogonalize="orthogonal" in user.geometry, **options)
    else:
        landscape.surface(problem, origin, y=np.array(user.y), normalize=user.normalize, **options)


def _everything(built: Any) -> list[Any]:
    """All of a user's that a sweep may not change."""
    named = [*built.inner.named_parameters(), *built.inner.named_buffers()]
    bits = [
        (name, tensor.dtype, tensor.layout, tensor.requires_grad, tensor.grad, tensor.detach().to_dense().tolist())
        for name, tensor in named
    ]
    flags = [
        (layer.training, len(layer._forward_hooks), len(layer._forward_pre_hooks), list(vars(layer)))
        for layer in built.inner.modules()
    ]
    data = [part.flatten().tolist() for examples in built.examples.values() for part in vars(examples).values() if part is not None]
    return [bits, flags, data]


def _state() -> list[Any]:
    """What a caller finds as it was: generators of random numbers, and the settings of torch."""
    settings = [torch.get_default_dtype(), torch.get_default_device(), torch.is_grad_enabled(), torch.is_inference_mode_enabled()]
    settings += [torch.is_autocast_enabled("cpu"), torch.backends.mkldnn.matmul.fp32_precision, torch.get_num_threads()]
    settings += [torch.are_deterministic_algorithms_enabled(), np.geterr()]
    with torch.device("cpu"):
        return [*settings, torch.random.get_rng_state().tolist(), random.getstate(), repr(np.random.get_state())]


def check(user: User) -> None:
    with tempfile.TemporaryDirectory() as name:
        path, start = sweep(user, Path(name))
        with h5py.File(path) as file:
            _check_file(user, file, start)
        surface = landscape.read(path)
        with contextlib.redirect_stdout(io.StringIO()) as out:
            surface.show()
        assert "checked" in out.getvalue()


def _check_file(user: User, file: h5py.File, start: int) -> None:
    assert file.attrs["complete"]
    assert file["checks"].attrs["passed"] == 1, dict(file["checks"].attrs)
    bn = str(file.attrs["bn"])
    if user.bn is not None:
        assert bn == user.bn
    stored = {axis: _direction(file[f"direction_{axis}"]) for axis in "xy" if f"direction_{axis}" in file}
    runs = file["runs"]
    batch_size = int(runs[max(runs, key=int)].attrs["batch_size"])
    oracle = Oracle(user, bn, start, batch_size)
    if stored:
        _check_directions(user, oracle, stored)
        oracle.follow(list(stored.values()))
    assert file["x"][()].tolist() == list(user.x)
    _check_marks(user, file, oracle, start)
    for split in (user.split or "train").split(","):
        values = {name: file[f"values/{split}_{name}"][()] for name in metrics_of(file, split)}
        indices = list(range(len(oracle.built.examples[split])))[: None if user.examples is None else 5]
        if user.examples == "random":
            indices = _examples_used(values["which"])
        for index in np.ndindex(values["loss"].shape):
            found = {name: float(array[index]) for name, array in values.items()}
            _check_error(user, oracle, file, split, index, indices)
            _check_point(found, oracle, _coordinates(user, index), split, indices)


def _check_marks(user: User, file: h5py.File, oracle: Oracle, start: int) -> None:
    """The models that lie in the plane are marked with their own losses: as they are, with their own running statistics."""
    numbers = {(0.0, 0.0): start, (1.0, 0.0): 2, (0.0, 1.0): 3}
    marks = file["points"]
    ys = marks["y"][()] if "y" in marks else np.zeros(len(marks["x"]))
    own = user.examples is None and user.geometry != "three, orthogonal"
    for x, y, loss in zip(marks["x"][()], ys, marks["train_loss"][()], strict=True):
        place = (float(x), float(y))
        if own:
            value = oracle.own_loss(numbers[place])
            assert abs(loss - value) <= allowed(value, user.types == "fp64"), f"the mark at {place}: {loss}, {value}"
    assert len(marks["x"]) >= 1


def metrics_of(file: h5py.File, split: str) -> list[str]:
    names = [name.removeprefix(f"{split}_") for name in file["values"] if name.startswith(f"{split}_")]
    return [name for name in names if not name.endswith(("_stderr", "_low", "_high"))]


def _coordinates(user: User, index: tuple[int, ...]) -> tuple[float, ...]:
    if user.geometry == "draws":
        return tuple(user.x[index[0]] if k == index[1] else 0.0 for k in range(2))
    return tuple(axis[i] for axis, i in zip((user.x, user.y), index, strict=False))


def _check_point(found: dict[str, float], oracle: Oracle, place: tuple[float, ...], split: str, indices: list[int]) -> None:
    expected = oracle.values(place, split, indices)
    undecided = expected.pop("accuracy, undecided", 0.0)
    assert set(found) == set(expected)
    if math.isnan(expected["loss"]):  # then the point has no number at all
        expected = dict.fromkeys(expected, math.nan)
    for name, value in expected.items():
        got, room = found[name], undecided + 1e-12 if name == "accuracy" else allowed(value, oracle.double and oracle.exact)
        same = got == value or (math.isnan(got) and math.isnan(value)) or abs(got - value) <= room
        assert same, f"{split} {name} at {place}: {got!r}, the oracle has {value!r}, {abs(got - value):.3g} apart of {room:.3g}"


def _check_error(user: User, oracle: Oracle, file: h5py.File, split: str, index: tuple[int, ...], indices: list[int]) -> None:
    """The loss's standard error: none where there is no random sample, 0 for all examples, else Cochran's for a finite population."""
    key = f"values/{split}_loss_stderr"
    found = float(file[key][index]) if key in file else math.nan
    size = len(oracle.built.examples[split])
    if LOSSES[user.loss].whole or (user.examples == "first" and size > 5):
        assert math.isnan(found)
    elif user.examples is None:
        assert found == 0 or math.isnan(float(file[f"values/{split}_loss"][index]))
    elif user.examples == "random":
        losses = [oracle.values(_coordinates(user, index), split, [i])["loss"] for i in indices]
        expected = math.sqrt((1 - 5 / size) * np.var(losses, ddof=1) / 5)
        assert found == pytest.approx(expected, rel=1e-3, abs=allowed(1, oracle.double))  # differences of nearly equal losses


def _examples_used(which: np.ndarray) -> list[int]:
    """The examples behind a mean over five of them of 2^number."""
    sums = {round(float(value) * 5) for value in which.ravel()}
    assert len(sums) == 1, "points used different examples"
    total = sums.pop()
    used = [i for i in range(64) if total >> i & 1]
    assert len(used) == 5
    return used


def _direction(group: h5py.Group) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    group.visititems(
        lambda name, item: found.update({name: torch.from_numpy(np.asarray(item[()]))}) if isinstance(item, h5py.Dataset) else None
    )
    return found


def _check_directions(user: User, oracle: Oracle, stored: dict[str, dict[str, Tensor]]) -> None:
    """The directions that the run stored: what moves, and by how much, to the rounding of each entry to fp32 (2^-24 = 6e-8)."""
    assert len(stored) == len(oracle.directions)
    for (axis, found), direction, statistics in zip(stored.items(), oracle.directions, oracle.statistics, strict=True):
        assert set(found) == set(direction) | set(statistics), f"{axis}: what moves"
        for name, delta in {**direction, **statistics}.items():
            weight = oracle.weights.get(name)
            if user.geometry in RANDOM and user.normalize in (None, "filter"):
                unit = labels(user, name, weight.shape)
                assert unit_lengths(found[name], unit) == pytest.approx(unit_lengths(weight, unit), rel=1e-6), f"{name}: lengths"
            if delta.numel():
                gap = (found[name] - delta).abs().max()
                assert gap <= 1e-6 * delta.abs().max(), f"{axis}: {name}"


def _marked(feature: str) -> Any:
    failing = [pytest.mark.xfail(reason=NOT_YET[feature], strict=True)] if feature in NOT_YET else []
    return pytest.param(feature, marks=failing, id=re.sub(r"\W+", "-", feature).strip("-"))


@pytest.mark.parametrize("feature", map(_marked, FEATURES))
def test_a_strange_user_gets_what_a_plain_loop_gives(feature: str) -> None:
    for_users(feature, n_users(feature), check)


def test_the_users_are_many_and_have_everything() -> None:
    """What the test above has met: the same users, drawn once more and counted."""
    met: Counter[str] = Counter()
    pairs: set[tuple[str, str]] = set()
    found: list[User] = []
    for feature in FEATURES:
        for_users(feature, n_users(feature), found.append)
    for user in found:
        met.update(user.features())
        pairs.update(combinations(sorted(user.features()), 2))
    assert len(set(map(repr, found))) >= 300
    assert set(FEATURES) <= set(met)
    assert len([f for f in met if f.startswith("layer: ")]) >= 150
    usual = {f"{name}: {choices[0]}" for name, choices in CHOICES.items()}
    unusual = [pair for pair in pairs if not usual.intersection(pair)]
    assert len(unusual) >= 1000  # nothing of all this is met alone
