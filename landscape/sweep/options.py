"""What `landscape.line` and `landscape.surface` take, in Python and on the command line: declared here, once.

Annotations are no strings here, and those in quotes are not looked up: the command line reads them without loading torch.
"""

import math
import os
import re
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from landscape.core.choices import CHECKS, MODES, NORMALIZATIONS, POLICIES, PRECISIONS
from landscape.core.grid import AxisLike, axis_values
from landscape.declaration import Option, between, check_fields, valid
from landscape.errors import InputError
from landscape.sweep.blocks import Part
from landscape.sweep.seeds import check_seed, check_seeds, read_seeds

if TYPE_CHECKING:
    from landscape.checkpoints import Checkpoint
    from landscape.core.directions import Normalization, Only
    from landscape.problem import Problem

__all__ = [
    "DEVICE", "PROBLEM", "THREADS", "LineOptions", "Options", "SurfaceOptions", "bytes_of", "check_threads", "read_examples", "seconds_of",
]  # fmt: skip

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def seconds_of(limit: float | str | None) -> float | None:
    """A time limit in seconds.

    >>> seconds_of("1h30m"), seconds_of("55m"), seconds_of(20)
    (5400.0, 3300.0, 20.0)

    Raises:
        InputError: when it is neither a number nor made of numbers with s, m, h or d.
    """
    if limit is None:
        return None
    text = str(limit).strip().lower()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    if not re.fullmatch(r"(\d+(\.\d+)?[smhd])+", text):
        raise InputError(f'time limit "{limit}" is neither seconds nor like 55m, 1h30m or 2d')
    return sum(float(number) * _UNITS[unit] for number, _, unit in re.findall(r"(\d+(\.\d+)?)([smhd])", text))


def bytes_of(budget: float | str, free: float) -> float:
    """A memory budget in bytes, of which so many are free.

    >>> bytes_of("80%", 1000), bytes_of("2K", 1000), bytes_of(512, 1000)
    (800.0, 2048.0, 512.0)

    Raises:
        InputError: when it is neither bytes, nor like 500M or 8G, nor a percentage.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(%|[KMGT]?)B?", str(budget).strip().upper().replace("IB", ""))
    if not found or float(found[1]) <= 0 or (found[2] == "%" and float(found[1]) > 100):
        raise InputError(f'memory "{budget}" is neither like 500M or 8G nor a share of what is free like 80%')
    number, unit = float(found[1]), found[2]
    return number / 100 * free if unit == "%" else number * 1024.0 ** " KMGT".index(unit or " ")


def read_examples(text: str) -> int | str:
    """A number of examples, or first:N as it stands."""
    return int(text) if re.fullmatch("[0-9]{1,18}", text) else text


def _split_words(split: str | Sequence[str]) -> list[str]:
    """The splits that are named.

    Raises:
        InputError: when there is none, one without a name, or one named twice.
    """
    words = split.split(",") if isinstance(split, str) else list(split)
    if not words or not all(words):
        raise InputError(f'"{split}" leaves a split without a name; write for example train or train,test')
    twice = next((word for i, word in enumerate(words) if word in words[:i]), None)
    if twice is not None:
        raise InputError(f'the data split "{twice}" is named twice; name each once')
    return words


def _above_zero(value: float) -> float:
    if not (math.isfinite(value) and value > 0):
        raise InputError(f"{value:g} is not a number above 0")
    return value


check_threads = between(1, 4096)
_directions, _data, _computing = (partial(Option, group=group) for group in ("directions", "data", "computing"))

PROBLEM = Option(
    'model, loss and data; on the command line a name of the zoo (see "landscape problems"), or package.module:factory for your own',
    "PROBLEM",
)
DEVICE = _computing("where to compute", "auto|cpu|cuda[:i]")
THREADS = _computing("CPU threads of each rank", "N", default="the cores shared out", check=check_threads)


@dataclass(frozen=True, kw_only=True)
class Options:
    """What lines and planes share: how directions are made, what is measured, how it is computed, and where it is kept."""

    seed: Annotated[int, _directions("of random directions and samples of examples", "S", check=check_seed)] = 0
    normalize: Annotated[
        "Normalization | None",
        _directions(
            "scale of random directions", choices=NORMALIZATIONS, default="filter", or_function="(filters, weights) -> filters"
        ),
    ] = None
    ignore: Annotated[
        str | Sequence[str] | None,
        _directions("what stays fixed", "bias,norm|none", default="bias,norm for random directions, else none"),
    ] = None
    only: Annotated[
        "Only",
        _directions("move these parameters alone, a head, a layer, a LoRA", "GLOB", or_function="(name, parameter) -> bool"),
    ] = None
    directions: Annotated[
        str | os.PathLike[str] | None, _directions("use the directions in a file, ours or tomgoldstein's", "FILE")
    ] = None
    save_directions: Annotated[bool, _directions("write the directions into the file")] = False
    bn: Annotated[
        str | None,
        _directions(
            "running statistics: along the line, the origin's, or estimated anew at each point over the first 2,048 training examples",
            choices=POLICIES,
            default="frozen; between checkpoints interpolated, or recalibrated where a running variance would be negative",
        ),
    ] = None
    split: Annotated[
        str | Sequence[str] | None,
        _data("data splits, measured in one pass", "train,test", default="train", check=valid(_split_words)),
    ] = None
    examples: Annotated[
        int | str | None, _data("a random sample of N examples, or the first N", "N|first:N", default="all", read=read_examples)
    ] = None
    tolerance: Annotated[float, _data("a point may stop at a standard error below T × its loss", "T", default="0, off")] = 0.0
    device: Annotated[str, DEVICE] = "auto"
    threads: Annotated[int | None, THREADS] = None
    batch_size: Annotated[
        int | None, _computing("examples computed at once", "N", default="128, on a GPU 1024", check=between(1, 1_000_000_000))
    ] = None
    precision: Annotated[
        str | None, _computing("arithmetic; tf32 and bf16 are audited", choices=PRECISIONS, default="the model's")
    ] = None
    audit_tolerance: Annotated[
        float, _computing("relative deviation from fp32 allowed to tf32 and bf16", "E", check=_above_zero)
    ] = 0.01
    engine: Annotated[str | None, _computing("way of computing", choices=MODES, default="eager")] = None
    memory: Annotated[
        float | str,
        _computing(
            "what examples may occupy on the device, of what is free; more is streamed",
            "8G|80%",
            check=valid(lambda budget: bytes_of(budget, 0.0)),
        ),
    ] = "80%"
    offload: Annotated[bool, _computing("keep directions in main memory (on the CPU, in a file)")] = False
    check: Annotated[str, _computing("what a failed self-check does: end the run, or go on", choices=CHECKS)] = "raise"
    time_limit: Annotated[
        float | str | None, _computing("start no point that would overrun; exit code 3 then", "55m", check=valid(seconds_of))
    ] = None
    part: Annotated[
        str | None, _computing("the i-th of n parts alone, without MPI; merge puts them together", "i/n", check=valid(Part.of))
    ] = None
    basin_level: Annotated[float, _computing("height of the basin above the origin", "NATS", check=_above_zero)] = 1.0
    executor: Annotated[
        Any,
        _computing(
            "pool whose processes compute the points: whatever has `submit`, as those of concurrent.futures, mpi4py.futures and Dask, "
            "or `map`, in order; values do not depend on it",
            typed=False,
        ),
    ] = None
    yes: Annotated[bool, _computing("really measure a million points or more")] = False
    to: Annotated[
        str | os.PathLike[str] | None,
        Option("the surface file; one that is there is resumed", "FILE.h5", flags=("-o", "--out"), required=True),
    ] = None
    overwrite: Annotated[bool, Option("replace a file that is there")] = False
    quiet: Annotated[bool, Option("no progress and no notes")] = False
    command: Annotated[str | None, Option("what the file records as the command that made it", typed="whole")] = None

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def ignored(self) -> tuple[str, ...] | None:
        """The words of `ignore`; none of them for "none"."""
        if self.ignore is None:
            return None
        words = self.ignore.split(",") if isinstance(self.ignore, str) else list(self.ignore)
        return () if words in (["none"], []) else tuple(sorted(words))

    def splits(self, available: Sequence[str]) -> list[str]:
        """The splits measured on: those asked for, else the training split, else the first."""
        if self.split is None:
            return ["train" if "train" in available else available[0]]
        return _split_words(self.split)


_axis = partial(Option, metavar="start:stop:n", check=valid(axis_values))


@dataclass(frozen=True)
class LineOptions(Options):
    """What `landscape.line` takes."""

    problem: Annotated["Problem", PROBLEM]
    start: Annotated[
        "Checkpoint | None", Option("checkpoint at x = 0", "CKPT_A", default="the problem's own model", required=True)
    ] = None
    end: Annotated["Checkpoint | None", Option("checkpoint at x = 1; without it the direction is random", "CKPT_B")] = None
    _: KW_ONLY
    x: Annotated[AxisLike | None, _axis("points along the line", default="-0.5:1.5:401 between checkpoints, else -1:1:51")] = None
    seeds: Annotated[
        Sequence[int] | None, Option("several random directions: median and band", "1..10", read=read_seeds, check=check_seeds)
    ] = None


@dataclass(frozen=True)
class SurfaceOptions(Options):
    """What `landscape.surface` takes."""

    problem: Annotated["Problem", PROBLEM]
    start: Annotated[
        "Checkpoint | None", Option("checkpoint at the origin", "CKPT", default="the problem's own model", required=True)
    ] = None
    end_x: Annotated["Checkpoint | None", Option("checkpoint at (1, 0)", "CKPT_B")] = None
    end_y: Annotated["Checkpoint | None", Option("checkpoint at (0, 1)", "CKPT_C")] = None
    _: KW_ONLY
    x: Annotated[AxisLike | None, _axis("points along x", default="-1:1:51, through three checkpoints -0.5:1.5:51")] = None
    y: Annotated[AxisLike | None, _axis("points along y", default="as for x")] = None
    orthogonalize: Annotated[bool, Option("replace y by its part orthogonal to x; marks keep the models' true places")] = False
