"""Training a problem of the zoo by its recipe: the same weights for the same seed, a checkpoint at every epoch, resumed where it ended."""

from __future__ import annotations

import contextlib
import copy
import hashlib
import io
import math
import numbers
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from landscape.checkpoints import Checkpoint, weights_of
from landscape.core.weights import digest
from landscape.errors import InputError
from landscape.problem import Examples, Problem
from landscape.problem.data import map_tensors
from landscape.sweep.devices import choose_device
from landscape.zoo.epochs import EpochIterator
from landscape.zoo.folder import Folder
from landscape.zoo.outcome import Training, find_failure, measure, perplexity
from landscape.zoo.precision import choose_precision
from landscape.zoo.problems import Blueprint, Setting, blueprint

__all__ = ["ProgressCallback", "Training", "differences", "find_failure", "train"]

ProgressCallback = Callable[[int, int, str], None]  # steps done, steps in all, what is going on


def train(
    name: str,
    out: str | os.PathLike[str],
    epochs: int | None = None,
    seed: int = 0,
    data_dir: str | os.PathLike[str] | None = None,
    device: str = "cpu",
    settings: Mapping[str, Setting] | None = None,
    overwrite: bool = False,
    progress: ProgressCallback | None = None,
    precision: str = "auto",
    every: int = 1,
    steps: int = 0,
    download: bool = False,
    start: Checkpoint | None = None,
) -> Training:
    """Train a problem of the zoo by its recipe into a folder.

    Written are `epoch_000.pt` (the initial weights), one such file for each epoch, `step_0001.pt` … for the first steps if asked for,
    `history.jsonl` (a line for each epoch) and, at the very end, `result.json`. A checkpoint holds the weights, the optimizer's state,
    seed, epoch and recipe. A training that was ended early goes on from its last checkpoint and gives the same bits as one that was
    not. On a CPU the weights depend on the seed and the number of threads alone.

    Args:
        name: a problem of the zoo.
        out: the folder, made where missing; an unfinished training in it is gone on with, a finished one kept unless `overwrite`.
        epochs: passes through the training examples; the recipe's for None.
        seed: of the initial weights, the order of examples, the augmentation and dropout.
        data_dir: where the data are.
        device: `cpu`, `cuda`, `cuda:1`, or `auto`.
        settings: of the problem and its recipe, as `{"width": 16, "learning_rate": 0.05}`.
        overwrite: replace a training that is there.
        progress: told the steps done, the steps in all, and a few words, after each step.
        precision: `fp32`; `bf16`, the network in bfloat16 by autocast and its loss in float32, on CUDA devices; `auto`, bf16 where the
            device has it and the network is large and not recurrent. Figures are measured in fp32.
        every: save every n-th epoch's checkpoint, and the first and last.
        steps: keep a checkpoint after each of the first steps, so many.
        download: fetch data that are missing.
        start: the weights to begin with, instead of drawn ones; the optimizer begins anew.

    Raises:
        InputError: for an unknown name, setting or device, data that are missing, a folder that is taken or cannot be written, or a
            start of another architecture.
    """
    plan = blueprint(name, dict(settings or {}))
    recipe = plan.recipe if epochs is None else replace(plan.recipe, epochs=epochs)
    if recipe.epochs < 1:
        raise InputError(f"{recipe.epochs} epochs of training; ask for at least one")
    if isinstance(seed, bool) or not isinstance(seed, numbers.Integral) or not 0 <= seed < 2**63:
        raise InputError(f"the seed {seed} is not a whole number from 0 to 2^63 - 1")
    if every < 1 or steps < 0:
        raise InputError(f"--every must be ≥ 1 and --steps ≥ 0, not {every} and {steps}")
    place = choose_device(device)
    chosen = choose_precision(precision, place, plan.large and not recipe.unroll)
    problem = plan.build(data_dir, seed, download)
    how = _How(seed, dict(settings or {}), chosen, every, steps, _begin(problem, start))
    return _Trainer(replace(plan, recipe=recipe), problem, how, Folder(out, overwrite), place).run(progress or _ignore)


@dataclass(frozen=True)
class _How:
    seed: int
    settings: dict[str, Setting]
    precision: str
    every: int
    steps: int
    start: str | None = None  # digest of the weights it begins with; None where the seed draws them


class _Trainer:
    """One training under way: the model, its optimizer, the examples on the device, and where the files go."""

    def __init__(self, plan: Blueprint, problem: Problem, how: _How, folder: Folder, device: torch.device) -> None:
        self.plan, self.how, self.folder, self.device = plan, how, folder, device
        self.recipe = plan.recipe
        self.model = problem.model.to(device)
        self.loss = problem.loss.to(device, torch.float32)
        self.splits = {split: _resident(problem.examples(split), device) for split in problem.splits}
        self.generator = torch.Generator().manual_seed(how.seed)
        self.optimizer = self.recipe.make_optimizer(self.model.parameters())
        self.epochs = EpochIterator(
            self.model, self.loss, self.splits["train"], self.recipe, self.generator, plan.augment, self._autocast
        )  # fmt: skip
        self.watched = "valid" if "valid" in self.splits else "test"
        self.history: list[dict[str, Any]] = []
        self.n_steps = 0

    def run(self, progress: ProgressCallback) -> Training:
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):  # dropout draws from the global generator, which is the caller's
            return self._run(progress)

    def _run(self, progress: ProgressCallback) -> Training:
        epoch = self._resume()
        before = float(self.history[-1]["seconds"]) if self.history else 0.0
        started, n_epochs, text = time.perf_counter() - before, self.recipe.epochs, f"{self.plan.name}: starting"
        if epoch is None:
            epoch = 0
            self._save(self.folder.checkpoint(0), 0)
        elif self.history:
            text = f"{self.plan.name}: resumed after epoch {epoch}"
        while epoch < n_epochs and self._is_finite():  # nothing brings weights back that are not
            epoch += 1
            rate = self.recipe.rate(epoch)
            line: dict[str, Any] = {"epoch": epoch, "learning_rate": rate}
            line["train_loss"] = self._pass_once(epoch, rate, progress, text)
            line |= {f"{self.watched}_{metric}": value for metric, value in self._evaluate(self.watched).items()}
            line["seconds"] = round(time.perf_counter() - started, 3)
            self.history.append(line)
            self.folder.write_history(self.history)
            if epoch % self.how.every == 0 or epoch == n_epochs or not self._is_finite():
                self._save(self.folder.checkpoint(epoch), epoch)
            accuracy = f"{self.watched} accuracy {line[f'{self.watched}_accuracy']:.1%}"
            text = f"{self.plan.name}: epoch {epoch}/{n_epochs}, loss {line['train_loss']:.3g}, {accuracy}"
        return self._finish(epoch, time.perf_counter() - started)

    def _pass_once(self, epoch: int, rate: float, progress: ProgressCallback, text: str) -> float:
        """One epoch; returns the mean loss over it, each batch as it was met."""
        torch.manual_seed(_derive(self.how.seed, epoch))
        self.model.train()
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        total, weight = torch.zeros((), dtype=torch.float64, device=self.device), 0.0
        first, n_steps = (epoch - 1) * self.epochs.n_steps, self.recipe.epochs * self.epochs.n_steps
        for i, (loss, share) in enumerate(self.epochs()):
            total += self._step(loss) * share
            weight += share
            self.n_steps += 1
            if self.n_steps <= self.how.steps:
                self._save(self.folder.step(self.n_steps), epoch)
            progress(first + i + 1, n_steps, text)
        return float(total) / weight

    def _step(self, loss: Tensor) -> Tensor:
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own
        nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.largest_gradient)
        self.optimizer.step()
        return loss.detach()

    def _autocast(self) -> contextlib.AbstractContextManager[None]:
        if self.how.precision == "bf16":
            return torch.autocast(self.device.type, torch.bfloat16)
        return contextlib.nullcontext()

    def _is_finite(self) -> bool:
        return not self.history or math.isfinite(float(self.history[-1]["train_loss"]))

    def _evaluate(self, split: str) -> dict[str, float]:
        return measure(self.model, self.loss, self.splits[split], self.plan.evaluation_batch)

    def _facts(self) -> dict[str, Any]:
        """What two trainings have to have in common for one to go on with the other."""
        recipe = asdict(self.recipe)
        how = {"precision": self.how.precision, "start": self.how.start}
        return {"problem": self.plan.name, "seed": self.how.seed, "recipe": recipe, **how}

    def _save(self, path: Path, epoch: int) -> None:
        buffer = io.BytesIO()
        torch.save(
            {
                "state_dict": {name: tensor.detach().cpu() for name, tensor in self.model.state_dict().items()},
                "epoch": epoch,
                "step": self.n_steps,
                "settings": self.how.settings,
                "optimizer": self.optimizer.state_dict(),
                "generator": self.generator.get_state(),
                **self._facts(),
            },
            buffer,
        )
        self.folder.write(path, buffer.getvalue())

    def _resume(self) -> int | None:
        """The epoch after which to go on, with everything as it was then; None where there is nothing to go on with.

        Raises:
            InputError: when the folder holds an unfinished training of another kind.
        """
        fresh = copy.deepcopy(self.model.state_dict())
        for made, history in self.folder.unfinished():
            for name, value in self._facts().items():
                if made.get(name) != value:
                    told, now = differences(made.get(name), value)
                    raise InputError(
                        f"{self.folder.path}: holds an unfinished training with another {name} ({told}, now {now}); "
                        "choose another --out, or replace it with --overwrite"
                    )
            try:
                self.model.load_state_dict(made["state_dict"])
                self.optimizer.load_state_dict(made["optimizer"])
                self.generator.set_state(made["generator"])
                self.n_steps, self.history = int(made["step"]), history
            except (KeyError, RuntimeError, ValueError, TypeError):
                continue  # of an older version, or damaged where it shows only now
            return int(made["epoch"])
        self.model.load_state_dict(fresh)  # a file that was of no use may have been read in part
        self.optimizer = self.recipe.make_optimizer(self.model.parameters())
        self.generator.manual_seed(self.how.seed)
        self.folder.clear()
        return None

    def _finish(self, epochs: int, seconds: float) -> Training:
        found = {f"{split}_{metric}": value for split in self.splits for metric, value in self._evaluate(split).items()}
        if getattr(getattr(self.loss, "function", None), "perplexity", False):
            found |= {f"{split}_perplexity": perplexity(found[f"{split}_loss"]) for split in self.splits}
        usual = {
            f"{split}_{metric}": found.pop(f"{split}_{metric}") for split in ("train", "test") for metric in ("loss", "accuracy")
        }
        labels = self.splits["train"].tensors[1].cpu().flatten()
        result = Training(
            problem=self.plan.name,
            seed=self.how.seed,
            epochs=epochs,
            start=self.folder.checkpoint(0),
            end=self.folder.checkpoint(epochs),
            history=self.folder.history,
            seconds=seconds,
            failure=find_failure(usual["train_loss"], usual["train_accuracy"], labels),
            metrics=found,
            **usual,
        )
        names = {"start": result.start.name, "end": result.end.name, "history": result.history.name}
        self.folder.finish(asdict(result) | names)
        return result


def _begin(problem: Problem, start: Checkpoint | None) -> str | None:
    """Put the weights of a checkpoint into a problem's model; returns their digest."""
    if start is None:
        return None
    weights = weights_of(start, problem.model)
    problem.model.load_state_dict(weights, strict=False)  # the counters of batch norm are in no checkpoint's weights
    return digest(weights)


def _derive(seed: int, epoch: int) -> int:
    """A seed for what an epoch draws besides order and augmentation: an epoch begun anew draws the same."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{epoch}".encode()).digest()[:8], "little") >> 1


def differences(made: Any, value: Any) -> tuple[str, str]:
    """Two values for a message; of two recipes only what differs."""
    if isinstance(made, Mapping) and isinstance(value, Mapping):
        names = [name for name in value if made.get(name) != value[name]]
        told, now = (", ".join(f"{name} {part.get(name)}" for name in names) for part in (made, value))
        return told, now
    return str(made), str(value)


def _resident(examples: Examples, device: torch.device) -> Examples:
    return Examples(examples.split, map_tensors(lambda tensor: tensor.to(device), examples.tensors))


def _ignore(done: int, total: int, text: str) -> None:
    """Nobody wants to know."""
