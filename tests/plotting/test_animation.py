"""Films, read back frame by frame; ffmpeg is played by a program that keeps what it is given, where it is about the frames."""

from __future__ import annotations

import ast
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from mpl_toolkits.mplot3d import Axes3D
from PIL import Image

from landscape.core.surface import Point, Surface
from landscape.errors import InputError, RunError
from landscape.plotting import animate

# What other tests of this process left to the collector is no warning of a figure.
pytestmark = pytest.mark.filterwarnings("error", "ignore::pytest.PytestUnraisableExceptionWarning")
Make = Callable[..., Surface]
X = np.linspace(-1, 1, 6)


def bowl(plane: Make, factor: float = 1.0, name: str = "net") -> Surface:
    points = (Point("net", (0.2, 0.2), {"train_loss": factor}),)
    return plane(X, X, lambda x, y: factor * (1 + x * x + 2 * y * y), name=name, points=points)


def frames(path: Path) -> list[np.ndarray]:
    with Image.open(path) as film:
        found = []
        for number in range(film.n_frames):
            film.seek(number)
            found.append(np.asarray(film.convert("RGB")))
    return found


def test_one_surface_turns_once(plane: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    views: list[tuple[float, float]] = []
    before = Axes3D.draw

    def watch(axes: Any, renderer: Any) -> None:
        views.append((axes.elev, axes.azim))
        before(axes, renderer)

    monkeypatch.setattr(Axes3D, "draw", watch)
    told: list[tuple[int, int]] = []
    path = animate(bowl(plane), tmp_path / "turn.gif", style="paper", camera=(30.0, -60.0), n_frames=4, fps=10,
                   follow=lambda done, total: told.append((done, total)))  # fmt: skip
    seen = frames(path)
    assert len(seen) == 4
    assert all((one != other).any() for i, one in enumerate(seen) for other in seen[:i])
    assert {frame.shape for frame in seen} == {seen[0].shape}
    turned = list(dict.fromkeys((elevation, azimuth % 360) for elevation, azimuth in views))
    assert turned == [(30.0, 300.0), (30.0, 30.0), (30.0, 120.0), (30.0, 210.0)]
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    with Image.open(path) as film:
        assert film.info["duration"] == 100
        assert film.info["loop"] == 0
    assert [entry.name for entry in tmp_path.iterdir()] == ["turn.gif"]
    for frame in seen:
        assert (frame[:3, :3] == 255).all()  # white stays white
        bar = frame[:, -90:]  # what does not turn does not tremble
        assert (np.abs(bar.astype(int) - seen[0][:, -90:]) <= 60).all()


def test_several_surfaces_are_frames_on_one_scale_under_one_camera(
    plane: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[tuple[str, tuple[float, ...], float, float]] = []
    before = Axes3D.draw

    def watch(axes: Any, renderer: Any) -> None:
        drawn.append((axes.get_title(), axes.get_zlim(), axes.elev, axes.azim))
        before(axes, renderer)

    monkeypatch.setattr(Axes3D, "draw", watch)
    several = [bowl(plane, factor, f"epoch {number}") for number, factor in enumerate((3.0, 2.0, 1.0))]
    path = animate(several, tmp_path / "training.gif", style="paper")
    assert len(frames(path)) == 3
    assert list(dict.fromkeys(title for title, *_ in drawn)) == ["epoch 0", "epoch 1", "epoch 2"]
    assert len({rest for _, *rest in map(tuple, ((t, (z, e, a)) for t, z, e, a in drawn)) for rest in rest}) == 1
    assert drawn[0][1][1] == 12.0  # the highest of all: 3 · 4
    with Image.open(path) as film:
        assert film.info["duration"] == 500


def test_equal_films_are_equal_files(plane: Make, tmp_path: Path) -> None:
    one, other = (animate(bowl(plane), tmp_path / f"{number}.gif", style="paper", n_frames=3) for number in (1, 2))
    assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"to": "film.avi"}, 'unknown extension ".avi"; it has to be one of .gif, .mp4'),
        ({"n_frames": 1}, "^1 frame makes no turn; pass 2 to 3600"),
        ({"n_frames": 0}, "^0 frames make no turn"),
        ({"fps": 0.0}, "0 frames a second cannot be shown"),
        ({"fps": float("nan")}, "nan frames a second cannot be shown"),
        ({"to": "missing/film.gif"}, "does not exist"),
        ({"clip": 0.5}, "leaves nothing to draw"),
        ({"style": "poster"}, "unknown style"),
    ],
)
def test_what_makes_no_film_is_refused_in_one_line(plane: Make, tmp_path: Path, options: dict[str, Any], words: str) -> None:
    options = {"to": "film.gif", **options}
    with pytest.raises(InputError, match=words) as error:
        animate(bowl(plane), tmp_path / options.pop("to"), **options)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_several_surfaces_have_no_number_of_frames(plane: Make, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="of 2 surfaces each is a frame"):
        animate([bowl(plane)] * 2, tmp_path / "film.gif", n_frames=7)


def test_an_mp4_without_ffmpeg_is_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Callable[..., Any]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    outcome = command(*f"animate {tmp_path}/missing.h5 -o {tmp_path}/film.mp4".split())
    assert outcome.code == 2
    assert "an .mp4 needs the program ffmpeg, which is not on the path; install it" in outcome.err
    assert "or name a .gif" in outcome.err
    assert outcome.err.count("\n") == 1


PLAYER = """#!{python}
import sys
content = sys.stdin.buffer.read()
open(sys.argv[-1], "wb").write(repr(sys.argv[1:-1]).encode() + b"\\n" + content)
{end}
"""


def player(folder: Path, end: str = "") -> str:
    """A program that takes the place of ffmpeg: the file it writes is what it was asked, and all it was sent."""
    program = folder / "ffmpeg"
    program.write_text(PLAYER.format(python=sys.executable, end=end))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return str(program)


def test_ffmpeg_is_sent_every_frame_and_no_date(plane: Make, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    with matplotlib.rc_context({"animation.ffmpeg_path": player(tmp_path / "bin")}):  # the reader's own setting counts
        path = animate(bowl(plane), tmp_path / "film.mp4", style="paper", n_frames=3)
    asked, _, content = path.read_bytes().partition(b"\n")
    words = ast.literal_eval(asked.decode())
    width, height = map(int, words[words.index("-s") + 1].split("x"))
    assert len(content) == 3 * width * height * 4
    sent = np.frombuffer(content, np.uint8).reshape(3, height, width, 4)
    assert (sent[0] != sent[1]).any()
    assert (sent[1] != sent[2]).any()
    assert words[words.index("-map_metadata") + 1] == "-1"
    assert words[-2:] == ["mp4", "-y"] or "mp4" in words[-3:]  # not by the extension: the file has another name until it is whole
    assert [entry.name for entry in tmp_path.iterdir() if entry.is_file()] == ["film.mp4"]


def test_an_ffmpeg_that_fails_is_one_line_and_no_file(plane: Make, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    end = "sys.stderr.write('Unknown encoder h264\\n'); sys.exit(1)"
    with (
        matplotlib.rc_context({"animation.ffmpeg_path": player(tmp_path / "bin", end)}),
        pytest.raises(RunError, match=r"ffmpeg could not write it .Unknown encoder h264.; name a .gif") as error,
    ):
        animate(bowl(plane), tmp_path / "film.mp4", style="paper", n_frames=2)
    assert "\n" not in str(error.value)
    assert [entry.name for entry in tmp_path.iterdir()] == ["bin"]


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs the program ffmpeg")
def test_a_real_ffmpeg_writes_the_same_film_twice(plane: Make, tmp_path: Path) -> None:
    one, other = (animate(bowl(plane), tmp_path / f"{number}.mp4", style="paper", n_frames=5) for number in (1, 2))
    assert one.read_bytes() == other.read_bytes()
    said = subprocess.run(["ffmpeg", "-i", one, "-f", "null", os.devnull], capture_output=True, text=True, check=True).stderr
    assert "frame=    5" in said


def test_the_command_writes_what_it_was_asked_for(
    plane: Make, tmp_path: Path, command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    import landscape

    monkeypatch.setattr(landscape, "read", lambda file: bowl(plane, 2.0 if "b.h5" in str(file) else 1.0))
    out = tmp_path / "film.gif"
    assert (
        command(
            *f"animate a.h5 --frames 3 --fps 5 --log --offset 0.1 --clip 3 --style paper --camera=20,10 -o {out} --quiet".split()
        ).code
        == 0
    )
    assert len(frames(out)) == 3
    assert command(*f"animate a.h5 b.h5 -o {out}".split()).code == 2  # already exists
    outcome = command(*f"animate a.h5 b.h5 --style paper --fps 4 -o {out} --overwrite".split())
    assert (outcome.code, outcome.out.strip()) == (0, str(out))
    assert len(frames(out)) == 2
    outcome = command(*f"plot a.h5 --kind relief --style paper --camera 40,-70 -o {tmp_path}/relief.png".split())
    assert (outcome.code, outcome.out.strip()) == (0, f"{tmp_path}/relief.png")
    assert "caption: a; x: random direction" in outcome.err
    outcome = command(*f"plot a.h5 --camera high -o {tmp_path}/other.png".split())
    assert outcome.code == 2
    assert "camera" in outcome.err
    assert "33,-58" in outcome.err


def test_what_goes_wrong_before_the_first_frame_is_told(plane: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(axes: Any, renderer: Any) -> None:
        raise ValueError("no such colour")

    monkeypatch.setattr(Axes3D, "draw", failing)
    with pytest.raises(ValueError, match="no such colour"):
        animate(bowl(plane), tmp_path / "turn.gif", style="paper", n_frames=3)
    assert not list(tmp_path.iterdir())
