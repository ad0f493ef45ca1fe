"""A plain oracle: what a user's sweep has to give, computed without a line of the package.

The user is built anew for every point. θ* + a·δ + b·η is added up here, in float64, from directions of this module's own: Gaussian
numbers by the documented recipe (SHA-256 of "seed/axis/name" keys numpy's Philox), scaled so that every output's slice has the length
that the normalization says, by the table of kinds.py; or differences of checkpoints. The directions that the run stored are held to
these, and then followed, for they were rounded to the weights' type. The point is set by `load_state_dict`. Weight norms, parametrizations and pruning are taken off by torch's own
functions. The loss is the user's own: a criterion is called once on all
examples, in the reduction that the user gave it; a function batch by batch, in batches of this module's choice; sums are float64.

How far a value may be from the oracle's (`allowed`). Both compute the same real number with the same weights up to one rounding, in
another order of summation and in other batch sizes. With unit roundoff u, a layer of fan-in k commits at most k·u·Σ|w||x|, in the mean
√k·u, and fan-ins here stay below 320 (5 × 4³ flattened), so a layer adds less than 320 · 6e-8 = 2e-5 of its inputs' scale in fp32, in
the mean 1e-6; three or four layers whose gains are of order one (norms may divide by small deviations, at most 1/√1e-5 ≈ 300 on
constant channels, which the next factor then multiplies by what is 0) add up to 8e-5 at worst. The loss is 1-Lipschitz in logits
(cross-entropy, margins, absolute errors) or has a slope of its own size's root (squares), hence the factor 1 + |value|. fp64 has the
same sum with u = 1.1e-16: 2e-13, and 1e-10 leaves room for exponentials. Observed over 5,000 users: see test_strange_users.py.
bfloat16 parameters are one rounding of the same float32 sum, and a tie of float32 sums may round the other way: that moves a weight by
2^-8 of itself, with a chance of 2^-16 each, and is left to fail.
"""

from __future__ import annotations

import fnmatch
import hashlib
import math
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from forms import FORMS, Examples
from kinds import KINDS, along, labels_of
from losses import LOSSES
from torch import Tensor, nn
from torch.nn.utils import parametrize, prune
from users import RANDOM, Built, User, build

Direction = Mapping[str, Tensor]

NORMS = (
    nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d,
    nn.LayerNorm, nn.GroupNorm, nn.RMSNorm,
)  # fmt: skip
FUNCTION_BATCH = 5  # examples in the oracle's own batches
CALIBRATION_BATCH, CALIBRATION_EXAMPLES = 256, 2048


def allowed(value: float, double: bool) -> float:
    """How far from `value` a run may be: see the module's text."""
    return (1e-10 if double else 8e-5) * (1 + abs(value))


# --- the user's weights ---


def plain(model: nn.Module) -> nn.Module:
    """The model with every effective weight a plain parameter, by torch's own functions."""
    model.eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        for layer in list(model.modules()):
            if parametrize.is_parametrized(layer):
                for name in list(layer.parametrizations):
                    parametrize.remove_parametrizations(layer, name, leave_parametrized=True)
            for hook in list(layer._forward_pre_hooks.values())[::-1]:  # a later one works on what an earlier one takes
                if isinstance(hook, prune.BasePruningMethod):
                    stored = f"{hook._tensor_name}_orig"  # whose memory another layer may share, and prune.remove writes into
                    layer._parameters[stored] = nn.Parameter(layer._parameters[stored].detach().clone())
                    prune.remove(layer, hook._tensor_name)
                if type(hook).__name__ == "WeightNorm":
                    nn.utils.remove_weight_norm(layer)
                elif type(hook).__name__ == "SpectralNorm":
                    nn.utils.remove_spectral_norm(layer)
                    layer._state_dict_hooks.clear()  # torch leaves these behind, and they want the old names
                    layer._load_state_dict_pre_hooks.clear()
    return model


def pruned_masks(model: nn.Module) -> dict[str, Tensor]:
    """The masks of a pruned model by the name of the effective weight."""
    masks = {
        name.removesuffix("_mask"): mask for name, mask in model.named_buffers() if name.endswith("_mask") and "weight" in name
    }
    return {name.removesuffix("_v"): mask for name, mask in masks.items()}


def moves(model: nn.Module, user: User, stored: nn.Module) -> list[str]:
    """The parameters that move, by DESIGN's rule; `stored` is the model as the user has it, which knows what trains."""
    ignored = {None: {"bias", "norm"} if user.geometry in RANDOM else set(), "none": set()}.get(user.ignore)
    ignored = set(user.ignore.split(",")) if ignored is None else ignored
    owners = dict(model.named_modules())
    trains = {name: parameter.requires_grad for name, parameter in stored.named_parameters(remove_duplicate=False)}
    found = []
    for name, parameter in model.named_parameters():
        prefix, _, leaf = name.rpartition(".")
        parts = [
            name,
            f"{name}_orig",
            f"{name}_v",
            f"{name}_v_orig",
            f"{prefix}.parametrizations.{leaf}.original",
            f"{prefix}.parametrizations.{leaf}.original1",
        ]
        free = any(trains.get(part, False) for part in parts) if user.only is None else fnmatch.fnmatchcase(name, user.only)
        if not (parameter.is_floating_point() or parameter.is_complex()) or not free:
            continue
        if ("norm" in ignored and isinstance(owners[prefix], NORMS)) or ("bias" in ignored and leaf.startswith("bias")):
            continue
        if not (ignored and parameter.dim() <= 1):
            found.append(name)
    return found


def labels(user: User, name: str, shape: Sequence[int]) -> Tensor:
    """Which output each entry of a parameter makes: as the user says, or by the table."""
    for glob, axes in user.axes.items():
        if fnmatch.fnmatchcase(name, glob):
            return along(*axes)(tuple(shape))
    parts = name.removeprefix("module.").split(".")
    if parts[0] == "body":
        return labels_of(KINDS[user.layers[int(parts[1])]], ".".join(parts[2:]), shape)
    return along(0)(tuple(shape))


def _wide(tensor: Tensor) -> Tensor:
    return tensor.detach().to(torch.complex128 if tensor.is_complex() else torch.float64)


def _squares(tensor: Tensor) -> Tensor:
    return _wide(tensor).abs().square()


def normals(seed: int, axis: str, name: str, shape: Sequence[int]) -> Tensor:
    """Standard normal numbers by DESIGN's recipe, float64."""
    while name.startswith(("module.", "_orig_mod.")):
        name = name.partition(".")[2]
    key = hashlib.sha256(f"{seed}/{axis}/{name}".encode()).digest()[:16]
    philox = np.random.Philox(key=np.frombuffer(key, dtype="<u8").astype(np.uint64))
    return torch.from_numpy(np.random.Generator(philox).standard_normal(tuple(shape)))


def random_direction(theta: Direction, user: User, masks: Direction, seed: int, axis: str) -> dict[str, Tensor]:
    """A Gaussian direction over some weights, normalized as the user says; float64."""
    raw = {}
    for name, weight in theta.items():
        drawn = normals(seed, axis, name, (*weight.shape, 2) if weight.is_complex() else weight.shape)
        raw[name] = (torch.view_as_complex(drawn) if weight.is_complex() else drawn) * _wide(masks.get(name, torch.ones(())))
    rule = user.normalize or "filter"
    if rule == "none":
        return raw
    if rule == "weight":
        return {name: raw[name] * _wide(theta[name]) for name in raw}
    if rule == "model":
        lengths = [math.sqrt(sum(float(_squares(part).sum()) for part in parts.values())) for parts in (theta, raw)]
        return {name: delta * lengths[0] / lengths[1] for name, delta in raw.items()}
    found = {}
    for name, delta in raw.items():
        unit = torch.zeros(delta.shape, dtype=torch.int64) if rule.endswith("layer") else labels(user, name, delta.shape)
        own, goal = unit_lengths(delta, unit), unit_lengths(theta[name], unit)
        goal = torch.ones_like(goal) if rule.startswith("unit") else goal
        scale = torch.where(own > 0, goal / own.clamp(min=1e-300), torch.zeros_like(own))
        found[name] = delta * (scale[unit] if delta.numel() else 1.0)
    return found


def unit_lengths(tensor: Tensor, unit: Tensor) -> Tensor:
    """The Euclidean length of what makes each output, `(n_outputs,)`."""
    size = int(unit.max()) + 1 if unit.numel() else 1
    return torch.zeros(size, dtype=torch.float64).index_add(0, unit.reshape(-1), _squares(tensor).reshape(-1)).sqrt()


def dot(first: Direction, second: Direction) -> float:
    return math.fsum(float((_wide(first[name]).conj() * _wide(second[name])).real.sum()) for name in first)


# --- points ---


class Oracle:
    """The values of a user's metrics at coordinates.

    Args:
        user: who.
        bn: what the run says that running statistics do.
        start: the number of the checkpoint at the origin.
        batch_size: of a loss of whole batches.
    """

    def __init__(self, user: User, bn: str, start: int, batch_size: int) -> None:
        self.user, self.bn, self.batch_size = user, bn, batch_size
        own = {"fp32": torch.float32, "fp64": torch.float64, "bf16": torch.bfloat16}[user.types]
        asked = {"fp32": torch.float32, "fp64": torch.float64, None: torch.promote_types(own, torch.float32)}[user.precision]
        self.double = asked == torch.float64
        self.types = own, asked
        self.exact = (
            own == asked or user.geometry not in RANDOM
        )  # else a run rounds its directions to a coarser type than it computes in
        self.effective = user.geometry in RANDOM
        self.origin = self._model(start)
        self.model = self._model(start)  # moved from point to point
        self.built = self._in(self.types)
        self.weights = {name: parameter.detach() for name, parameter in self.origin.named_parameters()}
        self.names = moves(self.origin, user, build(user, start).inner)
        self.masks = pruned_masks(build(user, start).inner) if self.effective else {}
        self.directions, self.statistics = self._directions()

    def follow(self, stored: Sequence[Direction]) -> None:
        """Go along the directions that a run stored, once they are seen to be right: they were rounded to the weights' type."""
        self.exact = True
        for k, found in enumerate(stored):
            self.directions[k] = {name: found[name] for name in self.directions[k]}
            self.statistics[k] = {name: found[name] for name in self.statistics[k]}

    def values(self, coordinates: Sequence[float], split: str, indices: Sequence[int]) -> dict[str, float]:
        """Each metric's value over some examples of a split, at coordinates, one for each direction."""
        model = self.at(coordinates)
        built = self.built
        with torch.no_grad():
            if self.bn == "recalibrated":
                self._recalibrate(model, built)
            examples = built.examples[split][torch.as_tensor(indices)]
            return self._evaluated(model, built, examples)

    def _evaluated(self, model: nn.Module, built: Built, examples: Examples) -> dict[str, float]:
        kind = LOSSES[self.user.loss]
        if kind.criterion is not None:
            return _of_criterion(model, built.loss, self.user, examples)
        if kind.whole:
            return _of_batches(model, built.loss, self.user, examples, self.batch_size)
        return _of_function(model, built.loss, self.user, examples)

    def own_loss(self, checkpoint: int) -> float:
        """The training loss of one of the user's checkpoints as the user has it, in the user's own types; half ones in float32."""
        types = self.types[0], torch.promote_types(self.types[0], torch.float32)
        built = self._in(types)
        with torch.no_grad():
            return self._evaluated(_in_type(build(self.user, checkpoint).inner.eval(), types), built, built.examples["train"])[
                "loss"
            ]

    def at(self, coordinates: Sequence[float]) -> nn.Module:
        """The user's model at coordinates."""
        state = dict(self.origin.state_dict())
        places = {
            name: value.data_ptr() for name, value in state.items() if isinstance(value, Tensor) and value.layout == torch.strided
        }
        for k, (direction, statistics) in enumerate(zip(self.directions, self.statistics, strict=True)):
            for name, delta in {**direction, **statistics}.items():
                if name not in state:  # a buffer that no state dict holds is the same in all checkpoints
                    continue
                same = [other for other, place in places.items() if place == places.get(name) and delta.numel()]
                moved = (state[name] if k else _wide(state[name])) + coordinates[k] * _wide(delta)
                state.update(dict.fromkeys([name, *same], moved))
        self.model.load_state_dict({name: _as(value, self.origin.state_dict()[name]) for name, value in state.items()})
        return self.model.eval()

    def _model(self, checkpoint: int) -> nn.Module:
        model = build(self.user, checkpoint).inner.eval()
        for layer in model.modules():  # load_state_dict cannot write into what expand() left
            layer._buffers.update(
                {name: b.clone() for name, b in layer._buffers.items() if b is not None and b.layout == torch.strided}
            )
        return _in_type(plain(model) if self.effective else model, self.types)

    def _in(self, types: tuple[torch.dtype, torch.dtype]) -> Built:
        built = build(self.user)
        examples = {name: part.to(*types) for name, part in built.examples.items()}
        loss = _in_type(built.loss, types) if isinstance(built.loss, nn.Module) else built.loss
        return Built(built.model, built.inner, loss, examples)

    def _directions(self) -> tuple[list[dict[str, Tensor]], list[dict[str, Tensor]]]:
        """The directions, and those of the running statistics, in float64."""
        user = self.user
        moving = {name: self.weights[name] for name in self.names}
        if user.geometry in RANDOM:
            axes = {"line": ["x"], "draws": ["x", "x"]}.get(user.geometry, ["x", "y"])
            seeds = [user.seed + (k if user.geometry == "draws" else 0) for k in range(len(axes))]
            found = [random_direction(moving, user, self.masks, seed, axis) for seed, axis in zip(seeds, axes, strict=True)]
            return found, [{} for _ in found]
        ends = [self._model(number) for number in range(2, 3 if user.geometry == "between" else 4)]
        states = [dict(end.named_parameters()) | dict(end.named_buffers()) for end in ends]
        directions = [{name: _wide(state[name]) - _wide(self.weights[name]) for name in self.names} for state in states]
        floating = {n: b for n, b in self.origin.named_buffers() if b.is_floating_point() and b.layout == torch.strided}
        statistics: list[dict[str, Tensor]] = [{} for _ in ends]
        if self.bn != "frozen":
            statistics = [{name: _wide(state[name]) - _wide(value) for name, value in floating.items()} for state in states]
        if self.bn == "recalibrated":  # makes the norms' statistics itself; what else differs between the models moves with them
            own = {
                f"{name}.{kind}"
                for name, layer in self.origin.named_modules()
                for kind in ("running_mean", "running_var")
                if hasattr(layer, kind)
            }
            statistics = [{n: part for n, part in parts.items() if n not in own and bool(part.any())} for parts in statistics]
        if user.geometry == "three, orthogonal":
            share = dot(directions[1], directions[0]) / dot(directions[0], directions[0])
            for parts in (directions, statistics):
                parts[1] = {name: part - share * parts[0].get(name, torch.zeros(())) for name, part in parts[1].items()}
        return directions, statistics

    def _recalibrate(self, model: nn.Module, built: Built) -> None:
        """Running statistics as means over all calls in some batches, each call weighing as many examples as its batch has."""
        norms = [layer for layer in model.modules() if getattr(layer, "running_mean", None) is not None]
        train = built.examples["train"]
        size = min(CALIBRATION_EXAMPLES, len(train))
        found: dict[nn.Module, list[tuple[int, Tensor, Tensor]]] = {layer: [] for layer in norms}
        part = train

        def note(layer: nn.Module, inputs: Any, output: Any) -> None:
            found[layer].append((len(part), layer.running_mean.double(), layer.running_var.double()))

        hooks = [layer.register_forward_hook(note) for layer in norms]
        for layer in norms:
            layer.train()
            layer.momentum = 1.0  # a call's own statistics
        for start in range(0, size, CALIBRATION_BATCH):
            part = train[start : min(start + CALIBRATION_BATCH, size)]
            _call(model, self.user, part)
        for layer, hook in zip(norms, hooks, strict=True):
            hook.remove()
            total = sum(n for n, _, _ in found[layer])
            layer.running_mean.copy_(sum(n / total * mean for n, mean, _ in found[layer]))
            layer.running_var.copy_(sum(n / total * variance for n, _, variance in found[layer]))
            layer.eval()


def _as(value: Any, like: Any) -> Any:
    return value.to(like.dtype) if isinstance(value, Tensor) else value


def _in_type(module: nn.Module, types: tuple[torch.dtype, torch.dtype]) -> nn.Module:
    """The module with all of its main type, and of its complex kin, in another type; what is of a third one stays."""
    old, new = types
    kin = {torch.float32: torch.complex64, torch.float64: torch.complex128}
    change = {old: new, **({kin[old]: kin[new]} if old in kin and new in kin else {})}
    return module._apply(lambda tensor: tensor.to(change.get(tensor.dtype, tensor.dtype)))


def _call(model: nn.Module, user: User, examples: Examples) -> Tensor:
    arguments, keywords, _, _ = FORMS[user.form].read(FORMS[user.form].batch(examples))
    return model(*arguments, **keywords)


def _of_criterion(model: nn.Module, criterion: nn.Module, user: User, examples: Examples) -> dict[str, float]:
    outputs, targets = _call(model, user, examples), examples.targets
    value = criterion(outputs, targets)
    value = value.double() / len(examples) if criterion.reduction == "sum" else value.double().mean()
    found = {"loss": float(value)}
    if isinstance(criterion, nn.CrossEntropyLoss | nn.NLLLoss) and not targets.is_floating_point():
        kept = targets != criterion.ignore_index
        found["accuracy"] = float(((outputs.argmax(dim=1) == targets) & kept).sum()) / float(kept.sum())
        best = outputs.topk(2, dim=1).values
        close = (best.select(1, 0) - best.select(1, 1)) <= 1e-4 * (1 + best.abs().amax())
        found["accuracy, undecided"] = float((close & kept).sum()) / float(kept.sum())
    return found


def _batches(user: User, examples: Examples, size: int) -> Iterator[tuple[Any, int]]:
    for start in range(0, len(examples), size):
        part = examples[start : start + size]
        yield FORMS[user.form].batch(part), len(part)


def _of_function(model: nn.Module, loss: Any, user: User, examples: Examples) -> dict[str, float]:
    return _ratios((loss(model, batch), None) for batch, _ in _batches(user, examples, FUNCTION_BATCH))


def _of_batches(model: nn.Module, loss: Any, user: User, examples: Examples, batch_size: int) -> dict[str, float]:
    return _ratios((loss(model, batch), size) for batch, size in _batches(user, examples, batch_size))


def _ratios(results: Iterable[tuple[Any, int | None]]) -> dict[str, float]:
    """Σ sums / Σ weights of each metric; a scalar weighs as many examples as its batch has."""
    above: dict[str, list[float]] = {}
    below: dict[str, list[float]] = {}
    for result, size in results:
        for name, item in (result if isinstance(result, dict) else {"loss": result}).items():
            sums, weights = item if isinstance(item, tuple) else (item, None)
            sums = sums.double()
            if weights is not None:
                share = float(weights.double().sum())
            elif sums.dim() == 0:
                sums, share = sums * (size or 1), float(size or 1)
            else:
                share = float(len(sums))
            above.setdefault(name, []).append(float(sums.sum()))
            below.setdefault(name, []).append(share)
    return {name: math.fsum(parts) / math.fsum(below[name]) for name, parts in above.items()}
