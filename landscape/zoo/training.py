"""Training a problem of the zoo: SGD as in the papers, the same weights for the same seed, a checkpoint at either end."""

from __future__ import annotations

import io
import math
import operator
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from landscape.errors import InputError
from landscape.problem import Examples, Problem
from landscape.problem.data import Batch, map_tensors
from landscape.zoo.datasets import shift_and_mirror
from landscape.zoo.folder import Folder
from landscape.zoo.problems import Blueprint, Setting, blueprint

__all__ = ["ProgressCallback", "Training", "find_failure", "train"]

ProgressCallback = Callable[[int, int, str], None]  # steps done, steps in all, what is going on

_EVALUATION_BATCH = 500


@dataclass(frozen=True)
class Training:
    """A finished training: where its files are and how well the network does in evaluation mode.

    Losses are means over a split in nats, accuracies fractions in [0, 1]. `failure` says in a line why the network
    did not train, None if it did: then nothing about its surface says anything about trained networks.
    """

    problem: str
    seed: int
    epochs: int
    start: Path
    end: Path
    history: Path
    train_loss: float
    train_accuracy: float
    test_loss: float
    test_accuracy: float
    seconds: float
    failure: str | None


def train(
    name: str,
    out: str | os.PathLike[str],
    epochs: int | None = None,
    seed: int = 0,
    data_dir: str | os.PathLike[str] | None = None,
    device: str = "cpu",
    settings: dict[str, Setting] | None = None,
    overwrite: bool = False,
    progress: ProgressCallback | None = None,
) -> Training:
    """Train a problem of the zoo by its recipe into a folder.

    Written are `epoch_000.pt` (the initial weights), one such file for the last epoch, `history.jsonl` (a line for each epoch)
    and, at the very end, `result.json`. On a CPU the weights depend on the seed and the number of threads alone.

    Args:
        name: a problem of the zoo.
        out: the folder, made where missing; an unfinished training in it is begun anew, a finished one kept unless `overwrite`.
        epochs: passes through the training examples; the recipe's for None.
        seed: of the initial weights, the order of examples and the augmentation.
        data_dir: where the data are.
        device: `cpu`, `cuda`, `cuda:1`, or `auto`.
        settings: of the problem, as `{"width": 16}`.
        overwrite: replace a finished training.
        progress: told the steps done, the steps in all, and a few words, after each step.

    Raises:
        InputError: for an unknown name, setting or device, data that are missing, or a folder that is taken or cannot be written.
    """
    plan = blueprint(name, settings)
    recipe = plan.recipe if epochs is None else replace(plan.recipe, epochs=epochs)
    if recipe.epochs < 1:
        raise InputError(f"{recipe.epochs} epochs of training; ask for at least one")
    if not 0 <= seed < 2**63:
        raise InputError(f"the seed {seed} is not a whole number from 0 to 2^63 - 1")
    place = _device(device)
    problem = plan.build(data_dir, seed)
    folder = Folder(Path(out), overwrite)
    return _Trainer(replace(plan, recipe=recipe), problem, seed, settings or {}, folder, place).run(progress or _ignore)


class _Trainer:
    """One training under way: the model, its optimizer, the examples on the device, and where the files go."""

    def __init__(
        self, plan: Blueprint, problem: Problem, seed: int, settings: dict[str, Setting], folder: Folder, device: torch.device
    ) -> None:
        self.plan, self.seed, self.settings, self.folder, self.device = plan, seed, settings, folder, device
        recipe = self.recipe = plan.recipe
        self.model = problem.model.to(device)
        self.loss = problem.loss.to(device, torch.float32)
        self.splits = {split: _resident(problem.examples(split), device) for split in ("train", "test")}
        self.generator = torch.Generator().manual_seed(seed)  # on the CPU: every device sees the same order and shifts
        self.optimizer = torch.optim.SGD(
            self.model.parameters(),
            lr=recipe.learning_rate,
            momentum=recipe.momentum,
            nesterov=True,
            weight_decay=recipe.weight_decay,
        )

    def run(self, progress: ProgressCallback) -> Training:
        started = time.perf_counter()
        start = self._save(0)
        n_epochs, epoch, text = self.recipe.epochs, 0, f"{self.plan.name}: starting"
        history: list[dict[str, float]] = []
        for epoch in range(1, n_epochs + 1):
            rate = self.recipe.rate(epoch)
            train_loss = self._pass_once(epoch, rate, progress, text)
            test_loss, test_accuracy = self._evaluate("test")
            seconds = time.perf_counter() - started
            history.append({"epoch": epoch, "learning_rate": rate, "train_loss": train_loss, "test_loss": test_loss})
            history[-1] |= {"test_accuracy": test_accuracy, "seconds": round(seconds, 3)}
            self.folder.write_history(history)
            text = f"{self.plan.name}: epoch {epoch}/{n_epochs}, loss {train_loss:.3g}, test accuracy {test_accuracy:.1%}"
            if not math.isfinite(train_loss):
                break  # nothing brings the weights back
        end = self._save(epoch)
        return self._finish(start, end, epoch, time.perf_counter() - started)

    def _pass_once(self, epoch: int, rate: float, progress: ProgressCallback, text: str) -> float:
        """One epoch; returns the mean loss over it, each batch as it was met."""
        self.model.train()
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        examples, total = self.splits["train"], torch.zeros((), dtype=torch.float64, device=self.device)
        order = torch.randperm(examples.size, generator=self.generator)
        pieces = torch.split(order, self.recipe.batch_size)
        for i, piece in enumerate(pieces):
            chosen = piece.to(self.device)
            batch = map_tensors(operator.itemgetter(chosen), examples.tensors)
            total += self._step(self._augment(batch) if self.recipe.augmented else batch, len(piece)) * len(piece)
            progress((epoch - 1) * len(pieces) + i + 1, self.recipe.epochs * len(pieces), text)
        return float(total) / examples.size

    def _step(self, batch: Batch, size: int) -> Tensor:
        self.optimizer.zero_grad(set_to_none=True)
        sums, weights = self.loss(self.model, batch, size)["loss"]
        loss = sums.sum() / (size if weights is None else weights.sum())
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own
        nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.largest_gradient)
        self.optimizer.step()
        return loss.detach()

    def _augment(self, batch: Batch) -> Batch:
        images, labels = batch
        return shift_and_mirror(images, self.generator), labels

    @torch.no_grad()
    def _evaluate(self, split: str) -> tuple[float, float]:
        """Loss and accuracy over a split in evaluation mode."""
        self.model.eval()
        examples = self.splits[split]
        totals: dict[str, list[float]] = {"loss": [0.0, 0.0], "accuracy": [0.0, 0.0]}
        for first in range(0, examples.size, _EVALUATION_BATCH):
            last = min(first + _EVALUATION_BATCH, examples.size)
            measured = self.loss(self.model, examples.batch(first, last), last - first)
            for metric, total in totals.items():
                sums, weights = measured[metric]
                total[0] += float(sums.double().sum())
                total[1] += last - first if weights is None else float(weights.double().sum())
        return totals["loss"][0] / totals["loss"][1], totals["accuracy"][0] / totals["accuracy"][1]

    def _save(self, epoch: int) -> Path:
        path = self.folder.checkpoint(epoch)
        buffer = io.BytesIO()
        torch.save(
            {
                "state_dict": {name: tensor.detach().cpu() for name, tensor in self.model.state_dict().items()},
                "epoch": epoch,
                "seed": self.seed,
                "problem": self.plan.name,
                "settings": dict(self.settings),
                "recipe": asdict(self.recipe),
                "optimizer": self.optimizer.state_dict(),
            },
            buffer,
        )
        self.folder.write(path, buffer.getvalue())
        return path

    def _finish(self, start: Path, end: Path, epochs: int, seconds: float) -> Training:
        train_loss, train_accuracy = self._evaluate("train")
        test_loss, test_accuracy = self._evaluate("test")
        labels = self.splits["train"].tensors[1].cpu()
        result = Training(
            problem=self.plan.name,
            seed=self.seed,
            epochs=epochs,
            start=start,
            end=end,
            history=self.folder.history,
            train_loss=train_loss,
            train_accuracy=train_accuracy,
            test_loss=test_loss,
            test_accuracy=test_accuracy,
            seconds=seconds,
            failure=find_failure(train_loss, train_accuracy, labels),
        )
        self.folder.finish(asdict(result) | {"start": start.name, "end": end.name, "history": self.folder.history.name})
        return result


def find_failure(loss: float, accuracy: float, labels: Tensor) -> str | None:
    """Why a network did not train, or None: its loss is not finite, or it is no better than always naming the commonest class.

    No better: within three standard errors, √(p (1 - p) / n), of that class's share p of the `labels` `(n,)`.
    """
    if not math.isfinite(loss):
        return f"did not train: the loss is {loss}"
    chance = float(torch.bincount(labels).max()) / len(labels)
    if accuracy <= chance + 3 * math.sqrt(chance * (1 - chance) / len(labels)):
        return f"did not train: the accuracy {accuracy:.1%} on its training examples is chance ({chance:.1%})"
    return None


def _resident(examples: Examples, device: torch.device) -> Examples:
    return Examples(examples.split, map_tensors(lambda tensor: tensor.to(device), examples.tensors))


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise InputError(f'unknown device "{name}"; take auto, cpu, cuda or cuda:0') from None
    if device.type not in ("cpu", "cuda"):
        raise InputError(f'unknown device "{name}"; take auto, cpu, cuda or cuda:0')
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(f"no device {name} here, {torch.cuda.device_count()} CUDA devices are visible; take auto or cpu")
    return device


def _ignore(done: int, total: int, text: str) -> None:
    """Nobody wants to know."""
