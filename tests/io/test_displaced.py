"""Files that are replaced, removed or written over while a sweep writes them, and disks that fill up: nothing measured is lost."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from cases import CORNERS, coordinates

import landscape
from landscape import Surface, atomic
from landscape.errors import InputError, RunError
from landscape.io import FileWriter

QUIET = {"quiet": True, "threads": 1, "device": "cpu", "engine": "eager"}
WHOLE = np.add.outer(100 * np.arange(4.0), np.arange(3.0))


def plane(to: Path | str | None, function: Callable[..., float] = lambda a, b: 100 * a + b, **options: Any) -> Surface:
    return landscape.surface(coordinates(function)[0], *CORNERS, x=(0, 3, 4), y=(0, 2, 3), to=to, **{**QUIET, **options})


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every point is on the disk before the next one begins."""
    record = FileWriter.record
    monkeypatch.setattr(FileWriter, "record", lambda self, points: record(self, points, 0))


def meanwhile(deed: Callable[[], object], place: tuple[float, float] = (2, 1)) -> Callable[..., float]:
    """A loss in whose middle something happens to the file, once, and before it is looked at again."""
    left = [deed]

    def function(a: float, b: float) -> float:
        if (a, b) == place and left:
            left.pop()()
        return 100 * a + b

    return function


OTHER = Path(__file__).parents[1] / "data" / "files" / "plane-0.1.0.h5"


def replace_by_another(path: Path) -> None:
    shutil.copyfile(OTHER, path.with_name("other.h5"))
    path.with_name("other.h5").rename(path)


DEEDS: dict[str, Callable[[Path], object]] = {
    "removed": lambda path: path.unlink(),
    "moved away": lambda path: path.rename(path.with_name("elsewhere.h5")),
    "replaced by a surface": replace_by_another,
    "replaced by a text": lambda path: (path.unlink(), path.write_text("mine now")),
    "replaced by a folder": lambda path: (path.unlink(), path.mkdir()),
    "written over by a surface": lambda path: shutil.copyfile(OTHER, path),
    "written over by a text": lambda path: path.write_text("mine now"),
    "emptied": lambda path: os.truncate(path, 0),
}


@pytest.mark.parametrize("deed", DEEDS)
def test_what_cannot_be_stored_is_stored_beside(tmp_path: Path, deed: str) -> None:
    path, rescued = tmp_path / "s.h5", tmp_path / "s.rescued-1.h5"
    left: list[bytes | None] = []

    def happens() -> None:
        path.chmod(0o640)
        DEEDS[deed](path)
        left.append(path.read_bytes() if path.is_file() else None)

    with pytest.raises(
        RunError, match=r"s\.h5: was (removed|replaced) by .*; all that was measured is in .*s\.rescued-1\.h5$"
    ) as raised:
        plane(path, meanwhile(happens))
    assert "\n" not in str(raised.value)
    assert np.array_equal(landscape.read(rescued).values["train_loss"], WHOLE)
    assert landscape.read(rescued).complete
    assert landscape.read(rescued).runs[-1]["points"] == 12
    assert (path.read_bytes() if path.is_file() else None) == left[0]
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]


def test_a_copy_laid_over_it_is_noticed_in_the_end(tmp_path: Path) -> None:
    """An older state of the very same file, of the same size: only its values tell."""
    path = tmp_path / "s.h5"

    def restore() -> None:
        content = bytearray(path.read_bytes())
        with h5py.File(path, "r", locking=False) as file:
            offset = file["values/train_loss"].id.get_offset()
        content[offset : offset + 96] = np.full(12, -7.0).tobytes()
        path.write_bytes(content)

    with pytest.raises(RunError, match="was written over by another program"):
        plane(path, meanwhile(restore))
    assert np.array_equal(landscape.read(tmp_path / "s.rescued-1.h5").values["train_loss"], WHOLE)


def test_the_name_of_an_earlier_rescue_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "s.rescued-1.h5").write_text("of an earlier run")
    with pytest.raises(RunError, match=r"s\.rescued-2\.h5"):
        plane(tmp_path / "s.h5", meanwhile((tmp_path / "s.h5").unlink))
    assert (tmp_path / "s.rescued-1.h5").read_text() == "of an earlier run"
    assert landscape.read(tmp_path / "s.rescued-2.h5").complete


def test_what_was_private_stays_private(tmp_path: Path) -> None:
    plane(tmp_path / "s.h5", time_limit=0)
    (tmp_path / "s.h5").chmod(0o600)
    with pytest.raises(RunError, match="rescued-1"):
        plane(tmp_path / "s.h5", meanwhile((tmp_path / "s.h5").unlink))
    assert stat.S_IMODE((tmp_path / "s.rescued-1.h5").stat().st_mode) == 0o600


def test_where_the_folder_is_gone_the_current_one_takes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(RunError, match=r"was removed .* is in .*here/s\.rescued-1\.h5"):
        plane(tmp_path / "runs" / "s.h5", meanwhile(lambda: shutil.rmtree(tmp_path / "runs")))
    assert landscape.read("s.rescued-1.h5").complete


def test_an_interrupted_run_that_lost_its_file_keeps_its_points(tmp_path: Path) -> None:
    def gone_and_ctrl_c() -> None:
        (tmp_path / "s.h5").unlink()
        raise KeyboardInterrupt

    with pytest.raises(RunError, match="rescued-1"):
        plane(tmp_path / "s.h5", meanwhile(gone_and_ctrl_c))
    partial = landscape.read(tmp_path / "s.rescued-1.h5")
    done = partial.done["train_loss"]
    assert 0 < done.sum() < 12
    assert np.array_equal(partial.values["train_loss"][done], WHOLE[done])


def surface_command(problem: str) -> list[str]:
    for name, corner in zip("abc", CORNERS, strict=True):
        torch.save(corner, f"{name}.pt")
    return f"surface {problem} a.pt b.pt c.pt --x 0:3:4 --y 0:2:3 -o s.h5 --quiet".split()


def test_the_command_says_so_in_one_line(tmp_path: Path, command: Any, factory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    problem = factory(
        """
        import os
        def function(a, b):
            if (a, b) == (3.0, 1.0) and os.path.exists("s.h5"):
                os.unlink("s.h5")
            return a * a + b * b
        return cases.coordinates(function)[0]
        """
    )
    outcome = command(*surface_command(problem))
    assert outcome.code == 1, outcome
    assert outcome.out == ""
    assert len(outcome.err.splitlines()) == 1
    assert outcome.err.startswith("landscape: s.h5: was removed by another program")
    assert landscape.read("s.rescued-1.h5").complete


# --- between reading and writing ---


@pytest.mark.parametrize("deed", ["removed", "replaced by a surface", "replaced by a text", "written over by a text"])
def test_a_file_that_others_touch_before_the_first_point_is_left_alone(tmp_path: Path, deed: str) -> None:
    path = tmp_path / "s.h5"
    plane(path, time_limit=0)
    left: list[bytes | None] = []

    def happens() -> None:
        DEEDS[deed](path)
        left.append(path.read_bytes() if path.exists() else None)

    with pytest.raises(InputError, match="was changed by another program since this run began; nothing was written"):
        plane(path, meanwhile(happens, (0, 0)))  # where the self-check looks first
    assert (path.read_bytes() if path.exists() else None) == left[0]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_file_that_appears_before_the_first_point_is_left_alone(tmp_path: Path, overwrite: bool) -> None:
    path = tmp_path / "s.h5"
    with pytest.raises(InputError, match="was changed by another program"):
        plane(path, meanwhile(lambda: path.write_text("mine"), (0, 0)), overwrite=overwrite)
    assert path.read_text() == "mine"


# --- disks that take nothing more ---


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_disk_that_fills_up_before_the_last_rewrite_keeps_every_value(
    tmp_path: Path, command: Any, factory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    problem = factory("return cases.coordinates(lambda a, b: a * a + b * b)[0]")
    words = surface_command(problem)
    finish = FileWriter.finish

    def late(self: FileWriter, *content: Any) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(Path, "write_bytes", full)
            finish(self, *content)

    with monkeypatch.context() as patch:
        patch.setattr(FileWriter, "finish", late)
        outcome = command(*words)
    assert outcome.code == 1
    assert len(outcome.err.splitlines()) == 1
    for word in ("s.h5", "every value is in it", "the disk is full", "run the same command again"):
        assert word in outcome.err
    assert landscape.read("s.h5").complete
    assert [name for name in os.listdir() if "s.h5" in name] == ["s.h5"]
    assert command(*words).code == 0
    assert landscape.read("s.h5").runs[-1]["points"] == 0


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE])
def test_a_disk_that_takes_no_more_points_is_one_line_and_they_are_beside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    write = FileWriter._write

    def failing(self: FileWriter, pending: Any) -> None:
        if self.path.name == "s.h5" and any(index == (2, 1) for _, index, _ in pending):
            raise OSError(number, os.strerror(number))
        write(self, pending)

    monkeypatch.setattr(FileWriter, "_write", failing)
    with pytest.raises(RunError, match=r"s\.h5: cannot be written any more \(.*\); all that was measured is in .*rescued-1"):
        plane(tmp_path / "s.h5")
    assert np.array_equal(landscape.read(tmp_path / "s.rescued-1.h5").values["train_loss"], WHOLE)
    before = landscape.read(tmp_path / "s.h5")
    done = before.done["train_loss"]
    assert 0 < done.sum() < 12
    assert np.array_equal(before.values["train_loss"][done], WHOLE[done])
    assert plane(tmp_path / "s.h5", time_limit=0).done["train_loss"].sum() == done.sum()  # and can be gone on with


def test_where_nothing_beside_can_be_written_either_the_file_keeps_what_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = FileWriter._write

    def failing(self: FileWriter, pending: Any) -> None:
        if any(index == (2, 1) for _, index, _ in pending):
            monkeypatch.setattr(Path, "write_bytes", full)
            full()
        write(self, pending)

    monkeypatch.setattr(FileWriter, "_write", failing)
    with pytest.raises(
        RunError, match=r"cannot be written any more \(the disk is full\), nor any file beside it .*disk is full"
    ) as raised:
        plane(tmp_path / "s.h5")
    assert "\n" not in str(raised.value)
    monkeypatch.undo()
    done = landscape.read(tmp_path / "s.h5").done["train_loss"]
    assert 0 < done.sum() < 12
    assert os.listdir(tmp_path) == ["s.h5"]
    assert plane(tmp_path / "s.h5").complete


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 128 kB, which only root can make."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", folder], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no small disk to fill can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_real_disk_that_fills_up(small_disk: Path) -> None:
    def fill() -> None:
        with open(small_disk / "filler", "wb", buffering=0) as filler, suppress(OSError):
            while True:
                filler.write(bytes(1024))

    with pytest.raises(
        RunError, match=r"every value is in it, but its last checks and numbers could not be written \(the disk is full"
    ):
        plane(small_disk / "s.h5", meanwhile(fill))
    assert np.array_equal(landscape.read(small_disk / "s.h5").values["train_loss"], WHOLE)
    (small_disk / "filler").unlink()
    again = plane(small_disk / "s.h5")
    assert again.runs[-1]["points"] == 0
    assert atomic.check_target(small_disk / "s.h5")
