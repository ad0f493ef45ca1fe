"""What the user's own code may raise: one line that says what and where, exit code 1, and the file keeps what was measured."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

import landscape
from landscape import Problem
from landscape.errors import InputError, RunError, UserCodeError, in_a_line, users_code

make_error: list[Callable[[], BaseException]] = []  # what the problems below raise


class Odd(BaseException):
    """As libraries derive for what nobody should catch."""


class WordlessError(Exception):
    def __str__(self) -> str:
        raise SystemExit("no words")


class UnprintableError(Exception):
    def __str__(self) -> int:  # type: ignore[override]
        return 7


# what is raised, and how the line tells of it
RAISED: dict[str, tuple[Callable[[], BaseException], str]] = {
    "exit": (lambda: SystemExit(0), "SystemExit: 0"),
    "exit with words": (lambda: SystemExit("good bye"), "SystemExit: good bye"),
    "exit without words": (SystemExit, "SystemExit;"),
    "broken pipe": (lambda: BrokenPipeError(errno.EPIPE, "Broken pipe"), "BrokenPipeError: [Errno 32] Broken pipe"),
    "full disk": (lambda: OSError(errno.ENOSPC, "No space left on device"), "OSError: [Errno 28] No space left on device"),
    "generator exit": (GeneratorExit, "GeneratorExit;"),
    "stop": (lambda: StopIteration("at the end"), "StopIteration: at the end"),
    "no exception": (lambda: Odd("an odd one"), "Odd: an odd one"),
    "cancelled": (asyncio.CancelledError, "CancelledError;"),
    "empty": (lambda: ValueError(""), "ValueError;"),
    "blank": (lambda: ValueError("\n  \n"), "ValueError;"),
    "many lines": (lambda: ValueError("first\n" + "more\n" * 5000), "ValueError: first;"),
    "a long line": (lambda: ValueError("long " * 20_000), "ValueError: long long"),
    "control characters": (lambda: ValueError("\x1b[31mred\x00"), "ValueError: ?[31mred?"),
    "str raises": (WordlessError, "WordlessError: its message cannot be shown;"),
    "str gives a number": (UnprintableError, "UnprintableError: its message cannot be shown;"),
    "group": (lambda: RuntimeError("several", [1]), "RuntimeError: ('several', [1])"),
}

FEW = ["exit", "broken pipe", "full disk", "no exception"]


def act() -> None:
    if make_error:
        raise make_error[0]()


class Dot(nn.Module):
    """One weight, which is the coordinate of a line from 0 to 1; it acts half way."""

    def __init__(self, acts: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, dtype=torch.float64))
        self.acts = acts

    def forward(self, inputs: Tensor) -> Tensor:
        if self.acts:
            half_way(self)
        return self.weight.expand(len(inputs))


def half_way(model: nn.Module) -> None:
    if abs(float(model.weight) - 0.5) < 0.1:
        act()


class Criterion(nn.Module):
    """A criterion of the user's own, with a reduction as torch's have."""

    reduction = "mean"

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        if abs(float(outputs[0]) - 0.5) < 0.1:
            act()
        losses = (outputs - targets) ** 2
        return losses.mean() if self.reduction == "mean" else losses


def in_the_loss() -> Problem:
    def loss(model: nn.Module, batch: Tensor) -> Tensor:
        half_way(model)
        return model(batch) ** 2

    return Problem(Dot(), loss, {"train": torch.zeros(5, 1)})


def in_the_model() -> Problem:
    return Problem(Dot(acts=True), lambda model, batch: model(batch) ** 2, {"train": torch.zeros(5, 1)})


def in_the_criterion() -> Problem:
    return Problem(Dot(), Criterion(), {"train": (torch.zeros(5, 1), torch.ones(5, dtype=torch.float64))})


class Items(Dataset[Tensor]):
    def __len__(self) -> int:
        return 5

    def __getitem__(self, index: int) -> Tensor:
        if index == 3:
            act()
        return torch.zeros(1)


class Unmeasurable(Items):
    def __len__(self) -> int:
        act()
        return 5


def collate(items: list[Tensor]) -> Tensor:
    act()
    return torch.stack(items)


def batches() -> Iterator[Tensor]:
    yield torch.zeros(4, 1)
    act()


DATA: dict[str, Callable[[], object]] = {
    "items": Items,
    "length": Unmeasurable,
    "collate": lambda: DataLoader(torch.zeros(5, 1), batch_size=2, collate_fn=collate),
    "batches": batches,
}
data_of: list[str] = []


def in_the_data() -> Problem:
    return Problem(Dot(), lambda model, batch: model(batch) ** 2, {"train": DATA[data_of[0]]()})


class Uncopyable(Dot):
    def __deepcopy__(self, memo: object) -> nn.Module:
        act()
        return Dot()


def in_the_copy() -> Problem:
    return Problem(Uncopyable(), lambda model, batch: model(batch) ** 2, {"train": torch.zeros(5, 1)})


def in_the_factory() -> Problem:
    act()
    return in_the_loss()


@pytest.fixture
def line(here: Path, run: Callable[[str], Any]) -> Iterator[Callable[..., Any]]:
    """Measure a line along which the weight is the coordinate, while the code says what it raises."""
    for name, value in (("0.pt", 0.0), ("1.pt", 1.0)):
        torch.save({"weight": torch.tensor([value], dtype=torch.float64)}, name)

    def line(problem: str, make: Callable[[], BaseException] | None = None, *words: str) -> Any:
        make_error[:] = [make] if make else []
        return run(f"line test_users_code:{problem} 0.pt 1.pt --x 0:1:5 -o out.h5 --quiet " + " ".join(words))

    yield line
    make_error.clear()


@pytest.mark.parametrize(
    ("problem", "name"),
    [
        *(("in_the_loss", name) for name in RAISED),
        *((problem, name) for problem in ("in_the_model", "in_the_criterion") for name in FEW),
    ],
)
def test_a_point_that_raises_anything_is_one_line_and_the_file_keeps_the_others(line, one_line, problem, name):
    make, says = RAISED[name]
    outcome = line(problem, make)
    assert (outcome.code, outcome.out) == (1, "")
    one_line(outcome.err, "landscape: at x = 0.5: the model or loss raised ", says, " of 5 points are in out.h5")
    surface = landscape.read("out.h5")
    done = surface.done["train_loss"]
    assert 0 < done.sum() < 5
    assert f"; {done.sum()} of 5 points are in out.h5; run the same command again to resume" in outcome.err
    assert line(problem).code == 0  # mended, it goes on
    assert landscape.read("out.h5").complete


@pytest.mark.parametrize("name", [*FEW, "stop"])
@pytest.mark.parametrize("place", DATA)
def test_data_that_raise_anything_are_one_line_and_no_file(here, line, one_line, place, name):
    make, says = RAISED[name]
    data_of[:] = [place]
    if (place, name) == ("batches", "stop"):
        says = "RuntimeError: generator raised StopIteration"  # as Python has it since PEP 479
    if (place, name) == ("collate", "stop"):
        says = "StopIteration after 0 of 3 batches"  # torch's loader ends there as if that were all
    outcome = line("in_the_data", make)
    assert (outcome.code, outcome.out) == (1, "")
    one_line(outcome.err, 'reading the data split "train" raised', says.rstrip(";"))
    assert not (here / "out.h5").exists()
    assert line("in_the_data").code == 0


@pytest.mark.parametrize("name", RAISED)
def test_a_factory_that_raises_anything_is_wrong_input(here, line, one_line, name):
    make, says = RAISED[name]
    outcome = line("in_the_factory", make)
    assert (outcome.code, outcome.out) == (2, "")
    one_line(outcome.err, '"test_users_code:in_the_factory" failed', says.rstrip(";"))
    assert not (here / "out.h5").exists()


@pytest.mark.parametrize("name", [*FEW, "empty"])
def test_a_model_whose_copy_raises_anything_is_one_line(here, line, one_line, name):
    make, says = RAISED[name]
    outcome = line("in_the_copy", make)
    assert outcome.code in (1, 2)  # what torch itself refuses to copy is wrong input, what leaves is not
    one_line(outcome.err, says.rstrip(";"), "cop")
    assert not (here / "out.h5").exists()


class Unloadable(Dot):
    def load_state_dict(self, *arguments: Any, **options: Any) -> Any:
        act()
        return super().load_state_dict(*arguments, **options)


class Unsaveable(Dot):
    def state_dict(self, *arguments: Any, **options: Any) -> Any:
        act()
        return super().state_dict(*arguments, **options)


def in_loading() -> Problem:
    return Problem(Unloadable(), lambda model, batch: model(batch) ** 2, {"train": torch.zeros(5, 1)})


def in_saving() -> Problem:
    return Problem(Unsaveable(), lambda model, batch: model(batch) ** 2, {"train": torch.zeros(5, 1)})


@pytest.mark.parametrize("name", ["exit", "no exception"])
@pytest.mark.parametrize(("problem", "says"), [("in_loading", "loading a state dict"), ("in_saving", "the model's state_dict")])
def test_hooks_of_the_model_that_raise_anything_are_one_line(here, line, one_line, problem, says, name):
    outcome = line(problem, RAISED[name][0])
    assert (outcome.code, outcome.out) == (1, "")
    one_line(outcome.err, says, "raised", RAISED[name][1])


@pytest.mark.parametrize("name", FEW)
def test_in_python_the_users_own_error_is_the_cause(name):
    make, _ = RAISED[name]
    make_error[:] = [make]
    ends = {f"end{i}": {"weight": torch.tensor([float(i)], dtype=torch.float64)} for i in (0, 1)}
    with pytest.raises(UserCodeError, match=r"^at x = 0\.5: the model or loss raised ") as raised:
        landscape.line(in_the_loss(), *ends.values(), x=(0, 1, 5), quiet=True)
    make_error.clear()
    assert type(raised.value.__cause__) is type(make())


@pytest.mark.parametrize("words", [[], ["--debug"]])
def test_a_traceback_is_shown_on_demand(line, words):
    outcome = line("in_the_loss", lambda: SystemExit("good bye"), *words)
    assert ("Traceback" in outcome.err) == bool(words)
    assert ("in half_way" in outcome.err) == bool(words)


def test_memory_that_runs_out_in_the_users_code_is_told_as_such(line, one_line):
    outcome = line("in_the_loss", MemoryError)
    assert outcome.code == 1
    one_line(outcome.err, "at x = 0.5", "memory ran out", "--batch-size")


def test_what_is_meant_for_us_passes():
    for error in (KeyboardInterrupt(), InputError("wrong"), RunError("failed")):
        with pytest.raises(type(error)) as raised, users_code("the loss"):
            raise error
        assert raised.value is error


def test_an_error_in_a_line():
    assert in_a_line(InputError("by its own words")) == "by its own words"
    assert in_a_line(KeyError("key")) == "KeyError: 'key'"
    assert len(in_a_line(ValueError("x" * 10_000))) < 300
