"""How a run computes: what is asked, stored, reused and fallen back to; the audit of lossy precision; what is reported."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from cases import images, perceptron, tokens
from torch import Tensor, nn

import landscape
from landscape import Problem, Surface
from landscape.errors import InputError, RunError
from landscape.evaluate import Objective
from landscape.report import describe
from landscape.sweep import setup
from landscape.sweep.precision_audit import Audit

QUIET = {"quiet": True, "threads": 1, "device": "cpu"}


def plane(problem: Problem, path: Path | None = None, n: int = 7, **options: Any) -> Surface:
    return landscape.surface(problem, x=(-1, 1, n), y=(-1, 1, n), to=path, **{**QUIET, **options})


# --- which engine ---


@pytest.mark.parametrize("engine", ["eager", "batched"])
def test_an_engine_asked_for_is_stored_reused_and_right(tmp_path: Path, engine: str) -> None:
    usual = plane(perceptron()).values["train_loss"]
    whole = plane(perceptron(), engine=engine)
    first = plane(perceptron(), tmp_path / "s.h5", n=3, engine=engine)
    second = plane(perceptron(), tmp_path / "s.h5", n=5)  # contains the first
    for run in (first.runs[0], second.runs[1], whole.runs[0]):
        assert run["engine"] == engine
    # Paths agree to float32's 1e-7 times some ten operations; the same path to the last bit, however the run was cut.
    assert whole.values["train_loss"] == pytest.approx(usual, rel=1e-6)
    assert np.array_equal(plane(perceptron(), n=5, engine=engine).values["train_loss"], second.values["train_loss"])


def test_resuming_with_batching_keeps_every_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = plane(perceptron(), engine="batched").values["train_loss"]
    limits = iter([0.0] * 3 + [1e9] * 100)
    monkeypatch.setattr("landscape.sweep.point_worker.PointWorker.out_of_time", lambda self, deadline: next(limits) > 1)
    partial = plane(perceptron(), tmp_path / "s.h5", engine="batched")
    done = partial.done["train_loss"].sum()
    assert 0 < done < 49
    assert done == 3 * 16
    monkeypatch.undo()
    assert np.array_equal(plane(perceptron(), tmp_path / "s.h5").values["train_loss"], whole)


def test_the_usual_engine_follows_from_the_problem_alone() -> None:
    run = plane(images(), n=3).runs[0]
    assert {name: run[name] for name in ("engine", "lanes", "channels_last")} == {"engine": "eager", "lanes": 1, "channels_last": 1}
    assert run["batch_size"] == images().examples("train").size  # all that there are: the activations of one batch are small


@pytest.mark.parametrize("options", [{}, {"engine": "batched"}, {"bn": "recalibrated"}, {"batch_size": 7, "precision": "bf16"}])
def test_the_engine_is_built_once(monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]) -> None:
    built: list[Any] = []
    monkeypatch.setattr(setup, "Objective", lambda *given: built.append(Objective(*given)) or built[-1])
    plane(images(), **options)
    assert len(built) == 1


def test_a_model_that_cannot_be_mapped_over_is_computed_eagerly(capsys: pytest.CaptureFixture[str]) -> None:
    found = plane(tokens(), n=3, quiet=False, engine="batched")
    assert found.runs[0]["engine"] == "eager"
    lines = [line for line in capsys.readouterr().err.splitlines() if "cannot be batched" in line]
    assert len(lines) == 1
    assert lines[0].endswith("; computing eagerly")
    assert np.array_equal(found.values["train_loss"], plane(tokens(), n=3).values["train_loss"])


def test_a_model_that_cannot_be_compiled_is_computed_eagerly(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def compiler(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
        def fails(*inputs: Tensor) -> Any:
            raise RuntimeError("no C++ compiler\nsome pages of output")

        return fails

    monkeypatch.setattr(torch, "compile", compiler)
    found = plane(perceptron(), n=3, quiet=False, engine="compiled")
    assert found.runs[0]["engine"] == "eager"
    assert "the model cannot be compiled (RuntimeError: no C++ compiler); computing eagerly\n" in capsys.readouterr().err


@pytest.mark.slow
def test_a_compiled_run_with_control_flow_and_side_effects(tmp_path: Path) -> None:
    problem = Problem(Moody(), nn.CrossEntropyLoss(), perceptron().data)
    usual = plane(problem, n=3).values["train_loss"]
    found = plane(problem, n=3, engine="compiled", batch_size=10)
    assert found.runs[0]["engine"] == "compiled"
    assert found.values["train_loss"] == pytest.approx(usual, rel=1e-5)


class Moody(nn.Module):
    """Counts its calls, and takes a way that depends on its data."""

    def __init__(self) -> None:
        super().__init__()
        self.n_calls = 0
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.head = nn.Linear(4, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        self.n_calls += 1
        outputs: Tensor = self.head(inputs)
        return outputs if inputs.abs().sum() > 0 else -outputs


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"engine": "eagre"}, 'did you mean "eager"'),
        ({"engine": "batched", "tolerance": 0.1}, "eager or compiled"),
        ({"engine": "batched", "offload": True}, "eager or compiled"),
        ({"engine": "compiled", "bn": "recalibrated"}, "use --engine eager"),
        ({"memory": "lots"}, "500M or 8G"),
        ({"memory": "0%"}, "500M or 8G"),
        ({"audit_tolerance": 0.0}, "above 0"),
    ],
)
def test_what_does_not_fit_is_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        plane(perceptron(), n=3, **options)


class Listed(nn.Module):
    """Holds its weights in a list as well, where nothing that replaces parameters finds them."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.head = nn.Linear(4, 3)
        self.held = [self.head.weight]

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs @ self.held[0].T


def test_weights_that_cannot_be_replaced_are_noticed(capsys: pytest.CaptureFixture[str]) -> None:
    problem = Problem(Listed(), nn.CrossEntropyLoss(), perceptron().data)
    found = plane(problem, n=3, engine="batched", quiet=False)
    assert found.runs[0]["engine"] == "eager"
    assert "points computed at once get other values" in capsys.readouterr().err


# --- memory ---


class Small(nn.Sequential):
    """A model that has room for so many examples."""

    room = 7

    def forward(self, inputs: Tensor) -> Tensor:
        if len(inputs) > self.room:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
        outputs: Tensor = super().forward(inputs)
        return outputs


@pytest.mark.parametrize("engine", [None, "eager", "batched"])
def test_a_batch_that_does_not_fit_is_halved_for_the_whole_run_and_recorded(
    engine: str | None, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    made = perceptron()
    small = Problem(Small(*made.model), nn.CrossEntropyLoss(), made.data)
    found = plane(small, tmp_path / "s.h5", n=3, quiet=False, engine=engine)
    assert (found.runs[0]["batch_size"], found.runs[0]["batch_size_asked"]) == (7, 29)
    said = [line for line in capsys.readouterr().err.splitlines() if "does not fit" in line]
    assert said == [f"a batch of {n} does not fit the memory of cpu: computing {n // 2} at once" for n in (29, 14)]
    assert found.values["train_loss"] == pytest.approx(plane(made, n=3).values["train_loss"], rel=1e-6)
    assert plane(small, tmp_path / "s.h5", n=5).runs[-1]["batch_size"] == 7


def test_a_model_without_room_for_one_example_is_refused() -> None:
    class Full(Small):
        def forward(self, inputs: Tensor) -> Tensor:
            self.room = 2 if len(inputs) == 2 else 0  # the two by which the batch is chosen fit
            return super().forward(inputs)

    made = perceptron()
    data = {"train": tuple(part[:3] for part in made.data["train"])}
    with pytest.raises(InputError, match="one example at a time does not fit"):
        plane(Problem(Full(*made.model), lambda model, batch: model(batch[0])[:, 0], data), n=3)


@pytest.mark.parametrize("options", [{"memory": "1"}, {"offload": True}])
def test_streamed_or_offloaded_values_are_the_same(options: dict[str, Any]) -> None:
    assert np.array_equal(plane(images(), n=3, **options).values["train_loss"], plane(images(), n=3).values["train_loss"])


# --- the audit ---


def test_a_lossy_run_is_audited_over_the_whole_grid(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    problem = perceptron()
    exact = plane(problem, n=9, ignore="none")
    reduced_precision = plane(problem, tmp_path / "s.h5", n=9, precision="bf16", quiet=False, ignore="none")
    checks = landscape.read(tmp_path / "s.h5").checks
    assert checks["audit_points"] == 17
    assert checks["fp32_points"] == 1
    assert reduced_precision.values["train_loss"][4, 4] == exact.values["train_loss"][4, 4]  # the origin
    gaps = np.abs(reduced_precision.values["train_loss"] - exact.values["train_loss"])
    assert 0 < checks["audit_absolute"] <= gaps.max()
    assert 0 < checks["audit_relative"] <= (gaps / exact.values["train_loss"]).max() < 0.01
    assert "audit: 17 points in bf16 and in fp32 differ by" in capsys.readouterr().err
    assert "(0.01 allowed)" in describe(landscape.read(tmp_path / "s.h5"))
    with h5py.File(tmp_path / "s.h5", "r+") as file:  # as version 0.1.0 stored it
        file["checks"].attrs["audit_max_error"] = 0.02
        del file["checks"].attrs["audit_tolerance"]
    assert "(0.02 allowed)" in describe(landscape.read(tmp_path / "s.h5"))


def test_the_audit_finds_what_is_there() -> None:
    problem = perceptron()
    drawn = []
    init = Audit.__init__

    def spy(self: Audit, *positional: Any, **named: Any) -> None:
        init(self, *positional, **named)
        drawn.append(list(self.points))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Audit, "__init__", spy)
        reduced_precision = plane(problem, n=9, precision="bf16", ignore="none")
        plane(problem, n=9, precision="bf16", ignore="none", seed=1)
    exact = plane(problem, n=9, ignore="none").values["train_loss"]
    gaps = {index: abs(reduced_precision.values["train_loss"][index] - exact[index]) for index in drawn[0]}
    assert reduced_precision.checks["audit_absolute"] == max(gaps.values())
    assert drawn[0] != drawn[1]  # drawn by the seed
    assert all((4, 4) in points for points in drawn)


def test_a_run_further_off_than_allowed_ends_and_says_what_would_do(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"bf16 is .* where fp32 gives .*1e-07 allowed.*--precision fp32 will do, with --overwrite"):
        plane(perceptron(), tmp_path / "s.h5", precision="bf16", audit_tolerance=1e-7)
    partial = landscape.read(tmp_path / "s.h5")
    assert 0 < partial.done["train_loss"].sum() < 18  # found among the first points
    with pytest.raises(RunError):  # going on does not forget it
        plane(perceptron(), tmp_path / "s.h5", precision="bf16", audit_tolerance=1e-7)
    assert plane(perceptron(), tmp_path / "s.h5", precision="bf16").complete


def test_small_ranges_are_in_fp32_altogether() -> None:
    options = {"x": (-0.01, 0.01, 5), "y": (-0.01, 0.01, 5), "ignore": "none"}
    reduced_precision = landscape.surface(perceptron(), precision="bf16", **options, **QUIET)
    assert np.array_equal(
        reduced_precision.values["train_loss"], landscape.surface(perceptron(), **options, **QUIET).values["train_loss"]
    )
    assert reduced_precision.checks["fp32_points"] == 25


def test_the_audit_uses_the_examples_the_point_used() -> None:
    made = perceptron()
    inputs, targets = made.data["train"]
    data = {"train": (inputs.repeat(40, 1), targets.repeat(40))}
    found = plane(Problem(made.model, nn.CrossEntropyLoss(), data), n=5, precision="bf16", tolerance=0.05)
    assert found.examples["train"].min() < 1160
    assert found.checks["audit_relative"] < 0.01  # rounding alone: other examples would differ by some 0.05


# --- a tolerance ---


def test_with_a_tolerance_the_examples_come_in_one_random_order() -> None:
    made = perceptron()
    problem = Problem(
        made.model, nn.CrossEntropyLoss(), {"train": tuple(part.repeat(3, *[1] * (part.dim() - 1)) for part in made.data["train"])}
    )
    assert plane(problem, n=3).data["train"]["order"] == "all"
    assert plane(problem, n=3, tolerance=0.3).data["train"]["order"] == "all, shuffled seed 0"


# --- what is reported ---


def test_a_run_says_where_its_time_went(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plane(images(), tmp_path / "s.h5", quiet=False)
    run = landscape.read(tmp_path / "s.h5").runs[0]
    shares = [run[f"share_{name}"] for name in ("model", "moving", "metrics", "overhead")]
    assert all(0 <= share <= 1 for share in shares)
    assert sum(shares) == pytest.approx(1, abs=1e-6)  # nothing was negative, and cut off at 0
    assert run["examples_per_second"] == pytest.approx(29 * run["points_per_second"])
    assert run["memory_peak"] > 50e6  # torch alone takes more
    said = capsys.readouterr().err
    assert "49 points in" in said
    assert "points/s" in said


def test_a_model_in_train_mode_is_measured_in_eval_mode_and_that_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    problem = images()
    problem.model.train()
    one = plane(problem, n=3, quiet=False).values["train_loss"]
    assert "the model is in train mode; a copy of it is measured in eval mode" in capsys.readouterr().err
    problem.model.eval()
    assert np.array_equal(plane(problem, n=3, quiet=False).values["train_loss"], one)
    assert "train mode" not in capsys.readouterr().err
