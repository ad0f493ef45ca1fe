"""Places that cannot be written to: missing, taken, full, or no place for a file at all."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

WRITERS = {
    "line": ("line small_problems:net a.pt --x -1:1:3 -o {}", ".h5"),
    "surface": ("surface small_problems:net a.pt --x -1:1:3 --y -1:1:3 -o {}", ".h5"),
    "plot": ("plot plane.h5 -o {}", ".png"),
    "view": ("view plane.h5 -o {}", ".html"),
    "export": ("export plane.h5 -o {}", ".csv"),
    "export mesh": ("export plane.h5 -o {}", ".vtp"),
    "import": ("import theirs.h5 -o {}", ".h5"),
}
TAKERS = {name: writer for name, writer in WRITERS.items() if name not in ("line", "surface")}  # these two resume


@pytest.fixture(autouse=True)
def theirs(here: Path) -> None:
    with h5py.File("theirs.h5", "w") as file:
        file["xcoordinates"], file["train_loss"] = np.linspace(-1, 1, 3), np.ones(3)


@pytest.mark.parametrize("writer", WRITERS)
def test_folder_that_is_missing(refuse, writer):
    words, extension = WRITERS[writer]
    refuse(words.format(f"gone/out{extension}"), "gone", "does not exist", "create it")


@pytest.mark.parametrize("writer", WRITERS)
def test_folder_that_is_a_file(refuse, writer):
    words, extension = WRITERS[writer]
    refuse(words.format(f"a.pt/out{extension}"), "a.pt", "not a folder")


@pytest.mark.parametrize("writer", WRITERS)
def test_output_that_is_a_folder(here, refuse, writer):
    words, extension = WRITERS[writer]
    Path(f"out{extension}").mkdir()
    refuse(words.format(f"out{extension}"), f"out{extension}", "folder")
    refuse(words.format(f"out{extension}") + " --overwrite", f"out{extension}", "folder")


@pytest.mark.parametrize("writer", WRITERS)
def test_folder_that_may_not_be_written(refuse, monkeypatch, writer):
    words, extension = WRITERS[writer]
    granted = os.access
    monkeypatch.setattr(os, "access", lambda path, mode, **more: mode != os.W_OK and granted(path, mode, **more))
    refuse(words.format(f"out{extension}"), f"out{extension}", "not writable")


EVERY_WRITER = {
    **WRITERS,
    "merge": ("merge line.h5 -o {}", ".h5"),
    "animate": ("animate plane.h5 -o {}", ".gif"),
}


@pytest.mark.parametrize("overwrite", ["", " --overwrite"])
@pytest.mark.parametrize("writer", EVERY_WRITER)
def test_name_that_is_none(refuse, writer, overwrite):
    words, extension = EVERY_WRITER[writer]
    Path(f"loop{extension}").symlink_to(f"loop{extension}")
    Path(f"dangling{extension}").symlink_to(f"gone{extension}")
    refuse(words.format("''") + overwrite, "-o/--out", "is empty")
    refuse(words.format(f"out{extension}/") + overwrite, f"out{extension}/", "names a folder")
    refuse(words.format(f"loop{extension}") + overwrite, f"loop{extension}", "loop", "another name")
    refuse(
        words.format(f"dangling{extension}") + overwrite, f"dangling{extension}", f"gone{extension}", "not there", "another name"
    )


def test_folder_that_is_none(refuse):
    words = "demo --out {}"
    Path("loop").symlink_to("loop")
    Path("dangling").symlink_to("gone")
    refuse(words.format("''"), "--out", "is empty")
    refuse(words.format("loop"), "loop", "cannot be created", "round in a loop")
    refuse(words.format("dangling"), "dangling", "cannot be created", "gone", "not there")
    refuse(words.format("a.pt"), "a.pt", "cannot be created", "is a file")
    refuse(words.format("a.pt/inner"), "a.pt", "cannot be created")
    refuse(words.format("x" * 300), "cannot be created", "too long")
    refuse("train digits-mlp-1x4 --epochs 1 --out ''", "--out", "is empty")
    refuse("train digits-mlp-1x4 --epochs 1 --out dangling", "dangling", "cannot be created", "gone")


@pytest.mark.parametrize("writer", EVERY_WRITER)
def test_link_to_a_file_is_written_through(here, run, writer):
    words, extension = EVERY_WRITER[writer]
    Path("far").mkdir()
    Path(f"far/out{extension}").write_bytes(b"somebody's work")
    Path(f"link{extension}").symlink_to(f"far/out{extension}")
    words = words.replace("plane.h5", "plane.h5 --frames 2") if writer == "animate" else words
    assert run(words.format(f"link{extension}") + " --overwrite").code == 0
    assert Path(f"link{extension}").is_symlink()
    assert [path.name for path in Path("far").iterdir()] == [f"out{extension}"]
    assert Path(f"far/out{extension}").read_bytes() not in (b"somebody's work", b"")


@pytest.mark.parametrize("writer", WRITERS)
def test_folder_where_no_file_can_be_made(refuse, writer):
    """/proc is a folder that even root can make no file in."""
    if not Path("/proc/self").is_dir():
        pytest.skip("no /proc here")
    words, extension = WRITERS[writer]
    refuse(words.format(f"/proc/out{extension}"), f"/proc/out{extension}", "written")


@pytest.mark.parametrize("writer", WRITERS)
def test_name_too_long(refuse, writer):
    words, extension = WRITERS[writer]
    refuse(words.format("x" * 300 + extension), "too long", "another name")


@pytest.mark.parametrize("writer", WRITERS)
def test_longest_name_is_no_trouble(run, here, writer):
    words, extension = WRITERS[writer]
    name = "x" * (255 - len(extension)) + extension
    assert run(words.format(name)).code == 0
    assert Path(name).is_file()


@pytest.mark.parametrize("writer", TAKERS)
def test_output_that_exists(here, refuse, run, writer):
    words, extension = WRITERS[writer]
    Path(f"out{extension}").write_bytes(b"somebody's work")
    refuse(words.format(f"out{extension}"), f"out{extension}", "exists", "--overwrite")
    assert run(words.format(f"out{extension}") + " --overwrite").code == 0
    assert Path(f"out{extension}").read_bytes() != b"somebody's work"


@pytest.mark.parametrize("words", ["plot line.h5", "view line.h5"])
def test_default_output_that_exists(here, refuse, words):
    Path("line.png").write_bytes(b"somebody's work")
    Path("line.html").write_bytes(b"somebody's work")
    refuse(words, "exists", "--overwrite")


@pytest.mark.parametrize("overwrite", ["", " --overwrite"])
@pytest.mark.parametrize("writer", ["line", "import"])
def test_output_that_is_no_file(here, refuse, writer, overwrite):
    """Renaming over a device would replace it: as root, /dev/null for everybody."""
    os.mkfifo("pipe.h5")
    refuse(WRITERS[writer][0].format("pipe.h5") + overwrite, "pipe.h5", "not a file")


@pytest.mark.parametrize(
    "words",
    [
        "line small_problems:net a.pt --x -1:1:3 -o a.pt --overwrite",
        "line small_problems:net a.pt b.pt --x -1:1:3 -o ./b.pt --overwrite",
        "surface small_problems:net a.pt b.pt c.pt -o c.pt --overwrite",
        "line small_problems:net a.pt --x -1:1:3 --directions plane.h5 -o plane.h5 --overwrite",
        "import theirs.h5 -o theirs.h5 --overwrite",
    ],
)
def test_output_that_is_the_input(refuse, words):
    refuse(words, "input", "another name")


def test_file_that_may_not_be_written(here, refuse, monkeypatch):
    granted = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: not (mode == os.W_OK and Path(path).is_file()) and granted(path, mode))
    refuse("line small_problems:net a.pt --x -1:1:5 -o line.h5", "line.h5", "read-only")


@pytest.fixture(scope="module")
def full_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A disk of a few kilobytes, which only root can make."""
    folder = tmp_path_factory.mktemp("disk")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", folder], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no small disk to fill can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture
def disk(full_disk: Path) -> Iterator[Path]:
    yield full_disk
    for path in full_disk.iterdir():
        path.unlink()


@pytest.mark.parametrize("writer", WRITERS)
def test_disk_that_is_full(here, refuse, disk, everything, writer):
    """Nothing stays, and what was there is as it was."""
    words, extension = WRITERS[writer]
    old = disk / f"out{extension}"
    if writer not in ("line", "surface"):
        old.write_bytes(b"somebody's work")
        words += " --overwrite"
    (disk / "filler").write_bytes(bytes(9000))
    before = everything(disk)
    refuse(words.format(old), f"out{extension}", "full", "free some space")
    assert everything(disk) == before


def test_disk_that_fills_up_while_a_process_ends(here, disk, one_line):
    """In a process of its own: HDF5 must not have the last word when Python leaves."""
    (disk / "filler").write_bytes(bytes(9000))
    words = [sys.executable, "-c", "import sys; from landscape.cli import main; sys.exit(main())"]
    words += ["line", "small_problems:net", "a.pt", "--x", "-1:1:3", "-o", str(disk / "out.h5")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, capture_output=True, text=True, env=environment, timeout=120)
    assert (done.returncode, done.stdout) == (2, "")
    one_line(done.stderr, "out.h5", "full")
    assert [path.name for path in disk.iterdir()] == ["filler"]


@pytest.mark.parametrize("words", ["train digits-mlp-1x4 --epochs 1 --out {}"])
def test_training_on_a_full_disk(here, run, disk, words, one_line):
    (disk / "filler").write_bytes(bytes(12000))
    outcome = run(words.format(disk / "run") + " --quiet")
    assert outcome.code == 2
    one_line(outcome.err, "full", "free some space")
    for path in sorted(disk.rglob("run*/*")):
        path.unlink()
    (disk / "run").rmdir()


def test_training_whose_disk_fills_up_is_a_run_that_failed(run, monkeypatch, one_line):
    """Exit 1, and what is there is gone on with."""
    write = Path.write_bytes

    def full(path, content):
        if path.name.startswith(".epoch_002"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(path, content)

    words = "train digits-mlp-1x4 --epochs 3 --out run --quiet"
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        outcome = run(words)
    assert outcome.code == 1
    one_line(outcome.err, "epoch_002.pt", "full", "epoch_001.pt is there", "again to resume")
    assert run(words).code == 0
