"""Surface files in which something, anything, is another thing: every reader makes what it can of them, or says one line."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from cases import perceptron

import landscape
from landscape import Surface, io, plotting, viewer
from landscape.cli.command import as_json
from landscape.errors import InputError
from landscape.report import compare, describe, tabulate

QUIET = {"quiet": True, "threads": 1, "device": "cpu", "engine": "eager"}
N_DRAWN = 2  # figures take long

VALUES: dict[str, Any] = {
    "text": "abc", "long text": "x" * 60_000, "escape": "\x1b[31m\nx", "bytes": np.bytes_(b"\xff\xfe"), "texts": np.array(["a", "b"], dtype=object),
    "whole": 7, "huge": 2**63 - 1, "unsigned": np.uint64(2**64 - 1), "negative": -5, "zero": 0, "true": True,
    "nan": float("nan"), "inf": float("inf"), "1e308": 1e308, "denormal": 5e-324, "half": np.float16(2), "extended": np.longdouble(2),
    "complex": 1j, "row": np.arange(3.0), "matrix": np.ones((2, 2)), "none": np.zeros(0), "null": h5py.Empty("f8"), "many": np.arange(2000.0),
    "records": np.zeros(2, dtype=[("a", "f8")]),
}  # fmt: skip


def contents(shape: tuple[int, ...], rng: np.random.Generator) -> dict[str, np.ndarray]:
    n = int(np.prod(shape))
    ramp = np.arange(float(n)).reshape(shape)
    return {
        **{name: np.full(shape, value) for name, value in {"nan": np.nan, "inf": np.inf, "-inf": -np.inf, "1e308": 1e308, "denormal": 5e-324, "zero": 0.0, "negative": -1.0}.items()},
        **{str(np.dtype(kind)): np.ones(shape, kind) for kind in ("i1", "f2", ">f8", "bool", "c16", "u8")},
        "far apart": np.where(ramp % 2, 1e308, -1e308), "steep": (ramp - n / 2) * 1e307, "flat": ramp * 5e-324, "ramp": ramp,
        "wild": rng.standard_normal(shape) * 10.0 ** rng.integers(-300, 300, shape),
        "largest": np.full(shape, 2**64 - 1, np.uint64), "least": np.full(shape, -(2**63)), "texts": np.full(shape, "a", dtype=object),
        "a number": np.array(1.0), "none": np.zeros(0), "one": np.zeros(1), "a matrix": np.zeros((2, 2)), "a cube": np.zeros((2, 2, 2)), "one more": np.arange(n + 1.0),
    }  # fmt: skip


Mutation = tuple[str, Callable[[h5py.File], None]]


def mutations(path: Path) -> list[Mutation]:
    """Every attribute by every other value or none, every dataset by other content, every entry gone, moved, copied or another kind."""
    with h5py.File(path) as file:
        found: list[tuple[str, list[str], tuple[int, ...] | None]] = []

        def visit(name: str, item: h5py.Group | h5py.Dataset) -> None:
            own = [attribute for attribute in item.attrs if attribute not in ("DIMENSION_LIST", "REFERENCE_LIST")]
            found.append((name, own, item.shape if isinstance(item, h5py.Dataset) else None))

        visit("/", file)
        file.visititems(visit)
    return [mutation for name, attributes, shape in found for mutation in _of(name, attributes, shape)]


def _of(name: str, attributes: list[str], shape: tuple[int, ...] | None) -> Iterator[Mutation]:
    for attribute in [*attributes, "basin_level", "stranger_unit"]:
        for word, value in VALUES.items():
            yield f"{name}@{attribute}: {word}", lambda file, a=attribute, v=value: file[name].attrs.__setitem__(a, v)
        yield f"{name}@{attribute}: gone", lambda file, a=attribute: file[name].attrs.pop(a, None)
    for word in contents(shape, np.random.default_rng(0)) if shape is not None else ():
        yield f"{name}: {word}", lambda file, w=word: fill(file, name, w)
    if name == "/":
        return
    yield f"{name}: gone", lambda file: file.__delitem__(name)
    yield f"{name}: a group", lambda file: (file.__delitem__(name), file.create_group(name))
    yield f"{name}: an array", lambda file: (file.__delitem__(name), file.create_dataset(name, data=np.zeros(3)))
    yield f"{name}: a link", lambda file: (file.move(name, "elsewhere"), file.__setitem__(name, h5py.SoftLink("/elsewhere")))
    for ending in ("_stderr", "_low", "_stderr_stderr", "_loss", " word", "é", "_", "x" * 300):
        yield f"{name}: and {name}{ending[:9]}", lambda file, e=ending: file.copy(name, name + e)


def fill(file: h5py.File, name: str, word: str) -> None:
    content = contents(file[name].shape, np.random.default_rng(1))[word]
    kept = {
        key: value for key, value in file[name].attrs.items() if key not in ("DIMENSION_LIST", "REFERENCE_LIST", "CLASS", "NAME")
    }
    del file[name]
    made = file.create_dataset(name, data=content, dtype=h5py.string_dtype() if content.dtype == object else None)
    for key, value in kept.items():
        made.attrs[key] = value


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("good")
    landscape.surface(perceptron(), x=(-1, 1, 3), y=(-1, 1, 3), examples=9, save_directions=True, to=folder / "plane.h5", **QUIET)
    landscape.line(perceptron(), x=(-1, 1, 5), split="train,test", to=folder / "line.h5", **QUIET)
    landscape.line(perceptron(), x=(-1, 1, 5), seeds=[3, 1, 2], to=folder / "draws.h5", **QUIET)
    return folder


def one_line(error: InputError) -> None:
    text = str(error)
    assert text
    assert text.isprintable(), text
    assert len(text) < 500, text


def read(path: Path) -> Surface | None:
    try:
        return landscape.read(path)
    except InputError as error:
        one_line(error)
        return None


def use(surface: Surface, path: Path, original: Surface, drawn: bool) -> None:
    """All that reads a surface: words, tables, another file, a page, a comparison, and now and then a figure."""
    for text in (describe(surface), as_json(tabulate(surface))):
        assert "\x1b" not in text
    ways: list[Callable[[], object]] = [
        lambda: io.export(surface, path.with_suffix(".csv"), overwrite=True),
        lambda: io.export(surface, path.with_suffix(".npz"), overwrite=True),
        lambda: landscape.merge([path], path.with_name("merged.h5"), overwrite=True, quiet=True),
        lambda: landscape.merge([path, path.with_name("original.h5")], quiet=True),
        lambda: viewer.write_page([surface], path.with_suffix(".html")),
        lambda: io.read_directions(path),
        lambda: compare(original, surface),
    ]
    if drawn:
        ways += [
            lambda log=log: plotting.save(plotting.figure([surface], log=log), path.with_suffix(".png")) for log in (False, True)
        ]  # type: ignore[misc]
    for way in ways:
        try:
            way()
        except InputError as error:
            one_line(error)


@pytest.mark.parametrize("n_mutations", [40, pytest.param(1000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", ["plane", "line", "draws"])
def test_whatever_a_file_holds_it_is_used_or_refused_in_one_line(good: Path, tmp_path: Path, name: str, n_mutations: int) -> None:
    """The same mutations in every run; a word of numpy's on standard error would be a second line."""
    path, original = tmp_path / "bad.h5", landscape.read(good / f"{name}.h5")
    content = (good / f"{name}.h5").read_bytes()
    (tmp_path / "original.h5").write_bytes(content)
    chosen = random.Random(name).sample(mutations(good / f"{name}.h5"), n_mutations)
    wrong: list[str] = []
    drawn, n_read = N_DRAWN * n_mutations // 40, 0
    for what, change in chosen:
        path.write_bytes(content)
        try:
            with h5py.File(path, "r+") as file:
                change(file)
        except (OSError, TypeError, ValueError, RuntimeError, KeyError):  # nothing that HDF5 would hold
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            try:
                surface = read(path)
                if surface is not None:
                    n_read += 1
                    use(surface, path, original, drawn > 0)
                    drawn -= 1
            except Exception as error:
                wrong.append(f"{what}: {type(error).__name__}: {str(error)[:200]}")
    assert not wrong, "\n".join(wrong)
    assert n_mutations / 10 < n_read < n_mutations  # some were used, some refused
