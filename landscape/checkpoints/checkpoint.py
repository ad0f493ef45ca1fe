"""Checkpoints: files, modules and state dicts of one architecture, read into weights without running anybody's code."""

from __future__ import annotations

import os
import pickle
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from landscape.core.modules import copy_module
from landscape.core.weights import Weights, digest, read, strip_prefix, unwrap
from landscape.errors import InputError, MissingFileError, users_code

__all__ = ["Checkpoint", "name_of", "names_of", "weights_of"]

Checkpoint = str | os.PathLike[str] | nn.Module | Mapping[str, Any]

_EXTRA = "_extra_state"  # what modules keep beside their tensors, by torch's own name for it
_MOST_INFLATED = 100  # times its length that a file may unpack to; weights shrink to a half, sparse ones to some hundredths
_HARMLESS = 64 * 2**20  # bytes that any file may unpack to
_KEYS = ("state_dict", "model_state_dict", "model", "net", "weights")


def name_of(checkpoint: Checkpoint | None, default: str) -> str:
    """What to call a checkpoint: a file's name, or `default`."""
    return Path(checkpoint).name if isinstance(checkpoint, str | os.PathLike) else default


def names_of(checkpoints: Mapping[str, Checkpoint | None]) -> list[str]:
    """What to call several checkpoints, each with its default: files of one name by as much of their folders as tells them apart.

    >>> names_of({"model": "a/first.pt", "end_x": "a/last.pt", "end_y": "b/last.pt"})
    ['first.pt', 'a/last.pt', 'b/last.pt']
    """
    paths = [Path(value) if isinstance(value, str | os.PathLike) else None for value in checkpoints.values()]
    names = [name_of(value, default) for default, value in checkpoints.items()]
    for length in range(2, max((len(path.parts) for path in paths if path), default=0) + 1):
        clashes = {
            name
            for name, path in zip(names, paths, strict=True)
            if len({p for p, n in zip(paths, names, strict=True) if n == name}) > 1
        }
        names = [
            "/".join(path.parts[-length:]) if path and name in clashes else name for name, path in zip(names, paths, strict=True)
        ]
    return names


def weights_of(checkpoint: Checkpoint | None, module: nn.Module) -> Weights:
    """The weights in a checkpoint, fitted to a module's names, shapes and types; the module's own for None.

    A file may hold a state dict, or a dict with one under `state_dict`, `model_state_dict`, `model`, `net` or `weights`,
    in today's or the legacy format; it is read with `weights_only=True`, so that nothing in it runs.

    Raises:
        InputError: when the file is missing, damaged or holds code, or when a parameter is missing, left over or of another shape
            (the first one is named).
    """
    if checkpoint is None:
        return read(module)
    if isinstance(checkpoint, nn.Module):
        with users_code("the model's state_dict"):
            state: Mapping[str, Any] = unwrap(checkpoint).state_dict()
        place = type(checkpoint).__name__
    elif isinstance(checkpoint, Mapping):
        state, place = checkpoint, "the state dict"
    else:
        place = os.fspath(checkpoint)
        if not place:
            raise InputError('the name of a checkpoint is empty (""); give the path of a file written by torch.save')
        state = _load(Path(place))
    return _fit(_state_dict(state, place), module, place)


def _load(path: Path) -> Mapping[str, Any]:
    if not os.path.exists(path):  # unlike Path.exists, it takes a name that is too long
        raise MissingFileError(f"{path}: no such checkpoint; give the path of a file written by torch.save")
    if not path.is_file():  # a folder, or a pipe that would block
        what = "a folder" if path.is_dir() else "not a file"
        raise InputError(f"{path}: {what}, not a checkpoint; give the path of a file written by torch.save")
    _check_inflation(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of an unusual pickle protocol: what cannot be read is refused below, in one line
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "GLOBAL" in str(error) or ("operand" in str(error) and path.read_bytes()[:1] == pickle.PROTO):
            raise InputError(
                f"{path}: holds pickled code, which is never run; save plain tensors with torch.save(model.state_dict(), path)"
            ) from error
        raise InputError(f"{path}: not a checkpoint, or damaged; write it with torch.save(model.state_dict(), path)") from error
    except PermissionError as error:
        raise InputError(f"{path}: may not be read; check its permissions") from error
    except Exception as error:  # a damaged pickle makes torch stumble in any way; none of it is ours
        raise InputError(f"{path}: not a checkpoint, or truncated; write it again with torch.save") from error
    if not isinstance(loaded, Mapping):
        raise InputError(f"{path}: holds a {type(loaded).__name__}, not a state dict; save model.state_dict()")
    return loaded


def _check_inflation(path: Path) -> None:
    """Refuse a compressed file that says to hold far more than it is long, before any of it is unpacked; torch.save compresses nothing.

    Raises:
        InputError: naming how much it would be.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
        packed = path.stat().st_size
    except Exception:  # torch's other format, or what torch.load refuses in its own words
        return
    if unpacked > max(_HARMLESS, _MOST_INFLATED * packed):
        raise InputError(
            f"{path}: {packed / 2**20:.2g} MiB that would be {unpacked / 2**20:,.0f} MiB unpacked, which no weights shrink to; "
            "write it again with torch.save, which does not compress"
        )


def _state_dict(state: Mapping[str, Any], place: str) -> dict[str, Any]:
    for key in _KEYS:
        inner = state.get(key)
        if isinstance(inner, Mapping) and inner:
            state = inner
            break
    kept = {str(name): value for name, value in state.items() if isinstance(value, Tensor) or str(name).endswith(_EXTRA)}
    if not any(isinstance(value, Tensor) for value in kept.values()):
        raise InputError(f"{place}: holds no tensors by name; save model.state_dict(), alone or under the key state_dict")
    return kept


def _fit(state: dict[str, Any], module: nn.Module, place: str) -> Weights:
    private = copy_module(module)
    with users_code("the model's state_dict"):
        expected = private.state_dict()
    model = type(private).__name__
    own = {strip_prefix(name): name for name in expected}  # a model's own names may begin with module., as averaged models' do
    state = _renamed(state, expected, own, place)
    for name, value in expected.items():
        if name.endswith(_EXTRA):
            if name in state and not _equal(state.pop(name), value):
                raise InputError(
                    f"{place}: {name} is another than that of the model {model}; what modules keep beside their tensors does not move, "
                    "so load the checkpoint into the model first"
                )
            continue
        if name not in state:
            if name.endswith("num_batches_tracked"):
                continue
            raise InputError(f"{place}: lacks {name}, which the model {model} has; is it a checkpoint of another architecture?")
        if isinstance(value, Tensor) and state[name].shape != value.shape:
            raise InputError(
                f"{place}: {name} has shape {tuple(state[name].shape)}, the model {model} wants {tuple(value.shape)}; "
                "is it a checkpoint of another architecture?"
            )
        counts = name.endswith("num_batches_tracked")  # which never counts; averaged checkpoints have fractions there
        if isinstance(value, Tensor) and not counts and not _casts(state[name], value.dtype):
            kinds = " where the model has ".join(str(dtype).removeprefix("torch.") for dtype in (state[name].dtype, value.dtype))
            raise InputError(
                f"{place}: {name} holds {kinds}, and would be altered; save the weights as the model computes with them"
            )
    left_over = next((name for name in state if name not in expected), None)
    if left_over is not None:
        raise InputError(f"{place}: holds {left_over}, which the model {model} lacks; is it a checkpoint of another architecture?")
    with users_code("loading a state dict into the model"):
        try:
            private.load_state_dict(
                {**expected, **state}, strict=False
            )  # names are compared; a module may keep some out of its state
        except RuntimeError as error:
            raise InputError(f"{place}: does not fit the model {model}: {str(error).splitlines()[-1].strip()}") from error
    return read(private)


def _renamed(state: dict[str, Any], expected: Mapping[str, Any], own: Mapping[str, str], place: str) -> dict[str, Any]:
    """A checkpoint's entries by the model's names, wrappers' prefixes left out."""
    found: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for name, value in state.items():
        wanted = name if name in expected else own.get(strip_prefix(name), name)
        if wanted in found:
            raise InputError(f"{place}: holds both {origins[wanted]} and {name}, which are one in the model; save one of them")
        found[wanted], origins[wanted] = value, name
    return found


def _casts(value: Any, dtype: torch.dtype) -> bool:
    """Whether a value can be taken in a type: real for real and complex for complex numbers, others where nothing is lost."""
    if not isinstance(value, Tensor):
        return True
    if value.is_complex() or dtype.is_complex:
        return value.is_complex() and dtype.is_complex
    if dtype.is_floating_point:
        return value.is_floating_point()
    return torch.equal(value.to(dtype).to(value.dtype), value)


def _equal(first: Any, second: Any) -> bool:
    """Whether two things that modules keep are the same; what cannot be compared is not."""
    if isinstance(first, Tensor) and isinstance(second, Tensor):
        return digest({"": first}) == digest({"": second})
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        return first.keys() == second.keys() and all(_equal(first[key], second[key]) for key in first)
    if isinstance(first, list | tuple) and isinstance(second, list | tuple):
        return len(first) == len(second) and all(map(_equal, first, second))
    try:
        equal = first == second
        return bool(equal.all() if hasattr(equal, "all") else equal)
    except Exception:  # whatever an object of the user's makes of it
        return False
