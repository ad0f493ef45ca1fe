"""Problem: what it accepts, what it finds wrong at load, and import strings."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from cases import CATALOGUE, images, integers, normal, seeded
from torch import nn

from landscape import Problem
from landscape.core import weights
from landscape.errors import InputError
from landscape.problem import resolve

X, Y = normal(12, 4), integers(3, 12)
MODEL = seeded(lambda: nn.Linear(4, 3))


def test_splits_are_read_when_needed_and_once() -> None:
    reads = []

    class Counting(torch.utils.data.Dataset):
        def __len__(self) -> int:
            return 12

        def __getitem__(self, i: int) -> Any:
            reads.append(i)
            return X[i], Y[i]

    problem = Problem(MODEL, nn.CrossEntropyLoss(), {"train": Counting(), "test": (X, Y)})
    assert problem.splits == ["train", "test"]
    assert problem.name == "Linear"
    assert not reads
    assert problem.examples("train") is problem.examples("train")
    assert reads == list(range(12))
    assert problem.examples("test").sha256 == problem.examples("train").sha256


@pytest.mark.parametrize("name", CATALOGUE)
def test_making_a_problem_changes_nothing(name: str) -> None:
    problem = CATALOGUE[name]()
    problem.model.train()
    before = copy.deepcopy(problem.model.state_dict())
    for split in problem.splits:
        problem.examples(split)
    assert problem.model.training
    assert all(torch.equal(before[key], value) for key, value in problem.model.state_dict().items())


@pytest.mark.parametrize(("label", "ignored"), [(3, None), (-1, None), (7, 8)])
def test_labels_out_of_range_are_found_at_load(label: int, ignored: int | None) -> None:
    targets = Y.clone()
    targets[5] = label
    loss = nn.CrossEntropyLoss() if ignored is None else nn.CrossEntropyLoss(ignore_index=ignored)
    problem = Problem(MODEL, loss, {"train": (X, targets)})
    with pytest.raises(InputError, match=f'"train" has the label {label}, the model has 3 classes'):
        problem.examples("train")


def test_labels_that_are_ignored_are_not_out_of_range() -> None:
    targets = Y.clone()
    targets[5] = 9
    Problem(MODEL, nn.CrossEntropyLoss(ignore_index=9), {"train": (X, targets)}).examples("train")
    targets[5] = -100
    Problem(MODEL, nn.CrossEntropyLoss(), {"train": (X, targets)}).examples("train")


class Ahead(nn.Module):
    """A layer of another type in front, whose parameters are the first that the model has."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor([1, 2, 3, 4]).to(dtype), requires_grad=dtype.is_floating_point)
        self.head = seeded(lambda: nn.Linear(4, 3))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        assert inputs.dtype == X.dtype  # the user's own
        return self.head((inputs.to(torch.promote_types(inputs.dtype, self.scale.dtype)) * self.scale).to(inputs.dtype))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16, torch.int64])
def test_labels_are_checked_in_the_inputs_own_type(dtype: torch.dtype) -> None:
    problem = Problem(Ahead(dtype), nn.CrossEntropyLoss(), {"train": (X, Y), "test": (X, Y + 1)})
    problem.examples("train")
    with pytest.raises(InputError, match="label 3"):
        problem.examples("test")


def test_labels_are_checked_against_a_wrapped_model_too() -> None:
    problem = images()
    wrapped = Problem(
        nn.DataParallel(problem.model), nn.CrossEntropyLoss(), {"train": (normal(4, 2, 6, 6), torch.tensor([0, 1, 2, 3]))}
    )
    with pytest.raises(InputError, match="label 3"):
        wrapped.examples("train")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Problem(lambda x: x, nn.MSELoss(), {"train": X}), "the model is a function"),
        (lambda: Problem(MODEL, "mse", {"train": X}), "the loss is a str"),
        (lambda: Problem(MODEL, nn.MSELoss(), {}), "mapping from split names"),
        (lambda: Problem(MODEL, nn.MSELoss(), (X, Y)), "mapping from split names"),
        (lambda: Problem(MODEL, nn.MSELoss(), {"my split": X}), "'my split'"),
        (lambda: Problem(MODEL, nn.MSELoss(), {"a/b": X}), "'a/b'"),
        (lambda: Problem(nn.LazyLinear(3), nn.MSELoss(), {"train": X}), "weight has no shape yet"),
        (lambda: Problem(MODEL, nn.MSELoss(), {"train": X}).examples("trian"), 'did you mean "train"'),
    ],
)
def test_what_is_no_problem_is_refused(make: Callable[[], Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        make()


def test_an_import_string_is_resolved(factory: Callable[[str], str]) -> None:
    problem = resolve(factory("return cases.perceptron()"))
    assert isinstance(problem, Problem)
    assert weights.digest(weights.read(problem.model)) == weights.digest(weights.read(CATALOGUE["perceptron"]().model))


def test_the_working_folder_is_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*__import__("sys").path])
    (tmp_path / "in_this_folder.py").write_text("import cases\nmake = cases.perceptron\n")
    assert isinstance(resolve("in_this_folder:make"), Problem)


def test_what_names_no_problem_is_refused(factory: Callable[[str], str]) -> None:
    good = factory("return cases.perceptron()")
    module = good.partition(":")[0]
    broken = factory("return cases.perceptron()").partition(":")[0]
    for text, words in (
        (":make", "not package.module:factory"),
        (f"{module}:", "not package.module:factory"),
        ("no_such_module_here:make", 'no module "no_such_module_here"'),
        ("landscape.no_such_part:make", 'no module "landscape.no_such_part"'),
        (f"{module}:mkae", 'did you mean "make"'),
        (f"{module}:cases", "is a module, not a function"),
        (factory("return 3"), "returned a int, not a landscape.Problem"),
        (factory("raise OSError('no data here')"), "failed: OSError: no data here"),
        (factory("import torch\nfrom landscape import Problem\nreturn Problem(3, 4, {})"), "the model is a int"),
    ):
        with pytest.raises(InputError, match=words) as raised:
            resolve(text)
        assert "\n" not in str(raised.value)
    assert broken


def test_a_module_that_cannot_be_imported_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "needs_more.py").write_text("import a_library_nobody_has\n")
    (tmp_path / "does_not_parse.py").write_text("def make(:\n")
    with pytest.raises(
        InputError, match="importing \"needs_more\" failed: ModuleNotFoundError: No module named 'a_library_nobody_has'"
    ):
        resolve("needs_more:make")
    with pytest.raises(InputError, match='importing "does_not_parse" failed: SyntaxError'):
        resolve("does_not_parse:make")
