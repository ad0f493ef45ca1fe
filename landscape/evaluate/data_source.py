"""Where the examples live while points are measured: on the device once, or streamed to it batch by batch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from landscape.evaluate.precision import Conversion
from landscape.problem.data import Batch, Examples, map_tensors

__all__ = ["DataSource", "Form", "OnDevice", "Span", "Streaming", "place"]

Span = tuple[int, int]


@dataclass(frozen=True)
class Form:
    """How tensors reach the model: those of its main type in the engine's, images in its memory layout, all on its device."""

    device: torch.device
    conversion: Conversion
    channels_last: bool

    def of(self, tensor: Tensor) -> Tensor:
        """A copy of a tensor in this form."""
        formed = tensor.to(self.device, self.conversion.of(tensor.dtype), copy=True)
        return formed.contiguous(memory_format=torch.channels_last) if self.channels_last and tensor.dim() == 4 else formed

    def n_bytes(self, examples: Examples) -> int:
        """What a split occupies in this form."""
        sizes: list[int] = []

        def count(tensor: Tensor) -> Tensor:
            sizes.append(tensor.numel() * self.conversion.of(tensor.dtype).itemsize)
            return tensor

        map_tensors(count, examples.tensors)
        return sum(sizes)


class DataSource(ABC):
    """One split, handed out in batches."""

    @abstractmethod
    def batches(self, spans: Sequence[Span]) -> Iterator[Batch]:
        """The examples of each span (start, stop), in the form the model takes."""

    def overwritten(self) -> bool:
        """Whether the examples were overwritten since the last look; they are restored then."""
        return False


class OnDevice(DataSource):
    """A split kept on the device. Batches are views, until a model is seen to overwrite its input: then they are copies.

    A model may do so, as one with ReLU(inplace=True) in front does; torch counts the changes of every tensor, so that it is noticed
    at the end of a pass, and the split restored.
    """

    def __init__(self, examples: Examples, form: Form) -> None:
        self._source = examples
        self._form = form
        self._copies = False
        self._restore()

    def batches(self, spans: Sequence[Span]) -> Iterator[Batch]:
        """See `DataSource.batches`."""
        for start, stop in spans:
            batch = self._held.batch(start, stop)
            yield map_tensors(torch.clone, batch) if self._copies else batch

    def overwritten(self) -> bool:
        """See `DataSource.overwritten`; from the first time on, copies are handed out."""
        if self._versions() == self._seen:
            return False
        self._copies = True
        self._restore()
        return True

    def _restore(self) -> None:
        self._held = self._source  # so that the old copy goes before the new one is made
        self._held = Examples(self._source.split, map_tensors(self._form.of, self._source.tensors))
        self._seen = self._versions()

    def _versions(self) -> list[int]:
        found: list[int] = []

        def note(tensor: Tensor) -> Tensor:
            found.append(tensor._version)
            return tensor

        map_tensors(note, self._held.tensors)
        return found


class Streaming(DataSource):
    """A split that stays on the host; each batch is a copy, and on a GPU the next one travels while the present one is used."""

    def __init__(self, examples: Examples, form: Form) -> None:
        self._form = form
        self._gpu = form.device.type == "cuda"
        tensors = map_tensors(torch.Tensor.pin_memory, examples.tensors) if self._gpu else examples.tensors
        self._held = Examples(examples.split, tensors)
        self._side = torch.cuda.Stream(form.device) if self._gpu else None  # type: ignore[no-untyped-call]  # torch has no types here

    def batches(self, spans: Sequence[Span]) -> Iterator[Batch]:
        """See `DataSource.batches`."""
        if self._side is None:
            for start, stop in spans:
                yield map_tensors(self._form.of, self._held.batch(start, stop))
            return
        used: list[torch.cuda.Event] = []
        ahead = self._send(*spans[0], self._side) if spans else None
        for following in [*spans[1:], None]:
            torch.cuda.current_stream(self._form.device).wait_stream(self._side)
            if len(used) > 1:
                used.pop(0).synchronize()  # no more than a few batches wait for the GPU, or they would fill its memory
            batch, ahead = ahead, None if following is None else self._send(*following, self._side)
            yield map_tensors(self._received, batch)
            used.append(torch.cuda.current_stream(self._form.device).record_event())

    def _send(self, start: int, stop: int, side: torch.cuda.Stream) -> Batch:
        with torch.cuda.stream(side):
            return map_tensors(lambda t: t.to(self._form.device, non_blocking=True), self._held.batch(start, stop))

    def _received(self, tensor: Tensor) -> Tensor:
        tensor.record_stream(torch.cuda.current_stream(self._form.device))  # its memory is free only after this stream used it
        return self._form.of(tensor)


def place(examples: Examples, form: Form, budget: float) -> DataSource:
    """A split on the device where it fits the budget in bytes, else streamed from the host; the values are the same."""
    return OnDevice(examples, form) if form.n_bytes(examples) <= budget else Streaming(examples, form)
