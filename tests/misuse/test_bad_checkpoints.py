"""Checkpoints that cannot be used."""

from __future__ import annotations

import copy
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import small_problems
import torch

LINE = "line small_problems:net {} --x -1:1:3 -o out.h5"


class Payload:
    """What a hostile pickle does when it is loaded."""

    def __reduce__(self):
        return os.mkdir, ("ran",)


def damage(name: str) -> None:
    """Write bad.pt, bad in the way named."""
    state = small_problems.make_net().state_dict()
    path = Path("bad.pt")
    if name == "empty":
        path.write_bytes(b"")
    elif name == "text":
        path.write_text("epoch,loss\n1,0.5\n" * 50)
    elif name == "picture":
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4)
    elif name == "noise":
        path.write_bytes(np.random.default_rng(0).bytes(4096))
    elif name == "folder":
        path.mkdir()
    elif name == "pipe":
        os.mkfifo(path)
    elif name.startswith("truncated"):
        torch.save(state, path, _use_new_zipfile_serialization=name == "truncated zip")
        content = path.read_bytes()
        path.write_bytes(content[: len(content) * 2 // 3])
    elif name == "pickle with code":
        path.write_bytes(pickle.dumps(Payload()))
    elif name == "checkpoint with code":
        torch.save({"state_dict": state, "extra": Payload()}, path)
    elif name == "legacy checkpoint with code":
        torch.save({"state_dict": state, "extra": Payload()}, path, _use_new_zipfile_serialization=False)
    elif name == "whole module":
        torch.save(small_problems.make_net(), path)
    elif name == "tensor":
        torch.save(torch.zeros(3), path)
    elif name == "dict of numbers":
        torch.save({"epoch": 3, "loss": 0.5}, path)
    elif name == "empty dict":
        torch.save({}, path)
    elif name == "list under state_dict":
        torch.save({"state_dict": list(state.values())}, path)
    elif name == "wrong shape":
        torch.save({**state, "norm.running_mean": torch.zeros(5)}, path)
    elif name == "too little":
        torch.save({key: value for key, value in state.items() if key != "last.weight"}, path)
    elif name == "too much":
        torch.save({**state, "extra.weight": torch.zeros(2)}, path)
    else:
        raise ValueError(name)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("empty", ["not a checkpoint", "torch.save"]),
        ("text", ["not a checkpoint", "torch.save"]),
        ("picture", ["not a checkpoint", "torch.save"]),
        ("noise", ["not a checkpoint", "torch.save"]),
        ("folder", ["folder"]),
        ("pipe", ["not a file"]),
        ("truncated zip", ["truncated", "torch.save"]),
        ("truncated legacy", ["not a checkpoint", "torch.save"]),
        ("pickle with code", ["code", "never run", "state_dict"]),
        ("checkpoint with code", ["code", "never run", "state_dict"]),
        ("legacy checkpoint with code", ["code", "never run", "state_dict"]),
        ("whole module", ["code", "never run", "state_dict"]),
        ("tensor", ["Tensor", "state_dict"]),
        ("dict of numbers", ["no tensors", "state_dict"]),
        ("empty dict", ["no tensors", "state_dict"]),
        ("list under state_dict", ["no tensors", "state_dict"]),
        ("wrong shape", ["norm.running_mean", "(5,)", "(8,)", "architecture"]),
        ("too little", ["lacks last.weight", "architecture"]),
        ("too much", ["extra.weight", "architecture"]),
    ],
)
def test_bad_checkpoint(here, refuse, name, says):
    damage(name)
    refuse(LINE.format("bad.pt"), "bad.pt", *says)
    assert not Path("ran").exists()


@pytest.mark.parametrize(
    "words", ["line {p} a.pt gone.pt", "line {p} gone.pt", "surface {p} gone.pt", "surface {p} a.pt b.pt gone.pt"]
)
def test_missing_checkpoint(refuse, words):
    refuse(words.format(p="small_problems:net") + " -o out.h5", "gone.pt", "no such checkpoint")


def test_second_checkpoint_is_looked_at_too(here, refuse):
    damage("checkpoint with code")
    refuse("line small_problems:net a.pt bad.pt -o out.h5", "bad.pt", "never run")
    assert not Path("ran").exists()


@pytest.mark.parametrize(("problem", "first"), [("wider", "first.weight has shape (8, 4)"), ("deeper", "lacks 0.first.weight")])
def test_other_architecture_names_the_first_parameter_that_differs(refuse, problem, first):
    refuse(f"line small_problems:{problem} a.pt -o out.h5", "a.pt", first, "another architecture")


def test_checkpoint_that_may_not_be_read(refuse, here, monkeypatch):
    def forbid(*arguments, **options):
        raise PermissionError(13, "Permission denied", "a.pt")

    monkeypatch.setattr(torch, "load", forbid)  # root may read everything, so that chmod would not show it
    refuse(LINE.format("a.pt"), "a.pt", "permissions")


def test_name_too_long_for_any_disk(refuse):
    refuse(LINE.format("x" * 300), "no such checkpoint")


def test_payload_would_run(here):
    """The test of the test: the payload does what it says, given the chance."""
    damage("pickle with code")
    pickle.loads(Path("bad.pt").read_bytes())
    assert Path("ran").is_dir()


def zipped(path: Path, changes: dict[str, int], compression: int = zipfile.ZIP_DEFLATED, names: int = 1) -> None:
    """a.pt packed again, compressed; some members hold so many MiB of zeros instead, under several names that share one place."""
    with zipfile.ZipFile("a.pt") as old, zipfile.ZipFile(path, "w", compression) as new:
        for member in old.infolist():
            suffix = member.filename.partition("/")[2]
            with new.open(member.filename, "w", force_zip64=True) as file:
                if suffix in changes:
                    for _ in range(changes[suffix]):
                        file.write(bytes(2**20))
                else:
                    file.write(old.read(member))
            if suffix in changes:
                for k in range(1, names):
                    twin = copy.copy(new.filelist[-1])
                    twin.filename = f"{twin.filename}{k}"
                    new.filelist.append(twin)


@pytest.mark.parametrize(
    ("changes", "names", "compression"),
    [
        ({"data/0": 70}, 1, zipfile.ZIP_DEFLATED),
        ({"data.pkl": 70}, 1, zipfile.ZIP_DEFLATED),
        ({"data/0": 7}, 10, zipfile.ZIP_DEFLATED),
        ({"data/1": 70}, 1, zipfile.ZIP_BZIP2),
    ],
)
def test_a_checkpoint_that_would_inflate_is_refused_before_it_is_unpacked(here, refuse, monkeypatch, changes, names, compression):
    zipped(Path("bad.pt"), changes, compression, names)
    assert Path("bad.pt").stat().st_size < 2**18
    monkeypatch.setattr(torch, "load", lambda path, **options: pytest.fail("it is unpacked"))
    refuse(LINE.format("bad.pt"), "bad.pt", "70 MiB unpacked", "torch.save")


def test_a_checkpoint_that_was_compressed_is_read(here, run):
    zipped(Path("packed.pt"), {})
    assert run(LINE.format("packed.pt")).code == 0
    assert run("line small_problems:net a.pt --x -1:1:3 -o whole.h5").code == 0
    assert run("diff out.h5 whole.h5").code == 0


@pytest.mark.parametrize("places", [slice(-22, None), slice(-300, -22), slice(0, 60)])
def test_a_zip_file_with_a_damaged_directory_is_refused(here, refuse, places):
    content = bytearray(Path("a.pt").read_bytes())
    n = len(content[places])
    content[places] = np.random.default_rng(0).bytes(n)
    Path("bad.pt").write_bytes(content)
    refuse(LINE.format("bad.pt"), "bad.pt", "torch.save")
