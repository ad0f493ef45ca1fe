"""The caller's global state kept out of a run, and put back as it was: autocast, inference mode, defaults, precision, generators."""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch

__all__ = ["isolated", "uses_gpu"]


def uses_gpu() -> bool:
    """Whether this process has begun to use a GPU; asking a device's name before would begin it."""
    return torch.cuda.is_available() and bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]  # torch has no types here


@contextmanager
def isolated(threads: int) -> Iterator[None]:
    """Torch as a fresh process has it, with so many threads, while a run computes; afterwards everything is what it was.

    Kept out are autocast, inference mode, the default device and type, the current GPU, deterministic algorithms and the precision
    of float32 products. The states of the generators of torch, numpy and Python are restored, so that a run takes no numbers from the caller's.
    """
    with ExitStack() as stack:
        stack.enter_context(_generators())
        stack.enter_context(_threads(threads))
        stack.enter_context(_current_gpu())
        stack.enter_context(_defaults())
        stack.enter_context(_determinism())
        stack.enter_context(_float32_products())
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.no_grad())
        for device in ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]:
            if torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        yield


@contextmanager
def _generators() -> Iterator[None]:
    python, legacy = random.getstate(), np.random.get_state()
    devices = range(torch.cuda.device_count()) if uses_gpu() else ()
    try:
        with torch.random.fork_rng(devices=list(devices)):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(legacy)


@contextmanager
def _threads(wanted: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(wanted)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _current_gpu() -> Iterator[None]:
    before = torch.cuda.current_device() if uses_gpu() else 0
    try:
        yield
    finally:
        if uses_gpu():
            torch.cuda.set_device(before)


@contextmanager
def _defaults() -> Iterator[None]:
    dtype, device = torch.get_default_dtype(), torch.get_default_device()
    try:
        torch.set_default_dtype(torch.float32)
        if device == torch.device("cpu"):
            yield
        else:
            with torch.device("cpu"):  # a mode of its own over the caller's, slower than none
                yield
    finally:
        torch.set_default_dtype(dtype)


@contextmanager
def _determinism() -> Iterator[None]:
    asked, only_warn = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    try:
        if asked:
            torch.use_deterministic_algorithms(False)
        yield
    finally:
        if asked:
            torch.use_deterministic_algorithms(True, warn_only=only_warn)


@contextmanager
def _float32_products() -> Iterator[None]:
    """Full precision in float32 products. Torch has an old and a new way to say so, and raises where both were used."""
    holders = _precision_holders()
    before = [holder.fp32_precision for holder in holders]
    with _unwarned():
        try:
            old: str | None = torch.get_float32_matmul_precision()
        except RuntimeError:  # set in the new way
            old = None
        cudnn = [getattr(torch.backends.cudnn, name, None) for name in ("conv", "rnn")]
        for holder in holders:  # as in a fresh process
            holder.fp32_precision = "tf32" if holder in cudnn else "none"
        torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        with _unwarned():
            if old is not None:
                torch.set_float32_matmul_precision(old)
            for holder, precision in zip(holders, before, strict=True):
                if holder.fp32_precision != precision:
                    holder.fp32_precision = precision


@contextmanager
def _unwarned() -> Iterator[None]:
    """Without torch's warnings of the old way, which some of its own code still takes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _precision_holders() -> list[Any]:
    backends = torch.backends
    found = [backends, backends.cuda.matmul, backends.cudnn, backends.mkldnn]
    found += [getattr(backends.cudnn, name, None) for name in ("conv", "rnn")]
    found += [getattr(backends.mkldnn, name, None) for name in ("conv", "matmul", "rnn")]
    return [holder for holder in found if holder is not None and hasattr(holder, "fp32_precision")]
