"""Strange users: a model, a loss, data and wishes, described in words and drawn by hypothesis; and the description made real.

A description holds strings and numbers alone, so that what hypothesis prints can be pasted: `build(User(...))` is the same user
again, to the last bit. A user is drawn around one *feature*, such as `layer: conv2d` or `caller: autocast`; all else is free, as far as
it goes together. The rules of what goes together (`_CLASHES`) are those of the documentation, not of the code.
"""

from __future__ import annotations

import contextlib
import copy
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from forms import FORMS, Examples
from handmade import complex_type
from hypothesis import assume
from hypothesis import strategies as st
from kinds import KINDS, VOCABULARY, chain, season
from losses import HEADS, LOSSES
from torch import Tensor, nn

Draw = Callable[[st.SearchStrategy[Any]], Any]

_SIZES: dict[str, tuple[tuple[int, ...], ...]] = {
    "vector": ((4,), (2,), (6,)),
    "image1": ((2, 5), (4, 4)),
    "image2": ((2, 4, 5), (4, 4, 4), (2, 5, 4)),
    "image3": ((2, 4, 4, 4), (4, 4, 4, 5)),
    "sequence": ((3, 4), (2, 2), (4, 6)),
    "tokens": ((3,), (5,)),
    "complex": ((4,), (2,)),
}
_STEPS = (-1.0, -0.5, -0.25, 0.0, 0.3, 0.7, 1.0)
_BETWEEN = (-0.25, 0.0, 0.4, 0.5, 1.0, 1.2)

# What a user chooses beside the layers: dimension -> the choices, the usual one first.
CHOICES: dict[str, tuple[Any, ...]] = {
    "types": ("fp32", "fp64", "bf16"),
    "front": ("none", "float64 stamps", "uint8", "half", "bool", "int64", "strided", "expanded"),
    "form": tuple(FORMS),
    "loss": tuple(LOSSES),
    "geometry": ("plane", "line", "draws", "between", "three", "three, orthogonal", "again"),
    "normalize": (None, "filter", "layer", "weight", "model", "unit-filter", "unit-layer", "none"),
    "ignore": (None, "none", "bias", "norm", "bias,norm"),
    "only": (None, "*head.*"),
    "filters": (None, "given"),
    "frozen": (None, "body", "biases"),
    "bn": (None, "frozen", "recalibrated", "interpolated"),
    "precision": (None, "fp32", "fp64"),
    "examples": (None, "random", "first"),
    "n": ("few", "many"),
    "split": (None, "train,test"),
    "batch_size": (None, 1, 3, 5, 1000),
    "engine": (None, "batched"),
    "where": (None, "streamed", "offloaded"),
    "run": (None, "extended", "in parts"),
    "start": (None, "module", "state dict", "file", "prefixed file"),
    "caller": (
        "nobody", "autocast", "inference mode", "without gradients", "float64 by default", "medium precision", "bfloat16 products",
        "meta by default",
    ),
    "wrap": ("none", "data parallel", "averaged"),
    "training": (False, True),
}  # fmt: skip


@dataclass(frozen=True)
class User:
    """What one user has and wants; `CHOICES` has the words."""

    layers: tuple[str, ...]
    sizes: tuple[int, ...]
    seed: int
    x: tuple[float, ...]
    y: tuple[float, ...] = ()
    types: str = "fp32"
    front: str = "none"
    form: str = "tensors"
    loss: str = "cross-entropy"
    geometry: str = "plane"
    normalize: str | None = None
    ignore: str | None = None
    only: str | None = None
    filters: str | None = None
    frozen: str | None = None
    bn: str | None = None
    precision: str | None = None
    examples: str | None = None
    n: str = "few"
    split: str | None = None
    batch_size: int | None = None
    engine: str | None = None
    where: str | None = None
    run: str | None = None
    start: str | None = None
    caller: str = "nobody"
    wrap: str = "none"
    training: bool = False

    @property
    def place(self) -> str:
        return KINDS[self.layers[0]].takes

    @property
    def axes(self) -> dict[str, tuple[int, ...]]:
        """What the user says of filters: glob of parameter names -> the axes that count outputs."""
        if self.filters is None:
            return {}
        return {"*head.weight": (1,), **({"*.experts": (0, 1)} if "experts" in self.layers else {})}

    @property
    def n_examples(self) -> int:
        return {"few": 6, "many": 256}[self.n] + 2 + self.seed % 13  # at least two more, so that no batch is of one example

    def features(self) -> set[str]:
        chosen = {f"{name}: {getattr(self, name)}" for name in CHOICES if getattr(self, name) is not None}
        return {f"layer: {name}" for name in self.layers} | chosen

    def __repr__(self) -> str:
        usual = User((), (), 0, ())
        shown = [
            f for f in fields(self) if f.name in ("layers", "sizes", "seed", "x") or getattr(self, f.name) != getattr(usual, f.name)
        ]
        return f"User({', '.join(f'{f.name}={getattr(self, f.name)!r}' for f in shown)})"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))  # as hypothesis prints it


FEATURES: tuple[str, ...] = (
    *[f"layer: {name}" for name in KINDS],
    *[f"{name}: {choice}" for name, choices in CHOICES.items() for choice in choices if choice is not None],
)

RANDOM = ("plane", "line", "draws", "again")
THROUGH = ("between", "three", "three, orthogonal")

# --- what does not go together ---

Chosen = Mapping[str, Any]  # dimension -> choice, of those chosen so far; "layers" among them


def _words(chosen: Chosen) -> set[str]:
    return {word for name in chosen.get("layers", ()) for word in KINDS[name].words}


def _has(chosen: Chosen, text: str) -> bool:
    return any(text in name for name in chosen.get("layers", ()))


def _loss(chosen: Chosen) -> Any:
    return LOSSES[chosen["loss"]] if "loss" in chosen else None


def _form(chosen: Chosen) -> Any:
    return FORMS[chosen["form"]] if "form" in chosen else None


def _batchwise_alone(chosen: Chosen) -> bool:
    """A layer that looks at the whole batch goes with a loss of whole batches alone."""
    loss = _loss(chosen)
    return loss is not None and not loss.whole and any(KINDS[name].batchwise for name in chosen.get("layers", ()))


def _form_and_loss(chosen: Chosen) -> bool:
    form, loss = _form(chosen), _loss(chosen)
    if form is None or loss is None:
        return False
    return (
        (loss.criterion is not None and not form.criterion)
        or ("numbers" in loss.words and not form.numbered)
        or (loss.targets is not None and chosen["form"] == "inputs alone")
    )


def _place_and_inputs(chosen: Chosen) -> bool:
    if not chosen.get("layers"):
        return False
    real = KINDS[chosen["layers"][0]].takes not in ("tokens", "complex")
    form = _form(chosen)
    return not real and (chosen.get("front", "none") != "none" or (form is not None and form.shifted))


def _types(chosen: Chosen) -> bool:
    """Another type to compute in than the model's own: where all of it is of one type, and no user's `.float()` stands in the way."""
    own = chosen.get("types", "fp32")
    converted = own == "bf16" or chosen.get("precision") not in (None, own)
    odd = chosen.get("front", "none") != "none" or "mixed" in _words(chosen)
    half = own == "bf16" and (  # what torch or numpy has no bfloat16 for
        "arrays" in chosen.get("form", "")
        or "complex" in _words(chosen)
        or any(
            _has(chosen, word) for word in ("norm", "orthogonal", "bag", "global", "packed", "parametrizations", "average pool 3d")
        )
    )
    return (converted and odd) or half


_CLASHES: tuple[Callable[[Chosen], bool], ...] = (
    _batchwise_alone,
    _form_and_loss,
    _place_and_inputs,
    _types,
    lambda c: c.get("loss") == "contrastive" and c.get("types") == "bf16",
    lambda c: c.get("bn") == "interpolated" and c.get("geometry", "between") not in THROUGH,
    lambda c: c.get("normalize") is not None and c.get("geometry", "plane") in (*THROUGH, "again"),
    lambda c: c.get("filters") is not None and c.get("geometry", "plane") in (*THROUGH, "again"),
    lambda c: c.get("run") is not None and c.get("geometry") == "again",
    lambda c: c.get("geometry") == "again" and any(c.get(name) is not None for name in ("ignore", "only")),
    lambda c: c.get("examples") == "random" and c.get("loss", "numbered") != "numbered",
    lambda c: c.get("examples") == "random" and c.get("n") == "many",
    lambda c: c.get("examples") == "random" and _form(c) is not None and not _form(c).numbered,
    # What order a shuffled loader gives is its own affair, and only means over all examples do not depend on it.
    lambda c: c.get("form") == "shuffled loader" and (c.get("examples") == "first" or (_loss(c) is not None and _loss(c).whole)),
    lambda c: c.get("form") == "shuffled loader" and c.get("n") == "many",  # batches of a recalibration
    lambda c: c.get("examples") is not None and _loss(c) is not None and _loss(c).whole,
    lambda c: c.get("loss") == "numbered" and c.get("n") == "many",  # 2^i has to be exact
    lambda c: c.get("engine") == "batched" and (c.get("bn") == "recalibrated" or c.get("where") == "offloaded"),
    lambda c: _loss(c) is not None and "parts" in _loss(c).words and c.get("wrap", "none") != "none",
    lambda c: _loss(c) is not None and "parameters" in _loss(c).words and _effective(c.get("layers", ())),
    lambda c: "extra state" in _words(c) and "file" in (c.get("start") or ""),
    lambda c: c.get("loss") == "contrastive" and (c.get("batch_size") == 1 or _has(c, "instancenorm")),  # constants
    lambda c: _has(c, "untracked") and c.get("batch_size") == 1,
    lambda c: c.get("only") is not None and c.get("frozen") is not None,
    # Of these two hooks of torch's the first takes what the second computed in the call before: no function of what is stored.
    lambda c: _has(c, "pruned within") and c.get("geometry", "plane") in THROUGH,
    # What makes its own state in the default type wants a model of that type, and the user's own default.
    lambda c: _has(c, "own state") and (c.get("types", "fp32") != "fp32" or c.get("precision") == "fp64"),
    lambda c: _has(c, "view(") and (_has(c, "channels last") or _has(c, "permuted") or c.get("front") == "strided"),  # torch itself refuses
    lambda c: "relu in place" in c.get("layers", ()) and c.get("front") == "expanded",  # and here too
)  # fmt: skip


def _effective(layers: Sequence[str]) -> bool:
    """Whether some layer's weight is made of other tensors than itself."""
    words = ("weight_norm", "spectral_norm", "orthogonal", "parametrization", "pruned")
    return any(word in name for name in layers for word in words)


def _fits(chosen: Chosen) -> bool:
    return not any(clash(chosen) for clash in _CLASHES)


# --- drawing ---


@st.composite
def users(draw: Draw, feature: str, avoided: frozenset[str] = frozenset()) -> User:
    """A user with a feature, and with none of those that are avoided but this."""
    dimension, _, word = feature.partition(": ")
    pinned = {} if dimension == "layer" else {dimension: next(c for c in CHOICES[dimension] if str(c) == word)}
    layers, sizes = _layers(draw, word if dimension == "layer" else None, pinned, avoided)
    chosen: dict[str, Any] = {**pinned, "layers": layers}
    assume(_fits(chosen))
    spare = draw(st.integers(0, 6))  # how many dimensions may leave the usual
    order = [name for name in CHOICES if name not in chosen]
    free = draw(st.lists(st.sampled_from(order), max_size=spare, unique=True))
    for name in [*free, *[name for name in order if name not in free]]:
        options = [option for option in CHOICES[name] if f"{name}: {option}" not in avoided and _fits({**chosen, name: option})]
        assume(options)
        chosen[name] = draw(st.sampled_from(options)) if name in free else options[0]
    steps = _BETWEEN if chosen["geometry"] in THROUGH else _STEPS
    axis = st.lists(st.sampled_from(steps), min_size=1, max_size=2, unique=True).map(lambda values: tuple(sorted(values)))
    flat = chosen["geometry"] in ("line", "draws", "between")
    return User(seed=draw(st.integers(0, 99)), sizes=sizes, x=draw(axis), y=() if flat else draw(axis), **chosen)


def _layers(draw: Draw, wanted: str | None, pinned: Chosen, avoided: frozenset[str]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """A chain of kinds from some place to a vector, with the kind that is wanted in it."""
    fitting = [name for name in KINDS if f"layer: {name}" not in avoided and _fits({**pinned, "layers": (name,)})]
    first = wanted or draw(st.sampled_from(fitting))
    names = [first]
    if draw(st.booleans()):
        before = [name for name in fitting if KINDS[name].takes == KINDS[name].gives == KINDS[first].takes]
        names = [*draw(st.lists(st.sampled_from(before), max_size=1)), *names] if before else names
    if draw(st.booleans()):
        after = [name for name in fitting if KINDS[name].takes == KINDS[name].gives == KINDS[first].gives]
        names += draw(st.lists(st.sampled_from(after), max_size=1)) if after else []
    while KINDS[names[-1]].gives != "vector":
        ways = [n for n in KINDS if KINDS[n].takes == KINDS[names[-1]].gives != KINDS[n].gives]
        ways = [n for n in ways if n in fitting] or ways
        names.append(draw(st.sampled_from(ways)))
    sizes = draw(st.sampled_from(_SIZES[KINDS[names[0]].takes]))
    return tuple(names), sizes


# --- making it real ---


class Front(nn.Module):
    """What a user does to inputs of another type before the first layer, in fp32 or the type of the whole model."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.dtype = torch.get_default_dtype()

    def forward(self, x: Tensor, shift: Tensor | None = None) -> Tensor:
        if self.kind == "float64 stamps":
            x = (x - 1e6).to(self.dtype)
        elif self.kind == "uint8":
            x = x.to(self.dtype) / 255
        elif self.kind in ("half", "bool", "int64"):
            x = x.to(self.dtype)
        return x if shift is None else x + shift.reshape(-1, *[1] * (x.dim() - 1))


class Model(nn.Module):
    def __init__(self, front: nn.Module, body: nn.Module, width: int, outputs: str) -> None:
        super().__init__()
        self.front = front
        self.body = body
        self.head = nn.Linear(width, HEADS[outputs][0])
        self.last = nn.Sequential(*HEADS[outputs][1]())

    def forward(self, x: Tensor, shift: Tensor | None = None) -> Tensor:
        return self.last(self.head(self.body(self.front(x, shift))))


class Averaged(nn.Module):
    """A model inside another, as torch.optim.swa_utils holds it."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *arguments: Any, **keywords: Any) -> Tensor:
        return self.module(*arguments, **keywords)


@dataclass(frozen=True)
class Built:
    """A user's own things."""

    model: nn.Module  # as the user holds it
    inner: nn.Module  # without DataParallel around it
    loss: Any
    examples: Mapping[str, Examples] = field(default_factory=dict)


_TYPES = {"fp32": torch.float32, "fp64": torch.float64, "bf16": torch.float32}


@contextlib.contextmanager
def _of_type(dtype: torch.dtype, seed: int) -> Iterator[None]:
    """A default type and a seed, the caller's own afterwards."""
    before = torch.get_default_dtype()
    try:
        torch.set_default_dtype(dtype)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_default_dtype(before)


def build(user: User, checkpoint: int = 0) -> Built:
    """A user's model, loss and examples; `checkpoint` draws other weights for the same model."""
    kind = LOSSES[user.loss]
    dtype = _TYPES[user.types]
    with _of_type(dtype, 1000 * user.seed + checkpoint):
        layers, sizes = chain(user.layers, user.sizes)
        inner: nn.Module = Model(Front(user.front), nn.Sequential(*layers), sizes[0], kind.outputs)
        season(inner)
    with _of_type(dtype, 1000 * user.seed + 999):
        examples = {"train": _examples(user, user.n_examples), "test": _examples(user, 7)}
        loss = kind.criterion() if kind.criterion is not None else kind.function(FORMS[user.form].read)
    if user.types == "bf16":
        inner = inner.to(torch.bfloat16)
        examples = {name: part.to(torch.float32, torch.bfloat16) for name, part in examples.items()}
    if user.frozen is not None:
        for name, parameter in inner.named_parameters():
            if name.startswith("body") if user.frozen == "body" else "bias" in name:
                parameter.requires_grad_(False)
    _use(inner.eval(), examples["train"])
    inner.train(user.training)
    if user.wrap == "averaged":
        inner = Averaged(inner)
    model = nn.DataParallel(inner) if user.wrap == "data parallel" else inner
    return Built(model, inner, loss, examples)


def _use(model: nn.Module, examples: Examples) -> None:
    """Call a model with gradients on, as people do before they look at it: some layers keep what they computed."""
    model(examples.inputs[:2])


def _examples(user: User, n: int) -> Examples:
    shape = (n, *user.sizes)
    if user.place == "tokens":
        inputs = torch.randint(VOCABULARY, shape)
    elif user.place == "complex":
        inputs = torch.randn(shape, dtype=complex_type())
    else:
        inputs = _real_inputs(user.front, shape)
    targets = LOSSES[user.loss].targets
    return Examples(inputs, torch.randn(n), None if targets is None else targets(n), torch.arange(n))


def _real_inputs(front: str, shape: tuple[int, ...]) -> Tensor:
    if front == "float64 stamps":
        return 1e6 + torch.randn(shape, dtype=torch.float64)
    if front == "uint8":
        return torch.randint(256, shape, dtype=torch.uint8)
    if front == "half":
        return torch.randn(shape).half()
    if front == "expanded":  # one and the same memory for all examples
        return torch.randn(shape[1:]).expand(shape)
    if front == "strided":  # the memory of a transposed tensor
        return torch.randn(*reversed(shape)).permute(*reversed(range(len(shape))))
    if front == "bool":
        return torch.rand(shape) < 0.5
    return torch.randint(-2, 3, shape) if front == "int64" else torch.randn(shape)


def checkpoint_of(user: User, number: int, form: str | None, folder: Path) -> Any:
    """One of a user's checkpoints, held as a module, a state dict or a file."""
    model = build(user, number).inner
    if form in (None, "module"):
        return model
    state = OrderedDict(
        (name, value.clone() if isinstance(value, Tensor) else copy.copy(value)) for name, value in model.state_dict().items()
    )
    if form == "state dict":
        return state
    path = folder / f"checkpoint{number}.pt"
    prefixed = {f"module.{name}": value for name, value in state.items()}
    torch.save({"state_dict": prefixed, "epoch": 3} if form == "prefixed file" else state, path)
    return path


@contextlib.contextmanager
def calling(caller: str) -> Iterator[None]:
    """The state of torch in which a user calls us."""
    with contextlib.ExitStack() as stack:
        if caller == "autocast":
            stack.enter_context(torch.autocast("cpu", dtype=torch.bfloat16))
        elif caller == "inference mode":
            stack.enter_context(torch.inference_mode())
        elif caller == "without gradients":
            stack.enter_context(torch.no_grad())
        elif caller == "float64 by default":
            stack.callback(torch.set_default_dtype, torch.get_default_dtype())
            torch.set_default_dtype(torch.float64)
        elif caller == "medium precision":
            stack.callback(torch.set_float32_matmul_precision, torch.get_float32_matmul_precision())
            torch.set_float32_matmul_precision("medium")
        elif caller == "bfloat16 products":
            stack.callback(setattr, torch.backends.mkldnn.matmul, "fp32_precision", torch.backends.mkldnn.matmul.fp32_precision)
            torch.backends.mkldnn.matmul.fp32_precision = "bf16"
        elif caller == "meta by default":
            stack.enter_context(torch.device("meta"))
        yield
