"""The self-check: it passes where the engine is right, and fails where something is wrong, naming the cause, its size and the remedy."""

from __future__ import annotations

import math
import random
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from cases import CATALOGUE, N_EXAMPLES, coordinates, images, integers, normal, perceptron, regression, seeded
from torch import Tensor, nn

import landscape
from landscape import Problem, Surface
from landscape.core.agreement import agree
from landscape.errors import InputError, SelfCheckError, SelfCheckWarning
from landscape.evaluate import Objective
from landscape.problem import PerExample
from landscape.report import describe_check
from landscape.sweep.allowance import UNIT_ROUNDOFF, allowed_relative

Batch = tuple[Tensor, Tensor]


def plane(problem: Problem, **options: Any) -> Surface:
    return landscape.surface(problem, **{"x": (-1, 1, 3), "y": (-1, 1, 3), "quiet": True, **options})


def failing(problem: Problem, **options: Any) -> str:
    """What the self-check says; nothing may be written, and with `check="warn"` the surface says it too."""
    with pytest.raises(SelfCheckError) as caught:
        plane(problem, **options)
    with pytest.warns(SelfCheckWarning, match="self-check failed"):
        surface = plane(problem, check="warn", **options)
    assert surface.checks["passed"] == 0
    assert "FAILED" in describe_check(surface)
    return str(caught.value)


# --- it passes ---


@pytest.mark.parametrize("precision", ["fp32", "fp64", "bf16"])
@pytest.mark.parametrize("name", CATALOGUE)
def test_it_passes_for_every_kind_of_problem(name: str, precision: str) -> None:
    if name == "tokens" and precision == "bf16":
        pytest.skip("autocast on the CPU leaves LSTMs in float32 or refuses them, by torch's version")
    problem = CATALOGUE[name]()
    if name == "regression" and precision != "fp64":
        problem = Problem(problem.model.float(), nn.MSELoss(), {"train": tuple(t.float() for t in problem.data["train"])})
    checks = plane(problem, precision=precision).checks
    assert checks["passed"] == 1
    assert checks["check_points"] == 4  # the origin, a corner, two nodes at the end
    assert checks["repeat_difference"] == 0
    assert checks["nan_count"] == 0
    if precision != "bf16":
        assert checks["check_largest_difference"] <= checks["check_allowed"] < 1e-5


def test_the_origin_is_measured_though_the_grid_has_no_such_node() -> None:
    problem = perceptron(torch.float64)
    inputs, targets = problem.data["train"]
    surface = plane(problem, x=(-1, 1, 2), y=(-1, 1, 2))
    own = F.cross_entropy(problem.model(inputs), targets).item()
    assert 0.0 not in surface.x
    assert surface.checks["origin_train_loss"] == pytest.approx(own, rel=1e-12)
    assert surface.checks["origin_train_loss_reference"] == pytest.approx(own, rel=1e-12)
    assert surface.origin("train_loss") == surface.points[0].values["train_loss"]
    assert surface.points[0].coordinates == (0.0, 0.0)


def test_both_ends_of_a_line_are_checked() -> None:
    surface = landscape.line(images(), None, images(1).model, x=(0, 1, 3), quiet=True)
    assert surface.checks["passed"] == 1
    assert {point.name: point.coordinates for point in surface.points} == {"model": (0.0,), "end": (1.0,)}
    for node, point in ((0, surface.points[0]), (2, surface.points[1])):
        assert surface.values["train_loss"][node] == pytest.approx(point.values["train_loss"], rel=1e-5)
    assert "end_train_loss_reference" in surface.checks


@pytest.mark.parametrize("bn", ["frozen", "recalibrated"])
def test_models_with_other_statistics_are_marked_with_their_own_losses(bn: str) -> None:
    surface = landscape.line(images(), None, images(1).model, x=(0, 1, 3), bn=bn, quiet=True)
    inputs, targets = images().data["train"]
    for point, seed in zip(surface.points, (0, 1), strict=True):
        own = F.cross_entropy(images(seed).model.eval()(inputs), targets).item()
        assert point.values["train_loss"] == pytest.approx(own, rel=1e-5)
    assert surface.checks["passed"] == 1
    assert surface.checks["end_train_loss"] == pytest.approx(surface.values["train_loss"][2], rel=1e-5)
    assert surface.checks["end_train_loss"] != pytest.approx(surface.points[1].values["train_loss"], rel=1e-3)
    if bn == "recalibrated":  # the basin stands on the surface's own value, not on that of the model's own statistics
        assert surface.origin("train_loss") == surface.values["train_loss"][0]


@pytest.mark.parametrize("share", [0.5, 0.05, 3e-4])
@pytest.mark.parametrize("kept", ["bias", "only"])
def test_a_model_slightly_out_of_the_plane_is_not_marked_as_lying_in_it(share: float, kept: str) -> None:
    """Its bias stays behind, so that the model itself is a small share of its distance away from where the grid has its node."""
    problem = regression()
    start = {name: tensor.detach().clone() for name, tensor in problem.model.state_dict().items()}
    ends = []
    for seed in (1, 2):
        step = {name: normal(*tensor.shape, seed=seed, dtype=torch.float64) for name, tensor in start.items()}
        length = float(step["weight"].norm() / step["bias"].norm())
        ends.append({name: start[name] + step[name] * (share * length if name == "bias" else 1.0) for name in start})
    ends[0]["bias"] = start["bias"].clone()  # the second model lies in the plane, the third does not
    options: dict[str, Any] = {"ignore": "bias"} if kept == "bias" else {"only": "weight"}
    surface = landscape.surface(problem, start, *ends, x=(0, 1, 2), y=(0, 1, 2), quiet=True, **options)
    assert [point.coordinates for point in surface.points] == [(0.0, 0.0), (1.0, 0.0)]
    line = landscape.line(problem, start, ends[1], x=(0, 1, 2), quiet=True, **options)
    assert [point.coordinates for point in line.points] == [(0.0,)]


def test_the_sentence_is_in_show_figures_and_page(tmp_path: Path) -> None:
    surface = plane(perceptron(), x=(-1, 1, 5), y=(-1, 1, 5))
    sentence = describe_check(surface)
    assert sentence.startswith("checked: 4 points re-evaluated independently, largest difference ")
    from landscape.report import describe

    assert sentence in describe(surface)
    from landscape.viewer.content import content

    assert sentence.split(": ")[1].rstrip() in str(content([surface], ["net"]))
    figure = landscape.plotting.filled(surface)
    assert "re-evaluated independently" in " ".join(figure.caption.split())


# --- the engine is wrong (T4) ---


def shifted(measure: Callable[..., Any]) -> Callable[..., Any]:
    return lambda self, place, *rest, **named: measure(self, tuple(c + 0.01 for c in place), *rest, **named)


def stuck(measure: Callable[..., Any]) -> Callable[..., Any]:
    return lambda self, place, *rest, **named: measure(self, (0.0,) * len(place), *rest, **named)


def swapped(measure: Callable[..., Any]) -> Callable[..., Any]:
    return lambda self, place, *rest, **named: measure(self, tuple(place)[::-1], *rest, **named)


@pytest.mark.parametrize("wrong", [shifted, stuck])
def test_a_wrong_engine_fails(wrong: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Objective, "measure", wrong(Objective.measure))
    text = failing(perceptron())
    assert "evaluated independently it is" in text
    assert "the engine is wrong for this model" in text


def test_a_wrong_engine_fails_at_the_end_where_the_beginning_hides_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Origin and corner of this grid look alike when the axes are swapped; the nodes do not."""
    monkeypatch.setattr(Objective, "measure", swapped(Objective.measure))
    with pytest.raises(SelfCheckError, match=r"at x = .*, y = .* the surface has train_loss"):
        plane(perceptron(), x=(-1, 1, 3), y=(-1, 1, 3), to=tmp_path / "s.h5")
    kept = landscape.read(tmp_path / "s.h5")
    assert kept.complete
    assert kept.checks["passed"] == 0
    assert "the engine is wrong" in kept.checks["failure"]


@pytest.mark.parametrize("part", ["losses", "batches", "types"])
def test_what_engine_and_check_shared_once_is_checked(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if part == "losses":  # the reduction by example
        found = PerExample.__call__
        monkeypatch.setattr(PerExample, "__call__", lambda *a, **k: {n: (s * 1.001, w) for n, (s, w) in found(*a, **k).items()})
    elif part == "batches":
        monkeypatch.setattr(
            "landscape.evaluate.data_source.Examples.batch",
            lambda self, start, stop: tuple(t[: stop - start] for t in self.tensors),
        )
    else:
        from landscape.evaluate.data_source import Form

        of = Form.of
        monkeypatch.setattr(Form, "of", lambda self, t: of(self, t.bfloat16().float() if t.is_floating_point() else t))
    assert "the engine is wrong" in failing(perceptron(), batch_size=7)


@pytest.mark.parametrize("loss", [math.inf, -math.inf])
def test_a_finite_value_does_not_agree_with_an_infinite_one(loss: float) -> None:
    assert not agree(1.0, loss, math.inf)
    assert not agree(loss, 1.0, 1e300)
    assert agree(loss, loss, 0.0)


def test_the_allowance_from_both_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    """Real rounding stays within a third of what is allowed, some units of the last place; a value that is off by 1e-5 is found."""
    problem = perceptron()
    checks = plane(problem).checks
    allowed = allowed_relative(dict(problem.model.named_parameters()), [torch.float32])
    assert checks["check_allowed"] == pytest.approx(allowed)
    assert checks["check_largest_difference"] < allowed / 3 < 1e-6  # some products deep: 4·√2·√(32 + 10)·2⁻²⁴ is 2.2e-6
    found = PerExample.__call__
    monkeypatch.setattr(
        PerExample, "__call__", lambda *a, **k: {n: (s.double() * (1 + 1e-5), w) for n, (s, w) in found(*a, **k).items()}
    )
    assert "the engine is wrong" in failing(problem)


class Mixed(nn.Module):
    """A large layer of one type in front of a small one of another."""

    def __init__(self, large: torch.dtype, small: torch.dtype) -> None:
        super().__init__()
        self.first = seeded(lambda: nn.Linear(4, 64, dtype=large))
        self.second = seeded(lambda: nn.Linear(128 if large.is_complex else 64, 3, dtype=small))

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = self.first(inputs.to(self.first.weight.dtype))
        hidden = torch.view_as_real(hidden).flatten(1) if hidden.is_complex() else hidden
        outputs: Tensor = self.second(torch.tanh(hidden).to(self.second.weight.dtype))
        return outputs


@pytest.mark.parametrize("batch_size", [3, 16])
@pytest.mark.parametrize(
    ("large", "small"),
    [
        (torch.float64, torch.float32),
        (torch.float64, torch.bfloat16),
        (torch.complex128, torch.float32),
        (torch.float32, torch.float64),
    ],
    ids=str,
)
def test_the_coarsest_type_of_a_model_says_what_rounding_may_do(large: torch.dtype, small: torch.dtype, batch_size: int) -> None:
    problem = Problem(Mixed(large, small), nn.CrossEntropyLoss(), {"train": (normal(N_EXAMPLES, 4), integers(3, N_EXAMPLES))})
    checks = plane(problem, batch_size=batch_size).checks
    assert checks["passed"] == 1
    real = large.to_real() if large.is_complex else large
    assert checks["check_allowed"] >= max(UNIT_ROUNDOFF[real], UNIT_ROUNDOFF[small])


def test_a_network_that_magnifies_rounding_may_differ_by_so_much() -> None:
    """(1 + x) - 1 in float32 rounds x = 1e-4 to 1.0001659e-4: a third of a thousandth, far beyond the allowance, and no fault."""

    def cancelling(model: nn.Module, batch: Batch) -> Tensor:
        outputs = model(batch[0])
        return (1e4 + 1e-3 * outputs.square().sum(1)) - 1e4

    problem = Problem(seeded(lambda: nn.Linear(3, 2)), cancelling, {"train": (normal(200, 3), normal(200, 2))})
    checks = plane(problem).checks
    assert checks["passed"] == 1
    assert checks["check_allowed"] >= checks["check_largest_difference"]


# --- the loss is blind (T3) ---


def test_a_loss_that_uses_another_model_than_the_one_it_is_given() -> None:
    model = seeded(lambda: nn.Linear(3, 2))

    def closed(given: nn.Module, batch: Batch) -> Tensor:
        return (model(batch[0]) - batch[1]).square().sum(1)

    data = {"train": (normal(9, 3), normal(9, 2))}
    assert "it never calls the model it is given" in failing(Problem(model, closed, data))
    with pytest.raises(SelfCheckError, match="never calls the model"):
        landscape.line(
            Problem(model, closed, data), seeded(lambda: nn.Linear(3, 2), 1), seeded(lambda: nn.Linear(3, 2), 2), x=(0, 1, 3)
        )


def test_a_loss_that_calls_the_model_and_forgets_what_it_said() -> None:
    def forgetful(model: nn.Module, batch: Batch) -> Tensor:
        model(batch[0])
        return batch[1].square().sum(1)

    text = failing(Problem(seeded(lambda: nn.Linear(3, 2)), forgetful, {"train": (normal(9, 3), normal(9, 2))}))
    assert "though the outputs do" in text


def test_weights_that_move_and_do_nothing() -> None:
    """A fresh LoRA: B is 0, and A alone moves."""

    class Adapted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.base = nn.Linear(3, 2)
            self.lora_a, self.lora_b = nn.Linear(3, 1, bias=False), nn.Linear(1, 2, bias=False)
            nn.init.zeros_(self.lora_b.weight)

        def forward(self, inputs: Tensor) -> Tensor:
            outputs: Tensor = self.base(inputs) + self.lora_b(self.lora_a(inputs))
            return outputs

    problem = Problem(seeded(Adapted), nn.MSELoss(), {"train": (normal(9, 3), normal(9, 2))})
    assert "the model gives the same outputs everywhere" in failing(problem, only="lora_a*")
    assert plane(problem, only="base*").checks["passed"] == 1


def test_a_count_of_errors_may_be_the_same_everywhere() -> None:
    def errors(model: nn.Module, batch: Batch) -> Tensor:
        return (model(batch[0]).argmax(1) != batch[1]).float()

    problem = Problem(seeded(lambda: nn.Linear(3, 2)), errors, {"train": (normal(9, 3), integers(2, 9))})
    surface = plane(problem, x=(-1e-6, 1e-6, 3), y=(-1e-6, 1e-6, 3))
    assert len(np.unique(surface.values["train_loss"])) == 1
    assert surface.checks["passed"] == 1


# --- random numbers, and values that change (T22) ---


def noisy(model: nn.Module, batch: Batch) -> Tensor:
    return (model(batch[0]) - batch[1]).square().sum(1) * (1 + 0.1 * torch.rand(len(batch[0])))


def python_noise(model: nn.Module, batch: Batch) -> Tensor:
    return (model(batch[0]) - batch[1]).square().sum(1) + random.random()


@pytest.mark.parametrize("loss", [noisy, python_noise])
def test_a_loss_that_draws_random_numbers_fails(loss: Any) -> None:
    before = torch.random.get_rng_state(), random.getstate()
    text = failing(Problem(seeded(lambda: nn.Linear(3, 2)), loss, {"train": (normal(9, 3), normal(9, 2))}))
    assert "the same point gave two losses" in text
    assert "draws random numbers" in text
    assert before[0].equal(torch.random.get_rng_state())  # the caller's generators do not move
    assert before[1] == random.getstate()


class Later:
    """A loss that is right for its first calls, and something else from then on."""

    def __init__(self, n: int, then: Callable[[Tensor], Tensor]) -> None:
        self.left, self.then = n, then

    def __deepcopy__(self, memo: Any) -> Later:
        return self

    def __call__(self, model: nn.Module, batch: Batch) -> Tensor:
        self.left -= 1
        losses = (model(batch[0]) - batch[1]).square().sum(1)
        return losses if self.left > 0 else self.then(losses)


@pytest.mark.parametrize("then", [lambda t: t + 0.1 * torch.rand(()), lambda t: 1.01 * t], ids=["noise", "drift"])
def test_what_sets_in_after_the_first_check_is_found_at_the_end(then: Any, tmp_path: Path) -> None:
    problem = Problem(seeded(lambda: nn.Linear(3, 2)), Later(30, then), {"train": (normal(9, 3), normal(9, 2))})
    with pytest.raises(SelfCheckError, match=r"measured again at the end|the engine is wrong"):
        plane(problem, x=(-1, 1, 9), y=(-1, 1, 9), to=tmp_path / "s.h5")
    assert landscape.read(tmp_path / "s.h5").complete


def test_data_changed_before_a_run_have_another_digest_and_during_it_are_found(tmp_path: Path) -> None:
    inputs, targets = normal(9, 3), normal(9, 2)
    problem = Problem(seeded(lambda: nn.Linear(3, 2)), nn.MSELoss(), {"train": (inputs, targets)})
    first = plane(problem, to=tmp_path / "s.h5")
    inputs += 1
    second = plane(problem)
    assert first.data["train"]["sha256"] != second.data["train"]["sha256"]
    with pytest.raises(InputError, match="data split train"):
        plane(problem, to=tmp_path / "s.h5")

    def changing(model: nn.Module, batch: Batch) -> Tensor:
        inputs.add_(1)
        return (model(batch[0]) - batch[1]).square().sum(1)

    with pytest.raises(SelfCheckError, match=r"changed while the run computed|the engine is wrong|two losses"):
        plane(Problem(problem.model, changing, {"train": (inputs, targets)}))


# --- values that depend on the batch size (T12, D16) ---


def on_batches() -> Problem:
    model = seeded(lambda: nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4, track_running_stats=False), nn.Linear(4, 2)))
    return Problem(model, nn.MSELoss(), {"train": (normal(150, 3), normal(150, 2))})


def in_batch_contrast() -> Problem:
    def contrast(model: nn.Module, batch: Batch) -> Tensor:
        outputs = F.normalize(model(batch[0]))
        return F.cross_entropy(outputs @ outputs.T, torch.arange(len(outputs)), reduction="none")

    return Problem(seeded(lambda: nn.Linear(3, 2)), contrast, {"train": (normal(150, 3), normal(150, 2))})


@pytest.mark.parametrize("make", [on_batches, in_batch_contrast])
def test_values_that_depend_on_the_batch_size_want_it_named(make: Callable[[], Problem], tmp_path: Path) -> None:
    with pytest.raises(SelfCheckError, match=r"depends on the batch size: at origin .* say --batch-size \d+"):
        plane(make())
    surface = plane(make(), batch_size=40, to=tmp_path / "s.h5", x=(-1, 1, 3))
    assert surface.checks["passed"] == 1
    assert surface.attributes["batch_size"] == 40
    assert surface.checks["batch_size_difference"] > 1e-4
    with pytest.raises(InputError, match="batch size"):
        plane(make(), batch_size=50, to=tmp_path / "s.h5", x=(-1, 1, 5))
    assert plane(make(), to=tmp_path / "s.h5", x=(-1, 1, 5)).runs[-1]["batch_size"] == 40


def largest(model: nn.Module, batch: Batch) -> Tensor:
    return (model(batch[0]) - batch[1]).square().max()


def of_whole_batches() -> Problem:
    data = {"train": (normal(50, 3), normal(50, 2))}
    return Problem(seeded(lambda: nn.Linear(3, 2)), largest, data, per_example=False)


def test_losses_of_whole_batches_belong_to_their_batch_size(tmp_path: Path) -> None:
    files = [tmp_path / "1.h5", tmp_path / "2.h5"]
    for k, (file, size) in enumerate(zip(files, (8, 16), strict=True), start=1):
        surface = plane(of_whole_batches(), batch_size=size, to=file, part=f"{k}/2")
        assert surface.checks["passed"] == 1
        assert np.isnan(surface.stderr["train_loss"]).all()
        assert surface.attributes["batch_size"] == size
    with pytest.raises(InputError, match="batch size"):
        landscape.merge(files, quiet=True)
    with pytest.raises(InputError, match="batch size"):
        plane(of_whole_batches(), batch_size=8, to=files[1])


def test_whole_batches_are_not_halved_for_want_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Objective) -> int:
        raise torch.cuda.OutOfMemoryError("out of memory")

    monkeypatch.setattr(Objective, "trial", full)
    with pytest.raises(InputError, match="depends on their size"):
        plane(of_whole_batches(), batch_size=8)


# --- losses that are no numbers (T17) ---


@pytest.mark.parametrize("kind", ["criterion", "function"])
def test_an_example_whose_loss_is_no_number_is_named(kind: str) -> None:
    inputs, targets = normal(64, 3), normal(64, 2)
    inputs[17, 1] = math.nan
    loss = nn.MSELoss() if kind == "criterion" else lambda model, batch: (model(batch[0]) - batch[1]).square().sum(1)
    problem = Problem(seeded(lambda: nn.Linear(3, 2)), loss, {"train": (inputs, targets)})
    text = failing(problem)
    assert "the loss of split train is not finite for 1 of 64 examples, the first is number 17" in text
    assert "number 17" in failing(problem, examples=60, seed=next(s for s in range(99) if _draws(17, 60, s)))


def _draws(index: int, n: int, seed: int) -> bool:
    from landscape.evaluate import choose
    from landscape.problem import Examples

    chosen = choose(Examples("train", (torch.zeros(64),)), n, seed, False).indices
    return chosen is not None and index in chosen


def test_a_surface_may_be_infinite_away_from_its_models() -> None:
    def steep(model: nn.Module, batch: Batch) -> Tensor:
        return (60 * (model(batch[0]) - batch[1]).square().sum(1)).exp()

    problem = Problem(seeded(lambda: nn.Linear(3, 2)), steep, {"train": (0.1 * normal(9, 3), 0.1 * normal(9, 2))})
    surface = plane(problem, x=(-20, 20, 3), y=(-20, 20, 3), ignore="none")
    assert np.isinf(surface.values["train_loss"]).any()
    assert surface.checks["passed"] == 1
    assert surface.checks["check_points"] >= 4  # a tenth of the way out it is finite


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_losses_that_are_never_finite_fail_and_are_stored_as_they_are(value: float) -> None:
    problem, _ = coordinates(lambda a, b: value)
    with pytest.warns(SelfCheckWarning, match="not finite for 5 of 5 examples"):
        surface = plane(problem, ignore="none", normalize="none", check="warn")
    assert surface.checks["nan_count"] == surface.checks["nan_count_train_loss"] == 9


# --- names (T18) ---


def test_metrics_that_would_share_a_name_are_refused() -> None:
    def two(model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        losses = (model(batch[0]) - batch[1]).square().sum(1)
        return {"loss": losses, "clean_loss": 2 * losses}

    data = {split: (normal(9, 3), normal(9, 2)) for split in ("train", "train_clean")}
    problem = Problem(seeded(lambda: nn.Linear(3, 2)), two, data)
    with pytest.raises(InputError, match='of split "train" the metric "clean_loss" and of split "train_clean" the metric "loss"'):
        plane(problem, split=["train", "train_clean"])
    assert plane(problem, split="train").metrics["train_clean_loss"].name == "clean_loss"


@pytest.mark.parametrize("name", ["loss_stderr", "top5_low", "high_high"])
def test_metrics_named_like_the_files_own_are_refused(name: str) -> None:
    def named(model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        losses = (model(batch[0]) - batch[1]).square().sum(1)
        return {"loss": losses, name: losses}

    with pytest.raises(InputError, match=rf'"{name}".*rename it'):
        plane(Problem(seeded(lambda: nn.Linear(3, 2)), named, {"train": (normal(9, 3), normal(9, 2))}))


def test_splits_whose_names_begin_alike_are_kept_apart() -> None:
    problem = regression()
    clean = tuple(part[:7] for part in problem.data["train"])
    both = Problem(problem.model, nn.MSELoss(), {"train": problem.data["train"], "train_clean": clean})
    surface = plane(both, split=["train", "train_clean"])
    assert surface.metrics["train_clean_loss"].split == "train_clean"
    assert (surface.examples["train"] == N_EXAMPLES).all()
    assert (surface.examples["train_clean"] == 7).all()


# --- what is said, and where (T23) ---


def test_quiet_silences_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    problem = Problem(seeded(lambda: nn.Linear(3, 2)), noisy, {"train": (normal(9, 3), normal(9, 2))})
    with pytest.raises(SelfCheckError):
        plane(problem, quiet=True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        plane(problem, quiet=True, check="warn")
    places = {warning.filename for warning in caught if issubclass(warning.category, SelfCheckWarning)}
    assert places == {__file__}  # where `landscape.surface` is called
    with pytest.raises(InputError, match='check: "wran" is unknown: did you mean "warn"'):
        plane(problem, check="wran")


def test_a_failed_check_writes_nothing_and_a_warned_one_is_marked(tmp_path: Path, command: Any, factory: Any) -> None:
    problem = factory(
        "import torch\nfrom torch import nn\n"
        "loss = lambda model, batch: model(batch).sum(1) + torch.rand(len(batch))\n"
        "return cases.Problem(nn.Linear(3, 2), loss, {'train': torch.ones(9, 3)})"
    )
    start = tmp_path / "a.pt"
    torch.save(nn.Linear(3, 2).state_dict(), start)
    words = ("surface", problem, start, "--x", "-1:1:3", "--y", "-1:1:3", "-o", tmp_path / "s.h5")
    outcome = command(*words)
    assert outcome.code == 1
    assert outcome.err.startswith("landscape: self-check failed: the same point gave two losses")
    assert len(outcome.err.splitlines()) == 1
    assert not (tmp_path / "s.h5").exists()
    outcome = command(*words, "--check", "warn", "--quiet")
    assert outcome.code == 0
    assert "landscape: self-check failed: the same point gave two losses" in outcome.err
    with h5py.File(tmp_path / "s.h5") as file:
        assert file["checks"].attrs["passed"] == 0
        assert "random numbers" in file["checks"].attrs["failure"]
    assert "FAILED" in command("show", tmp_path / "s.h5").out
    again = command(*words)
    assert again.code == 1


def test_a_file_whose_run_failed_stays_marked(tmp_path: Path) -> None:
    problem = Problem(seeded(lambda: nn.Linear(3, 2)), Later(30, lambda t: 1.01 * t), {"train": (normal(9, 3), normal(9, 2))})
    with pytest.warns(SelfCheckWarning):
        plane(problem, x=(-1, 1, 9), y=(-1, 1, 9), to=tmp_path / "s.h5", check="warn")
    steady = Problem(problem.model, Later(10**9, lambda t: t), problem.data)
    with pytest.raises((SelfCheckError, InputError), match=r"an earlier run into this file|is stored as"):
        plane(steady, x=(-1, 1, 9), y=(-1, 1, 9), to=tmp_path / "s.h5")
