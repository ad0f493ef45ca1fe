"""Where one seed of a study plays: trainings and surfaces by name, kept from an earlier run, files and figures in one folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from landscape import io, plotting, viewer
from landscape.atomic import replacing
from landscape.checkpoints import Checkpoint
from landscape.core.surface import Surface
from landscape.errors import InputError
from landscape.plotting.styles import StyledFigure
from landscape.problem import Problem
from landscape.progress import Progress
from landscape.sweep.functions import line, surface
from landscape.zoo.load_or_train import load_or_train
from landscape.zoo.problems import Setting, problem
from landscape.zoo.training import Training

__all__ = ["Arrays", "StudyRun"]

Arrays = dict[str, NDArray[Any]]
_Value = TypeVar("_Value")


@dataclass(frozen=True)
class StudyRun:
    """One seed of a study at one size.

    Attributes:
        out: the study's folder.
        size: "tiny", "small" or "full".
        seed: of trainings, directions and samples.
        data_dir: where data sets are; None where only embedded ones may be used.
        device: of trainings and sweeps.
        quiet: show no progress.
        overwrite: take nothing from an earlier run.
        command: what files record as the command that made them.
    """

    out: Path
    size: str
    seed: int
    data_dir: Path | None = None
    device: str = "cpu"
    quiet: bool = False
    overwrite: bool = False
    command: str | None = None
    _made: set[str] = field(default_factory=set)  # in this run: what is asked for twice is not made anew twice

    def pick(self, tiny: _Value, small: _Value, full: _Value) -> _Value:
        """The value for this size."""
        return {"tiny": tiny, "small": small, "full": full}[self.size]

    @property
    def threads(self) -> int | None:
        """CPU threads: one where networks are so small that threads would wait for each other, and where bits are to be the same."""
        return None if self.size == "full" else 1

    def note(self, text: str) -> None:
        """Say a line of what is going on."""
        Progress(self.quiet).note(f"  seed {self.seed}: {text}")

    def problem(self, name: str, **settings: Setting) -> Problem:
        """A problem of the zoo, its data read from the study's data folder.

        Raises:
            InputError: for an unknown name or setting, or data that are missing.
        """
        return problem(name, self.data_dir, **settings)

    def train(
        self,
        name: str,
        epochs: int,
        label: str | None = None,
        seed: int | None = None,
        settings: Mapping[str, Setting] | None = None,
        **options: Any,
    ) -> Training:
        """Train a problem, or take the training of an earlier run; its checkpoints are `start`, `end` and those in their folder.

        Args:
            name: of the problem.
            epochs: passes through the training examples.
            label: of its folder; the problem's name by default.
            seed: another than the run's, for a second solution.
            settings: of the problem and its recipe.
            **options: of `landscape.zoo.train`: steps, every and so on; checkpoints of the first and last epoch alone by default.

        Raises:
            InputError: when the folder holds a training by another recipe.
        """
        own = self.seed if seed is None else seed
        folder = self.out / "trainings" / f"{label or name}-seed{own}"
        options = {"every": epochs, "device": self.device, "data_dir": self.data_dir, **options}
        if self._anew(str(folder)) and (folder / "result.json").exists():
            (folder / "result.json").unlink()  # the mark of being finished: then it is begun anew
        self.note(f"training {label or name} (seed {own})")
        with Progress(self.quiet) as progress:
            training, _ = load_or_train(name, folder, epochs, own, progress.follow, settings, self.threads, **options)
        if training.failure:
            self.note(f"{label or name} {training.failure}")
        return training

    def line(
        self, name: str, problem: Problem, start: Checkpoint | None = None, end: Checkpoint | None = None, **options: Any
    ) -> Surface:
        """`landscape.line`, into the file NAME-seedK.h5, which is resumed.

        Raises:
            InputError: for options that cannot be used, or a file of something else.
        """
        self.note(f"the line {name}")
        return line(problem, start, end, **self._how(name, options))

    def surface(self, name: str, problem: Problem, *checkpoints: Checkpoint, **options: Any) -> Surface:
        """`landscape.surface` through one checkpoint or three, into the file NAME-seedK.h5, which is resumed.

        Raises:
            InputError: for options that cannot be used, or a file of something else.
        """
        self.note(f"the plane {name}")
        return surface(problem, *checkpoints, **self._how(name, options))

    def path(self, name: str) -> Path:
        """The file of a surface of this seed."""
        return self.out / f"{name}-seed{self.seed}.h5"

    def read(self, name: str) -> Surface:
        """A surface of this seed, as it was measured."""
        return io.read(self.path(name))

    def keep(self, name: str, make: Callable[[], Arrays]) -> Arrays:
        """Arrays that take long to make: made once, and read from NAME-seedK.npz from then on.

        Raises:
            InputError: when the file is damaged.
        """
        path = self.out / f"{name}-seed{self.seed}.npz"
        if self._anew(str(path)) or not path.exists():
            self.note(name)
            with replacing(path) as temporary, temporary.open("wb") as file:
                np.savez_compressed(file, **make())  # type: ignore[arg-type]  # numpy's stub wants its option here too
        try:
            with np.load(path, allow_pickle=False) as held:
                return {key: held[key] for key in held.files}
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: cannot be read ({error}); say --overwrite, or remove it") from error

    def history(self, training: Training | str) -> list[dict[str, float]]:
        """What a training, or that of a label, wrote at each epoch: epoch, learning_rate, train_loss, test_loss, test_accuracy, seconds."""
        label = f"{training}-seed{self.seed}"
        path = self.out / "trainings" / label / "history.jsonl" if isinstance(training, str) else training.history
        return [json.loads(words) for words in path.read_text("utf-8").splitlines()]

    def figure(self, name: str, surfaces: Sequence[Surface], kind: str | None = None, **options: Any) -> Path:
        """A figure of surfaces, `landscape.plotting.figure`, into NAME.png."""
        return self.save(plotting.figure(surfaces, kind, **options), name)

    def save(self, figure: StyledFigure | Any, name: str) -> Path:
        """A figure into NAME.png."""
        return plotting.save(figure, self.out / f"{name}.png")

    def page(self, surfaces: Sequence[Surface], names: Sequence[str]) -> Path:
        """The interactive page of surfaces, index.html; its script is beside it, or shared in the folder above."""
        self.note("the page")
        written: Path = viewer.write_page(surfaces, self.out / "index.html", names, shared_script=True)
        return written

    def _how(self, name: str, options: Mapping[str, Any]) -> dict[str, Any]:
        usual = {"seed": self.seed, "device": self.device, "threads": self.threads, "quiet": self.quiet, "command": self.command}
        path = self.path(name)
        return {**usual, "to": path, "overwrite": self._anew(str(path)), **options}

    def _anew(self, what: str) -> bool:
        """Whether something has to be made anew although it is there: once in a run that overwrites."""
        first = what not in self._made
        self._made.add(what)
        return self.overwrite and first
