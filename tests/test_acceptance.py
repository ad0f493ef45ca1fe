"""The acceptance table, row by row: through the library, through the command line, and read back with plain h5py."""

from __future__ import annotations

import copy
import csv
import math
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from cases import CATALOGUE, CORNERS, N_EXAMPLES, coordinates, corners, images, perceptron
from torch import Tensor, nn

import landscape
from landscape import Problem
from landscape.core import weights
from landscape.core.directions import roles
from landscape.io import FileWriter

QUIET = {"quiet": True, "threads": 1, "device": "cpu"}
Command = Callable[..., Any]
Factory = Callable[[str], str]


def stored(path: Path, name: str = "values/train_loss") -> np.ndarray:
    with h5py.File(path) as file:
        return file[name][()]


def checkpoints(folder: Path, *states: dict[str, Tensor]) -> list[Path]:
    paths = [folder / f"checkpoint_{i}.pt" for i in range(len(states))]
    for path, state in zip(paths, states, strict=True):
        torch.save(state, path)
    return paths


# --- the tilted plane: 100 x + y on 3 × 2 nodes is exact at every node ---

X, Y = np.array([-1.0, 0.5, 2.0]), np.array([-3.0, 1.0])  # floats of any precision, not symmetric, not square
TILTED = np.array([[100 * x + y for y in Y] for x in X])


def tilt(a: float, b: float) -> float:
    return 100 * a + b


@pytest.mark.parametrize("precision", ["fp32", "fp64"])
def test_tilted_plane_in_memory_and_after_the_file(tmp_path: Path, precision: str) -> None:
    dtype = torch.float32 if precision == "fp32" else torch.float64
    problem, _ = coordinates(tilt, dtype)
    surface = landscape.surface(problem, *corners(dtype), x=X, y=Y, to=tmp_path / "s.h5", precision=precision, **QUIET)
    assert np.array_equal(surface.values["train_loss"], TILTED)
    assert np.array_equal(landscape.read(tmp_path / "s.h5").values["train_loss"], TILTED)
    with h5py.File(tmp_path / "s.h5") as file:
        for i, x in enumerate(file["x"]):
            for j, y in enumerate(file["y"]):
                assert file["values/train_loss"][i, j] == 100 * x + y
    assert surface.points[1].coordinates == (1, 0)
    assert surface.points[1].values["train_loss"] == 100
    assert surface.points[2].values["train_loss"] == 1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_tilted_plane_through_the_command_line(tmp_path: Path, command: Command, factory: Factory, dtype: str) -> None:
    problem = factory(f"import torch\nreturn cases.coordinates(lambda a, b: 100 * a + b, torch.{dtype})[0]")
    models = checkpoints(tmp_path, *corners(getattr(torch, dtype)))
    path = tmp_path / "s.h5"
    outcome = command("surface", problem, *models, "--x", "-1:2:3", "--y=-3:1:2", "-o", path, "--quiet", "--threads", 1)
    assert (outcome.code, outcome.err) == (0, "")
    assert np.array_equal(stored(path), TILTED)
    assert np.array_equal(stored(path, "x"), X)
    assert np.array_equal(stored(path, "y"), Y)

    assert command("export", path, "-o", tmp_path / "s.csv").code == 0
    rows = [row for row in csv.reader((tmp_path / "s.csv").read_text().splitlines()) if not row[0].startswith("#")]
    columns = {name: [float(row[i]) for row in rows[1:]] for i, name in enumerate(rows[0])}
    assert len(columns["x"]) == 6
    assert columns["train_loss"] == [100 * x + y for x, y in zip(columns["x"], columns["y"], strict=True)]
    assert command("export", path, "-o", tmp_path / "s.npz").code == 0
    with np.load(tmp_path / "s.npz") as arrays:
        assert np.array_equal(arrays["values/train_loss"], TILTED)
    assert command("diff", path, path).code == 0


def test_tilted_plane_along_directions_from_files(tmp_path: Path, command: Command, factory: Factory) -> None:
    landscape.surface(
        coordinates(tilt)[0], *CORNERS, x=(0, 1, 2), y=(0, 1, 2), to=tmp_path / "ours.h5", save_directions=True, **QUIET
    )
    with h5py.File(tmp_path / "theirs.h5", "w") as file:  # tomgoldstein's format: numbered, in the order of parameters()
        file["xdirection/0"], file["ydirection/0"] = [1.0, 0.0], [0.0, 1.0]
    problem = factory("return cases.coordinates(lambda a, b: 100 * a + b)[0]")
    (model,) = checkpoints(tmp_path, CORNERS[0])
    for directions in ("ours", "theirs"):
        surface = landscape.surface(coordinates(tilt)[0], x=X, y=Y, directions=tmp_path / f"{directions}.h5", **QUIET)
        assert np.array_equal(surface.values["train_loss"], TILTED)
        path = tmp_path / f"along_{directions}.h5"
        words = ("--directions", tmp_path / f"{directions}.h5", "--x", "-1:2:3", "--y", "-3:1:2", "-o", path, "--quiet")
        assert command("surface", problem, model, *words).code == 0
        assert np.array_equal(stored(path), TILTED)


# --- the origin is the model's own loss, the ends of a line both models' ---


def own_loss(model: nn.Module, problem: Problem) -> float:
    inputs, targets = problem.data["train"]
    model = copy.deepcopy(model).eval()
    with torch.no_grad():
        return F.cross_entropy(model(inputs), targets).item()


# float32: the same roundings in another order, some hundred operations deep; the end of a line is start + (end − start).
SINGLE = 1e-5


@pytest.mark.parametrize("n", [2, 3])  # without and with a node at the origin
def test_the_origin_is_the_models_own_loss(tmp_path: Path, command: Command, factory: Factory, n: int) -> None:
    problem = images()
    own = own_loss(problem.model, problem)
    surface = landscape.surface(problem, x=(-1, 1, n), y=(-1, 1, n), **QUIET)
    assert surface.origin("train_loss") == pytest.approx(own, rel=SINGLE)
    if n == 3:
        assert surface.values["train_loss"][1, 1] == pytest.approx(own, rel=SINGLE)

    (model,) = checkpoints(tmp_path, images(1).model.state_dict())  # another one than the factory's
    own = own_loss(images(1).model, problem)
    path = tmp_path / "s.h5"
    words = ("--x", f"-1:1:{n}", "--y", f"-1:1:{n}", "-o", path, "--quiet")
    assert command("surface", factory("return cases.images()"), model, *words).code == 0
    with h5py.File(path) as file:
        assert file["checks"].attrs["passed"] == 1
        assert file["checks"].attrs["origin_train_loss"] == pytest.approx(own, rel=SINGLE)
        assert file["checks"].attrs["origin_train_loss_reference"] == pytest.approx(own, rel=SINGLE)
        assert file["points/train_loss"][0] == pytest.approx(own, rel=SINGLE)
        if n == 3:
            assert file["values/train_loss"][1, 1] == pytest.approx(own, rel=SINGLE)


def test_the_ends_of_a_line_are_both_models_losses(tmp_path: Path, command: Command, factory: Factory) -> None:
    problem, models = images(), [images(seed).model for seed in (1, 2)]
    own = [own_loss(model, problem) for model in models]
    assert own[0] != pytest.approx(own[1], rel=1e-2)
    line = landscape.line(problem, *models, x=(-0.5, 1.5, 5), **QUIET)
    assert line.values["train_loss"][[1, 3]] == pytest.approx(own, rel=SINGLE)

    paths = checkpoints(tmp_path, *(model.state_dict() for model in models))
    path = tmp_path / "l.h5"
    assert command("line", factory("return cases.images()"), *paths, "--x", "-0.5:1.5:5", "-o", path, "--quiet").code == 0
    assert stored(path)[[1, 3]] == pytest.approx(own, rel=SINGLE)
    assert stored(path, "points/train_loss") == pytest.approx(own, rel=SINGLE)
    with h5py.File(path) as file:
        assert [name.decode() for name in file["points/name"]] == ["checkpoint_0.pt", "checkpoint_1.pt"]
        assert (file["x"].attrs["from"], file["x"].attrs["to"]) == ("checkpoint_0.pt", "checkpoint_1.pt")


# --- loss 0, negative, NaN and infinite are stored as measured, and never measured again ---

ODD_LOSS = """
import math
odd = {(0.0, 0.0): 0.0, (1.0, 0.0): -3.0, (2.0, 0.0): math.nan, (0.0, 1.0): math.inf, (1.0, 1.0): -math.inf, (2.0, 1.0): -1e300}
def loss(a, b):
    with open("visited.txt", "a") as file:
        print(a, b, file=file)
    return odd.get((a, b), 1.0)
return cases.coordinates(loss)[0]
"""
ODD = np.array([[0.0, math.inf], [-3.0, -math.inf], [math.nan, -1e300]])


def test_odd_losses_are_stored_as_measured_and_not_redone(
    tmp_path: Path, command: Command, factory: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    problem, models = factory(ODD_LOSS), checkpoints(tmp_path, *CORNERS)
    words = ("surface", problem, *models, "--x", "0:2:3", "--y", "0:1:2", "-o", "s.h5", "--json", "--quiet", "--check", "warn")
    assert command(*words).code == 0
    for _ in range(2):
        Path("visited.txt").unlink()
        outcome = command(*words)
        assert outcome.code == 0
        assert outcome.result["runs"][-1]["points"] == 0
        again = set(Path("visited.txt").read_text().split("\n"))
        assert not again & {"2.0 0.0", "1.0 1.0"}  # models and the farthest corner are self-checked; the other nodes are let be
        assert np.array_equal(stored(Path("s.h5")), ODD, equal_nan=True)
        assert (stored(Path("s.h5"), "done/train_loss") == 1).all()


# --- a ragged last batch, and any batch size, give the same mean ---


@pytest.mark.parametrize("name", CATALOGUE)
def test_any_batch_size_gives_the_same_mean(tmp_path: Path, command: Command, factory: Factory, name: str) -> None:
    problem = factory(f"return cases.CATALOGUE[{name!r}]()")
    (model,) = checkpoints(tmp_path, CATALOGUE[name]().model.state_dict())
    found = {}
    for size in (1, 7, N_EXAMPLES, 128):
        path = tmp_path / f"{size}.h5"
        words = ("--x", "-1:1:2", "--batch-size", size, "--precision", "fp64", "-o", path, "--quiet")
        assert command("line", problem, model, *words).code == 0
        found[size] = stored(path)
    for values in found.values():
        assert values == pytest.approx(found[128], rel=1e-12)  # float64 in another order; 29 = 4 · 7 + 1


def test_the_mean_is_that_of_all_examples_at_once() -> None:
    problem = perceptron(torch.float64)
    inputs, targets = problem.data["train"]
    own = F.cross_entropy(problem.model(inputs), targets).item()
    for size in (1, 7, 128, N_EXAMPLES):
        surface = landscape.line(problem, x=(0, 1, 2), batch_size=size, **QUIET)
        assert surface.values["train_loss"][0] == pytest.approx(own, rel=1e-13)


# --- nothing of the user's is changed, also when a point raises ---


class Fragile(nn.Module):
    """A module that raises at its n-th forward pass."""

    def __init__(self, inner: nn.Module, error: BaseException) -> None:
        super().__init__()
        self.inner = inner
        self.left = [10**9]
        self.error = error

    def __deepcopy__(self, memo: dict[int, Any]) -> Fragile:
        other = Fragile(copy.deepcopy(self.inner, memo), self.error)
        other.left = self.left  # the engine's copy counts down too
        return other

    def forward(self, *inputs: Any, **named: Any) -> Any:
        self.left[0] -= 1
        if self.left[0] < 0:
            raise self.error
        return self.inner(*inputs, **named)


def everything(problem: Problem) -> dict[str, Any]:
    """All that a sweep could change: bits, modes, flags, statistics, counters, data, and the process's own state."""
    return {
        "state": {name: tensor.clone() for name, tensor in problem.model.state_dict().items()},
        "places": [parameter.data_ptr() for parameter in problem.model.parameters()],
        "modes": [module.training for module in problem.model.modules()],
        "flags": [parameter.requires_grad for parameter in problem.model.parameters()],
        "grads": [id(parameter.grad) for parameter in problem.model.parameters()],
        "data": weights.digest(dict(enumerate_tensors(problem.data["train"]))),
        "torch": torch.get_rng_state(),
        "numpy": np.random.get_state()[1].tolist(),
        "python": random.getstate(),
        "process": (torch.get_num_threads(), torch.is_grad_enabled(), torch.get_default_dtype(), torch.is_autocast_enabled("cpu")),
    }


def enumerate_tensors(batch: Any, prefix: str = "") -> list[tuple[str, Tensor]]:
    if isinstance(batch, Tensor):
        return [(prefix, batch)]
    items = batch.items() if isinstance(batch, dict) else enumerate(batch)
    return [pair for key, value in items for pair in enumerate_tensors(value, f"{prefix}/{key}")]


def unchanged(before: dict[str, Any], after: dict[str, Any]) -> bool:
    same = all(torch.equal(before["state"][name], tensor) for name, tensor in after["state"].items())
    rest = {key: value for key, value in before.items() if key not in ("state", "torch")}
    return same and torch.equal(before["torch"], after["torch"]) and rest == {key: after[key] for key in rest}


@pytest.mark.parametrize("error", [None, RuntimeError("out of luck"), KeyboardInterrupt()], ids=["none", "error", "Ctrl-C"])
@pytest.mark.parametrize("name", ["images", "segmentation", "tokens"])
def test_the_model_is_bit_identical_after_a_sweep_and_after_one_that_raises(
    name: str, error: BaseException | None, tmp_path: Path
) -> None:
    made = CATALOGUE[name]()
    fragile = Fragile(made.model.train(), error or RuntimeError())
    fragile.inner.head.requires_grad_(False)
    problem = Problem(fragile, made.loss.criterion or made.loss.function, made.data)
    for parameter in fragile.parameters():
        parameter.grad = torch.zeros_like(parameter)
    before = everything(problem)
    for options in ({"bn": "recalibrated"} if name == "images" else {}, {"precision": "bf16"} if name == "images" else {}):
        torch.set_num_threads(1)
        # The error comes after trials and self-check (9 to 20 passes), in the midst of the sweep (32 more).
        fragile.left[0] = 10**9 if error is None else 24
        if error is None:
            landscape.surface(problem, x=(-1, 1, 3), y=(-1, 1, 3), quiet=True, threads=2, batch_size=8, **options)
        else:
            with pytest.raises((landscape.RunError, KeyboardInterrupt)):
                landscape.surface(problem, x=(-1, 1, 3), y=(-1, 1, 3), quiet=True, threads=2, batch_size=8, **options)
        assert unchanged(before, everything(problem))
    before["state"][next(iter(before["state"]))].view(-1)[0] += 1
    assert not unchanged(before, everything(problem))


def test_checkpoints_are_only_read(tmp_path: Path, command: Command, factory: Factory) -> None:
    paths = checkpoints(tmp_path, *(images(seed).model.state_dict() for seed in (1, 2)))
    before = [path.read_bytes() for path in paths]
    assert command("line", factory("return cases.images()"), *paths, "--x", "0:1:3", "-o", tmp_path / "l.h5", "--quiet").code == 0
    assert [path.read_bytes() for path in paths] == before


# --- killed and resumed: the same values bit for bit (ranks: tests/test_mpi.py) ---


def killed_after(seconds: float, work: Callable[[], None]) -> bool:
    """Do some work in a child that gets SIGKILL after a while; whether it was through before."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(0)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    return os.WIFEXITED(os.waitpid(child, 0)[1])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks its victims")
def test_killed_at_random_moments_and_resumed_gives_the_same_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def sweep(to: Path | None) -> landscape.Surface:
        return landscape.surface(images(), x=(-1, 1, 25), y=(-0.7, 1, 19), batch_size=8, to=to, **QUIET)

    whole = sweep(None)
    record = FileWriter.record
    monkeypatch.setattr(FileWriter, "record", lambda self, points: record(self, points, 0.005))
    path, moments, counts = tmp_path / "s.h5", random.Random(1), []
    for k in range(40):  # later and later, until some rounds have left something to go on with, however busy the machine is
        through = killed_after(moments.uniform(0.1, 0.6 + 0.1 * k), lambda: sweep(path))
        if path.exists():
            with h5py.File(path) as file:
                done, values = file["done/train_loss"][()] != 0, file["values/train_loss"][()]
            assert np.array_equal(values[done], whole.values["train_loss"][done])
            counts.append(int(done.sum()))
        if through or (k >= 5 and counts and counts[-1]):
            break
    assert counts == sorted(counts)  # nothing that was measured is lost
    assert counts[-1] > 0
    surface = sweep(path)
    assert surface.complete
    for key in whole.values:
        assert np.array_equal(surface.values[key], whole.values[key])
        for name, errors in whole.errors(key).items():
            assert np.array_equal(surface.errors(key)[name], errors)
    assert np.array_equal(stored(path), whole.values["train_loss"])


# --- two seeds: two directions; the same seed: the same direction ---


def direction(path: Path, axis: str) -> dict[str, np.ndarray]:
    with h5py.File(path) as file:
        return {name: dataset[()].astype(np.float64) for name, dataset in file[f"direction_{axis}"].items()}


def cosine(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> float:
    def dot(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> float:
        return sum(float((a[name] * b[name]).sum()) for name in a)

    return dot(first, second) / math.sqrt(dot(first, first) * dot(second, second))


def spread(model: nn.Module, names: Any) -> float:
    """√(Σ ‖θ_j‖⁴ / n_j) / Σ ‖θ_j‖² over filters; these layers' lie along the first axis."""
    state, fourth, square = model.state_dict(), 0.0, 0.0
    for name in names:
        for filt in state[name].double():
            length = filt.square().sum().item()
            fourth, square = fourth + length**2 / filt.numel(), square + length
    return math.sqrt(fourth) / square


def test_two_seeds_two_directions_the_same_seed_the_same(tmp_path: Path, command: Command, factory: Factory) -> None:
    problem = factory("return cases.images()")
    (model,) = checkpoints(tmp_path, images(1).model.state_dict())
    wrapped = tmp_path / "wrapped.pt"
    torch.save({f"module.{name}": tensor for name, tensor in images(1).model.state_dict().items()}, wrapped)
    runs = {"first": (0, model), "again": (0, wrapped), "other": (1, model)}
    found = {}
    for name, (seed, checkpoint) in runs.items():
        path = tmp_path / f"{name}.h5"
        words = ("--x", "-1:1:2", "--y", "-1:1:2", "--seed", seed, "--save-directions", "-o", path, "--quiet")
        assert command("surface", problem, checkpoint, *words).code == 0
        found[name] = {axis: direction(path, axis) for axis in "xy"}
        with h5py.File(path) as file:
            limit = spread(images(1).model, found[name]["x"])
            assert file.attrs["cosine_sd"] == pytest.approx(limit, rel=1e-12)
            assert file.attrs["cosine"] == pytest.approx(cosine(found[name]["x"], found[name]["y"]), rel=1e-9)
            assert file["x"].attrs["norm"] == pytest.approx(
                math.sqrt(sum((part**2).sum() for part in found[name]["x"].values())), rel=1e-12
            )
    drawn = [found["first"]["x"], found["first"]["y"], found["other"]["x"], found["other"]["y"]]
    for i, second in enumerate(drawn):
        for first in drawn[:i]:
            assert 0 < abs(cosine(first, second)) < 5 * limit
    for axis in "xy":
        assert all(np.array_equal(found["first"][axis][name], part) for name, part in found["again"][axis].items())
    assert np.array_equal(stored(tmp_path / "first.h5"), stored(tmp_path / "again.h5"))
    assert command("diff", tmp_path / "first.h5", tmp_path / "other.h5").code == 1


def test_a_filter_of_the_stored_direction_has_the_length_of_the_weights_own(tmp_path: Path) -> None:
    problem = images()
    landscape.line(problem, x=(0, 1, 2), to=tmp_path / "l.h5", save_directions=True, **QUIET)
    for name, part in direction(tmp_path / "l.h5", "x").items():
        for delta, theta in zip(part, problem.model.state_dict()[name].double().numpy(), strict=True):
            assert np.sqrt((delta**2).sum()) == pytest.approx(np.sqrt((theta**2).sum()), rel=1e-6)
    assert set(direction(tmp_path / "l.h5", "x")) == {
        name for name in roles(problem.model) if name.endswith("weight") and "bn" not in name
    }


def test_a_line_with_a_seed_is_the_row_of_the_plane_with_that_seed() -> None:
    problem = images()
    plane = landscape.surface(problem, x=(-1, 1, 5), y=(-1, 1, 3), seed=3, **QUIET)
    line = landscape.line(problem, x=(-1, 1, 5), seed=3, **QUIET)
    assert np.array_equal(line.values["train_loss"], plane.values["train_loss"][:, 1])


# --- the second difference of the loss along a line is δᵀHδ, to O(h²) ---


def curvature(problem: Problem, delta: dict[str, Tensor]) -> float:
    """δᵀHδ by forward over reverse differentiation."""
    model, (inputs, targets) = problem.model, problem.data["train"]
    theta = {name: parameter.detach() for name, parameter in model.named_parameters()}

    def loss(weights: dict[str, Tensor]) -> Tensor:
        return F.cross_entropy(torch.func.functional_call(model, weights, inputs), targets)

    full = {name: delta.get(name, torch.zeros_like(tensor)) for name, tensor in theta.items()}
    product = torch.func.jvp(torch.func.grad(loss), (theta,), (full,))[1]
    return sum((full[name] * product[name]).sum().item() for name in full)


def test_the_second_difference_is_the_hessian(tmp_path: Path, command: Command, factory: Factory) -> None:
    problem, name = perceptron(torch.float64), factory("import torch\nreturn cases.perceptron(torch.float64)")
    (model,) = checkpoints(tmp_path, problem.model.state_dict())
    errors = []
    for h in (0.04, 0.02):
        path = tmp_path / f"{h}.h5"
        assert command("line", name, model, "--x", f"-{h}:{h}:3", "--save-directions", "-o", path, "--quiet").code == 0
        expected = curvature(problem, {n: torch.from_numpy(part) for n, part in direction(path, "x").items()})
        below, here, above = stored(path)
        errors.append((below - 2 * here + above) / h**2 / expected - 1)
    # The next term of the series is h²/12 of the fourth derivative: half the step, a quarter of the error (rounding: 1e-16/h² = 2e-13).
    assert abs(errors[1]) < 1e-3
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.01)
    line = landscape.line(problem, x=(-0.02, 0.02, 3), **QUIET)
    assert np.array_equal(line.values["train_loss"], stored(tmp_path / "0.02.h5"))


# --- axes that touch or cross zero, have one point, or descend ---

AXES = {
    "crosses": ("-1:1:3", [-1, 0, 1]),
    "touches from above": ("0:1:3", [0, 0.5, 1]),
    "touches from below": ("-1:0:3", [-1, -0.5, 0]),
    "aside": ("1:2:2", [1, 2]),
    "one point": ("0:0:1", [0]),
    "one point aside": ("-0.5:-0.5:1", [-0.5]),
    "descends": ("1:-1:3", [1, 0, -1]),
    "descends to zero": ("2:0:2", [2, 0]),
}


@pytest.mark.parametrize("x", ["crosses", "one point", "descends"])
@pytest.mark.parametrize("y", AXES)
def test_axes_of_any_kind(tmp_path: Path, command: Command, factory: Factory, x: str, y: str) -> None:
    problem, path = factory("return cases.coordinates(lambda a, b: 100 * a + b)[0]"), tmp_path / "s.h5"
    models = checkpoints(tmp_path, *CORNERS)
    outcome = command("surface", problem, *models, "--x", AXES[x][0], f"--y={AXES[y][0]}", "-o", path, "--quiet", "--json")
    assert (outcome.code, outcome.err) == (0, "")
    assert stored(path, "x").tolist() == AXES[x][1]
    assert stored(path, "y").tolist() == AXES[y][1]
    assert stored(path).tolist() == [[100 * a + b for b in AXES[y][1]] for a in AXES[x][1]]
    assert outcome.result["checks"]["passed"] == 1
    assert command("show", path).code == 0
    assert landscape.read(path).complete
