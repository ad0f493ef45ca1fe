"""Losses as people write them: criteria with every reduction, functions, pairs of sums and weights, dicts with metrics, whole batches.

A loss says what outputs it wants from a model's head, how its targets are drawn, and what the user hands to `Problem`. Its *value*
is not said here: the oracle has it from the user's own loss, called on all data at once (criteria) or batch by batch (functions).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from handmade import Focal
from torch import Tensor, nn

Read = Callable[[Any], tuple[tuple[Any, ...], dict[str, Any], Any, Any]]  # batch -> arguments, keywords, targets, numbers
CLASSES = 3


@dataclass(frozen=True)
class LossKind:
    """A kind of loss.

    Attributes:
        outputs: what the head gives, a key of `HEADS`.
        targets: how many examples -> their targets; None where the loss needs none.
        criterion: makes a torch criterion; else
        function: makes a loss function, from the way its batches are read.
        whole: whether it is of whole batches, for `per_example=False`.
        words: further things that are true of it.
    """

    outputs: str
    targets: Callable[[int], Tensor] | None
    criterion: Callable[[], nn.Module] | None = None
    function: Callable[[Read], Any] | None = None
    whole: bool = False
    words: frozenset[str] = frozenset()


HEADS: dict[str, tuple[int, Callable[[], list[nn.Module]]]] = {
    "classes": (CLASSES, list),
    "classes by place": (2 * CLASSES, lambda: [nn.Unflatten(1, (CLASSES, 2))]),
    "reals": (2, list),
    "scalar": (1, lambda: [nn.Flatten(0)]),
    "probabilities": (2, lambda: [nn.Sigmoid()]),
    "log probabilities": (CLASSES, lambda: [nn.LogSoftmax(dim=1)]),
}


def _classes(n: int) -> Tensor:
    return torch.randint(CLASSES, (n,))


def _some_ignored(n: int) -> Tensor:
    targets = _classes(n)
    targets[1::3] = 1  # the index that criteria here ignore; the first is kept
    targets[0] = 2
    return targets


def _classes_by_place(n: int) -> Tensor:
    targets = torch.randint(CLASSES, (n, 2))
    targets[1::3, 0] = -100
    return targets


def _reals(n: int) -> Tensor:
    return torch.randn(n, 2)


def _shares(n: int) -> Tensor:
    return torch.rand(n, 2)


def _signs(n: int) -> Tensor:
    return 2.0 * torch.randint(2, (n, 2)) - 1.0


def _distributions(n: int) -> Tensor:
    return torch.randn(n, CLASSES).softmax(dim=1)


def _several_classes(n: int) -> Tensor:
    targets = torch.full((n, CLASSES), -1)
    targets[:, 0] = torch.randint(CLASSES, (n,))
    return targets


def _weights() -> Tensor:
    return torch.tensor([0.3, 2.0, 1.1])


_CRITERIA: dict[str, tuple[str, Callable[[int], Tensor], Callable[[], nn.Module]]] = {
    "cross-entropy": ("classes", _classes, nn.CrossEntropyLoss),
    "cross-entropy, sum": ("classes", _classes, lambda: nn.CrossEntropyLoss(reduction="sum")),
    "cross-entropy, none": ("classes", _classes, lambda: nn.CrossEntropyLoss(reduction="none")),
    "cross-entropy, weights": ("classes", _classes, lambda: nn.CrossEntropyLoss(weight=_weights())),
    "cross-entropy, weights, sum": ("classes", _classes, lambda: nn.CrossEntropyLoss(weight=_weights(), reduction="sum")),
    "cross-entropy, ignoring": ("classes", _some_ignored, lambda: nn.CrossEntropyLoss(ignore_index=1)),
    "cross-entropy, smoothed": ("classes", _classes, lambda: nn.CrossEntropyLoss(label_smoothing=0.2)),
    "cross-entropy, all at once": (
        "classes", _some_ignored, lambda: nn.CrossEntropyLoss(_weights(), ignore_index=1, label_smoothing=0.2)
    ),
    "cross-entropy of shares": ("classes", _distributions, nn.CrossEntropyLoss),
    "cross-entropy of shares, weights": ("classes", _distributions, lambda: nn.CrossEntropyLoss(_weights(), label_smoothing=0.1)),
    "cross-entropy by place": ("classes by place", _classes_by_place, nn.CrossEntropyLoss),
    "cross-entropy by place, weights": ("classes by place", _classes_by_place, lambda: nn.CrossEntropyLoss(weight=_weights())),
    "negative log-likelihood": ("log probabilities", _some_ignored, lambda: nn.NLLLoss(_weights(), ignore_index=1)),
    "binary cross-entropy": ("probabilities", _shares, nn.BCELoss),
    "binary cross-entropy, weights": ("probabilities", _shares, lambda: nn.BCELoss(weight=torch.tensor([0.5, 2.0]))),
    "binary cross-entropy of logits": (
        "reals", _shares, lambda: nn.BCEWithLogitsLoss(pos_weight=torch.tensor([3.0, 0.5]), reduction="mean")
    ),
    "squared error": ("reals", _reals, nn.MSELoss),
    "squared error, sum": ("reals", _reals, lambda: nn.MSELoss(reduction="sum")),
    "squared error of a scalar": ("scalar", torch.randn, nn.MSELoss),
    "absolute error": ("reals", _reals, nn.L1Loss),
    "smooth absolute error": ("reals", _reals, lambda: nn.SmoothL1Loss(beta=0.3)),
    "huber": ("reals", _reals, lambda: nn.HuberLoss(delta=0.4, reduction="sum")),
    "divergence, batchmean": ("log probabilities", _distributions, lambda: nn.KLDivLoss(reduction="batchmean")),
    "divergence of logs": (
        "log probabilities", lambda n: _distributions(n).log(), lambda: nn.KLDivLoss(reduction="mean", log_target=True)
    ),
    "poisson": ("reals", lambda n: torch.randint(4, (n, 2)).to(torch.get_default_dtype()), nn.PoissonNLLLoss),
    "soft margin": ("reals", _signs, nn.SoftMarginLoss),
    "hinge embedding": ("reals", _signs, nn.HingeEmbeddingLoss),
    "focal": ("classes", _classes, Focal),
    "focal, sum": ("classes", _classes, lambda: Focal("sum")),
    "margins": ("classes", _classes, lambda: nn.MultiMarginLoss(weight=_weights())),
    "margins of several classes": ("classes", _several_classes, nn.MultiLabelMarginLoss),
    "soft margins of several classes": (
        "reals", lambda n: torch.randint(2, (n, 2)).to(torch.get_default_dtype()), nn.MultiLabelSoftMarginLoss
    ),
}  # fmt: skip


def _entropy(model: nn.Module, read: Read, batch: Any, reduction: str = "none") -> Tensor:
    arguments, keywords, targets, _ = read(batch)
    return F.cross_entropy(model(*arguments, **keywords), targets, reduction=reduction)


def _plain(read: Read) -> Any:
    return lambda model, batch: _entropy(model, read, batch)


def _numbered(read: Read) -> Any:
    """Beside the loss a metric that tells which examples were used: example i adds 2^i, so that a sum is a set."""

    def loss(model: nn.Module, batch: Any) -> dict[str, Tensor]:
        numbers = read(batch)[3]
        return {"loss": _entropy(model, read, batch), "which": 2.0 ** numbers.double()}

    return loss


def _gaussian(read: Read) -> Any:
    def loss(model: nn.Module, batch: Any) -> Tensor:
        arguments, keywords, targets, _ = read(batch)
        mean, spread = model(*arguments, **keywords).unbind(dim=1)
        return F.gaussian_nll_loss(mean, targets, spread.exp(), reduction="none")

    return loss


def _pairs(read: Read) -> Any:
    def loss(model: nn.Module, batch: Any) -> tuple[Tensor, Tensor]:
        arguments, keywords, targets, _ = read(batch)
        kept = targets != -100
        losses = F.cross_entropy(model(*arguments, **keywords), targets, reduction="none")
        return (losses * kept).sum(dim=1), kept.sum(dim=1)

    return loss


def _metrics(read: Read) -> Any:
    def loss(model: nn.Module, batch: Any) -> dict[str, Any]:
        arguments, keywords, targets, _ = read(batch)
        outputs = model(*arguments, **keywords)
        losses = F.cross_entropy(outputs, targets, reduction="none")
        return {
            "loss": losses,
            "spread": outputs.double().var(dim=1),
            "first_class": targets == 0,
            "label": targets,
            "by_weight": (losses * (1 + targets), (1 + targets).to(losses.dtype)),
        }

    return loss


class Weighted(nn.Module):
    """A loss that is a module with a tensor of its own, and no reduction."""

    def __init__(self, read: Read) -> None:
        super().__init__()
        self.read = [read]
        self.register_buffer("weights", _weights())

    def forward(self, model: nn.Module, batch: Any) -> tuple[Tensor, Tensor]:
        targets = self.read[0](batch)[2]
        shares = self.weights[targets]
        return _entropy(model, self.read[0], batch) * shares, shares


class Trainer:
    """Someone's trainer, one of whose methods is the loss."""

    def __init__(self, read: Read) -> None:
        self.read = read
        self.prior = torch.tensor([0.2, 0.5, 0.3])

    def loss(self, model: nn.Module, batch: Any) -> Tensor:
        arguments, keywords, targets, _ = self.read(batch)
        outputs = model(*arguments, **keywords) + self.prior.log()
        return F.cross_entropy(outputs, targets, reduction="none")


def _inferring(read: Read) -> Any:
    def loss(model: nn.Module, batch: Any) -> Tensor:
        with torch.inference_mode():
            return _entropy(model, read, batch)

    return loss


def _regularized(read: Read) -> Any:
    def loss(model: nn.Module, batch: Any) -> Tensor:
        squares = [p.abs().double().square().sum() for p in model.parameters() if p.is_floating_point() or p.is_complex()]
        return _entropy(model, read, batch) + 0.01 * torch.stack(squares).sum()

    return loss


def _by_parts(read: Read) -> Any:
    """A loss that calls a model's parts itself."""

    def loss(model: nn.Module, batch: Any) -> Tensor:
        arguments, keywords, targets, _ = read(batch)
        hidden = model.body(model.front(*arguments, **keywords))
        return F.cross_entropy(model.head(hidden), targets, reduction="none") + 0.1 * hidden.abs().mean(dim=1)

    return loss


def _without_targets(read: Read) -> Any:
    def loss(model: nn.Module, batch: Any) -> Tensor:
        arguments, keywords, _, _ = read(batch)
        return (model(*arguments, **keywords) - 0.3).square().mean(dim=1)

    return loss


def _whole_scalar(read: Read) -> Any:
    return lambda model, batch: _entropy(model, read, batch, "mean")


def _whole_pair(read: Read) -> Any:
    def loss(model: nn.Module, batch: Any) -> tuple[Tensor, Tensor]:
        losses, targets = _entropy(model, read, batch), read(batch)[2]
        return (losses * (1 + targets)).sum(), (1 + targets).sum()

    return loss


def _whole_dict(read: Read) -> Any:
    def loss(model: nn.Module, batch: Any) -> dict[str, Any]:
        losses, targets = _entropy(model, read, batch), read(batch)[2]
        return {"loss": losses.mean(), "largest": losses.max().double(), "pair": ((losses * targets).sum(), 1.0 + targets.sum())}

    return loss


def _contrastive(read: Read) -> Any:
    """A loss of how a batch's examples lie to each other."""

    def loss(model: nn.Module, batch: Any) -> Tensor:
        arguments, keywords, _, _ = read(batch)
        outputs = model(*arguments, **keywords)
        return F.cross_entropy(outputs @ outputs.t(), torch.arange(len(outputs)))

    return loss


_FUNCTIONS: dict[str, tuple[str, Callable[[int], Tensor] | None, Callable[[Read], Any], bool, str]] = {
    "function": ("classes", _classes, _plain, False, ""),
    "numbered": ("classes", _classes, _numbered, False, "numbers"),
    "gaussian": ("reals", torch.randn, _gaussian, False, ""),
    "pairs": ("classes by place", _classes_by_place, _pairs, False, ""),
    "metrics": ("classes", _classes, _metrics, False, ""),
    "module": ("classes", _classes, Weighted, False, ""),
    "method": ("classes", _classes, lambda read: Trainer(read).loss, False, ""),
    "in inference mode": ("classes", _classes, _inferring, False, ""),
    "regularized": ("classes", _classes, _regularized, False, "parameters"),
    "by parts": ("classes", _classes, _by_parts, False, "parts"),
    "without targets": ("reals", None, _without_targets, False, ""),
    "whole scalar": ("classes", _classes, _whole_scalar, True, ""),
    "whole pair": ("classes", _classes, _whole_pair, True, ""),
    "whole dict": ("classes", _classes, _whole_dict, True, ""),
    "contrastive": ("reals", None, _contrastive, True, "of a batch"),
}

LOSSES: dict[str, LossKind] = {
    **{name: LossKind(outputs, targets, criterion=make) for name, (outputs, targets, make) in _CRITERIA.items()},
    **{
        name: LossKind(outputs, targets, function=make, whole=whole, words=frozenset([word] if word else []))
        for name, (outputs, targets, make, whole, word) in _FUNCTIONS.items()
    },
}
