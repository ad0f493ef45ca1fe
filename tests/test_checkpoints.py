"""Checkpoints in every form people keep them, and those that are none."""

from __future__ import annotations

import copy
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cases import Images, Tagger, seeded
from torch import nn

from landscape.checkpoints import name_of, names_of, weights_of
from landscape.core import weights
from landscape.errors import InputError


@pytest.fixture
def model() -> nn.Module:
    return seeded(Images, 0)


@pytest.fixture
def other() -> nn.Module:
    return seeded(Images, 1)


def same(first: weights.Weights, module: nn.Module) -> bool:
    second = weights.read(module)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in second)


def test_without_a_checkpoint_the_models_own_weights(model: nn.Module) -> None:
    assert same(weights_of(None, model), model)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("key", [None, "state_dict", "model_state_dict", "model", "net", "weights"])
def test_files(tmp_path: Path, model: nn.Module, other: nn.Module, key: str | None, legacy: bool) -> None:
    state = other.state_dict()
    content = state if key is None else {"epoch": 3, "optimizer": {"lr": 0.1}, key: state}
    torch.save(content, tmp_path / "a.pt", _use_new_zipfile_serialization=not legacy)
    before = weights.digest(weights.read(model))
    assert same(weights_of(tmp_path / "a.pt", model), other)
    assert same(weights_of(str(tmp_path / "a.pt"), model), other)
    assert weights.digest(weights.read(model)) == before


def test_modules_and_state_dicts(model: nn.Module, other: nn.Module) -> None:
    assert same(weights_of(other, model), other)
    assert same(weights_of(nn.DataParallel(other), model), other)
    assert same(weights_of(other.state_dict(), model), other)
    assert same(weights_of({f"module.{name}": value for name, value in other.state_dict().items()}, model), other)
    assert same(weights_of({f"_orig_mod.module.{name}": value for name, value in other.state_dict().items()}, model), other)


class Keeping(nn.Module):
    """A model that keeps something beside its tensors."""

    def __init__(self, kept: Any) -> None:
        super().__init__()
        self.linear = seeded(lambda: nn.Linear(2, 2))
        self.kept = kept

    def get_extra_state(self) -> Any:
        return self.kept

    def set_extra_state(self, state: Any) -> None:
        self.kept = state


KEPT = [{"version": 2, "scales": [torch.ones(2), (1.5, "row")]}, torch.arange(3), np.array([1.0, 2.0]), None]


@pytest.mark.parametrize("kept", KEPT, ids=["dict", "tensor", "array", "none"])
def test_what_modules_keep_beside_their_tensors(tmp_path: Path, kept: Any) -> None:
    model, other = nn.Sequential(Keeping(kept)), nn.Sequential(Keeping(copy.deepcopy(kept)))
    nn.init.ones_(other[0].linear.weight)
    assert same(weights_of(other, model), other)
    assert same(weights_of(other.state_dict(), model), other)
    assert same(weights_of({n: v for n, v in other.state_dict().items() if "extra" not in n}, model), other)
    if not isinstance(kept, np.ndarray):  # which torch reads as pickled code
        torch.save(other.state_dict(), tmp_path / "a.pt")
        assert same(weights_of(tmp_path / "a.pt", model), other)
    other[0].kept = {"version": 3} if kept is None else torch.arange(4)
    with pytest.raises(InputError, match=r"0\._extra_state is another than that of the model Sequential.*load the checkpoint into"):
        weights_of(other, model)


class Wrapped(nn.Module):
    """A model whose own names begin with module., as averaged models' do."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.module = inner
        self.head = nn.Linear(2, 2)


def test_models_whose_own_names_look_like_a_wrappers() -> None:
    mine, theirs = seeded(lambda: Wrapped(nn.Linear(3, 2)), 0), seeded(lambda: Wrapped(nn.Linear(3, 2)), 1)
    assert same(weights_of(theirs.state_dict(), mine), theirs)
    assert same(weights_of({f"module.{name}": value for name, value in theirs.state_dict().items()}, mine), theirs)
    averaged = torch.optim.swa_utils.AveragedModel(mine)
    assert same(weights_of(torch.optim.swa_utils.AveragedModel(theirs), averaged), torch.optim.swa_utils.AveragedModel(theirs))


def test_counters_may_be_missing(model: nn.Module, other: nn.Module) -> None:
    state = {name: value for name, value in other.state_dict().items() if not name.endswith("num_batches_tracked")}
    assert same(weights_of(state, model), other)


def test_tied_weights_appear_once_and_stay_tied() -> None:
    mine, theirs = seeded(Tagger, 0), seeded(Tagger, 1)
    found = weights_of(theirs.state_dict(), mine)
    assert "head.weight" not in found
    assert torch.equal(found["embedding.weight"], theirs.head.weight)


def test_a_checkpoint_is_fitted_to_the_models_type(model: nn.Module, other: nn.Module) -> None:
    found = weights_of(other.state_dict(), model.double())
    assert all(tensor.dtype == torch.float64 for tensor in found.values())
    assert torch.equal(found["head.weight"], other.head.weight.double())


def test_names() -> None:
    assert name_of("runs/a.pt", "model") == "a.pt"
    assert name_of(None, "model") == "model"
    assert name_of(nn.Linear(1, 1), "end") == "end"


def test_files_of_one_name_are_told_apart_by_their_folders() -> None:
    assert names_of({"model": "a/x/last.pt", "end": "b/x/last.pt"}) == ["a/x/last.pt", "b/x/last.pt"]
    assert names_of({"model": "last.pt", "end": "b/last.pt", "end_y": nn.Linear(1, 1)}) == ["last.pt", "b/last.pt", "end_y"]
    assert names_of({"model": "a/last.pt", "end": "a/last.pt"}) == ["last.pt", "last.pt"]  # it is one file
    assert names_of({"model": None, "end": {}}) == ["model", "end"]


class Evil:
    def __reduce__(self) -> Any:
        return print, ("code ran",)


def refused(checkpoint: Any, model: nn.Module, *words: str) -> None:
    with pytest.raises(InputError) as raised:
        weights_of(checkpoint, model)
    text = str(raised.value)
    assert "\n" not in text
    for word in words:
        assert word in text


def test_what_is_no_checkpoint_is_refused(tmp_path: Path, model: nn.Module, capsys: pytest.CaptureFixture[str]) -> None:
    refused(tmp_path / "missing.pt", model, "missing.pt", "no such checkpoint")
    refused(tmp_path, model, "folder")
    (tmp_path / "text.pt").write_text("no weights in here\n" * 50)
    refused(tmp_path / "text.pt", model, "text.pt", "not a checkpoint")
    (tmp_path / "empty.pt").write_bytes(b"")
    refused(tmp_path / "empty.pt", model, "empty.pt")
    (tmp_path / "evil.pt").write_bytes(pickle.dumps({"state_dict": Evil()}))
    refused(tmp_path / "evil.pt", model, "evil.pt")
    torch.save({"state_dict": model.state_dict(), "extra": Evil()}, tmp_path / "evil2.pt")
    refused(tmp_path / "evil2.pt", model, "evil2.pt", "code", "never run")
    torch.save(model, tmp_path / "whole.pt")
    refused(tmp_path / "whole.pt", model, "whole.pt", "code")
    torch.save(torch.zeros(3), tmp_path / "tensor.pt")
    refused(tmp_path / "tensor.pt", model, "Tensor", "state_dict")
    torch.save({"epoch": 3}, tmp_path / "number.pt")
    refused(tmp_path / "number.pt", model, "no tensors")
    assert "code ran" not in capsys.readouterr().out


@pytest.mark.parametrize("legacy", [False, True])
def test_truncated_files_are_refused_wherever_they_end(tmp_path: Path, model: nn.Module, legacy: bool) -> None:
    torch.save(model.state_dict(), tmp_path / "whole.pt", _use_new_zipfile_serialization=not legacy)
    content = (tmp_path / "whole.pt").read_bytes()
    for share in (0.01, 0.2, 0.5, 0.9, 0.999):
        (tmp_path / "cut.pt").write_bytes(content[: int(len(content) * share)])
        refused(tmp_path / "cut.pt", model, "cut.pt")


def test_another_architecture_names_the_first_parameter_that_differs(model: nn.Module) -> None:
    state = OrderedDict(model.state_dict())
    wide = OrderedDict(state, **{"mix.weight": torch.zeros(5, 2, 3, 3), "head.weight": torch.zeros(3, 5)})
    refused(wide, model, "mix.weight", "(5, 2, 3, 3)", "(4, 2, 3, 3)")
    refused({name: value for name, value in state.items() if not name.startswith("mix")}, model, "lacks mix.weight")
    refused(OrderedDict(state, extra=torch.zeros(1)), model, "holds extra")
    refused(nn.Linear(3, 2), model, "Linear", "conv.weight")
