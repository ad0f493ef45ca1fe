"""Setting a model to the points of a subspace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from landscape.core.subspace import Subspace
from landscape.core.weights import to_double
from landscape.evaluate.running_variances import Variances

__all__ = ["WeightSetter"]

_LARGE = 64 * 2**20  # bytes of weights from which on the CPU handles single tensors as fast as one flat buffer
_COARSE = (torch.float16, torch.bfloat16, torch.complex32)

Parts = Mapping[str, Tensor]


class WeightSetter:
    """Sets a private model to θ* + Σ c_k δ_k, on its device and in its types and memory layout.

    The parameters that move become views into flat buffers, one for each type. Origin and directions are flat too, so that a point is
    one sweep over them for each direction; where they are large, or stay on the host, they are used tensor by tensor as they are
    instead, which takes no second copy. Running statistics are few but divide what passes through them, so that a rounding at a small
    variance counts: they are moved in float64 and cast once, and the end of a line between two models has the second one's statistics
    to the last bit. So are parameters that keep a half type, which would swallow a small step. Where a running variance would be
    negative, that layer's are NaN: torch would find a number as long as v + eps is positive.

    Args:
        model: the engine's own copy; every parameter and buffer of the origin is copied into it here.
        subspace: origin and directions.
        offload: leave origin and directions where they are, on the host, and bring them to the device tensor by tensor.
    """

    def __init__(self, model: nn.Module, subspace: Subspace, offload: bool = False) -> None:
        parameters = dict(model.named_parameters())
        named = {**parameters, **dict(model.named_buffers())}
        with torch.no_grad():
            for name, tensor in subspace.origin.items():
                named[name].copy_(tensor)
        moved = {name for direction in subspace.directions for name in direction.parameters}
        targets = {name: parameters[name] for name in subspace.origin if name in moved}
        coarse = {name for name, target in targets.items() if target.dtype in _COARSE}
        self._targets = {name: target for name, target in targets.items() if name not in coarse}
        flats = [_Flat(group) for group in _by_type(self._targets)]
        on_cpu = all(flat.buffer.device.type == "cpu" for flat in flats)
        by_tensor = offload or (on_cpu and sum(flat.buffer.nbytes for flat in flats) > _LARGE)
        self._parts = [self._kept(d.parameters, offload) for d in subspace.directions] if by_tensor else []
        self._whole = self._kept(subspace.origin, offload) if by_tensor else {}
        self._flats = [] if by_tensor else flats
        for flat in self._flats:
            flat.span([direction.parameters for direction in subspace.directions])
        statistics = {name for direction in subspace.directions for name in direction.buffers}
        both = [{**direction.parameters, **direction.buffers} for direction in subspace.directions]
        self._wide = [
            (
                name,
                named[name],
                _wide(named[name], subspace.origin[name]),
                [_wide(named[name], parts.get(name, torch.zeros_like(named[name]))) for parts in both],
            )
            for name in subspace.origin
            if name in statistics or name in coarse
        ]
        self._variances = Variances(subspace)

    @torch.no_grad()
    def __call__(self, coordinates: Sequence[float]) -> None:
        """Move the model to some coordinates, `(n_directions,)`."""
        for flat in self._flats:
            flat.move(coordinates)
        for name in self._targets if self._parts else ():
            self._place_tensor(name, coordinates)
        for _, target, origin, parts in self._wide:
            value = origin.clone()
            for coordinate, part in zip(coordinates, parts, strict=True):
                value.add_(part, alpha=float(coordinate))
            target.copy_(value)
        negative = self._variances.negative_at(coordinates)
        for name, target, _, _ in self._wide:
            if name in negative:
                target.fill_(torch.nan)

    @torch.no_grad()
    def several(self, places: Sequence[Sequence[float]]) -> dict[str, Tensor]:
        """The moved parameters at several places at once, by name, `(n_places, *shape)`; the model itself stays where it is."""
        if self._parts:
            return self._several_by_tensor(places)
        found = {name: stack for flat in self._flats for name, stack in flat.several(places).items()}
        return {**found, **self._several_wide(places)}

    def _several_by_tensor(self, places: Sequence[Sequence[float]]) -> dict[str, Tensor]:
        found = {}
        for name in self._targets:
            stack = []
            for place in places:
                self._place_tensor(name, place)
                stack.append(self._targets[name].clone())
            found[name] = torch.stack(stack)
        return {**found, **self._several_wide(places)}

    def _several_wide(self, places: Sequence[Sequence[float]]) -> dict[str, Tensor]:
        found = {}
        negative = [self._variances.negative_at(place) for place in places]
        for name, target, origin, parts in self._wide:
            values = origin.repeat(len(places), *[1] * origin.dim())
            for value, place, wrong in zip(values, places, negative, strict=True):
                for coordinate, part in zip(place, parts, strict=True):
                    value.add_(part, alpha=float(coordinate))
                if name in wrong:
                    value.fill_(torch.nan)
            found[name] = values.to(target.dtype)
        return found

    def _place_tensor(self, name: str, coordinates: Sequence[float]) -> None:
        """One parameter at some coordinates, by the same operations in the same order as in a flat buffer."""
        target = self._targets[name]
        source = self._whole[name]
        for coordinate, parts in zip(coordinates, self._parts, strict=True):
            if coordinate != 0 and name in parts:
                part = parts[name].to(target.device, target.dtype, non_blocking=True)
                torch.add(source.to(target.device, non_blocking=True), part, alpha=float(coordinate), out=target)
                source = target
        if source is not target:
            target.copy_(source)

    def _kept(self, parts: Parts, offload: bool) -> dict[str, Tensor]:
        """Some parts as they are where they fit the targets' types; on the host, where they are to stay there."""
        kept = {}
        for name, target in self._targets.items():
            if name in parts:
                part = parts[name].detach().to(target.dtype)
                pinned = offload and target.device.type == "cuda" and not part.is_pinned()
                kept[name] = part.pin_memory() if pinned else part if offload else part.to(target.device)
        return kept


class _Flat:
    """Parameters of one type on one device as views into one buffer, their memory layouts kept."""

    @torch.no_grad()
    def __init__(self, targets: Parts) -> None:
        self._targets = targets
        first = next(iter(targets.values()))
        self.buffer = torch.empty(sum(target.numel() for target in targets.values()), dtype=first.dtype, device=first.device)
        offset = 0
        for target in targets.values():
            view = self.buffer.as_strided(target.shape, torch.empty_like(target).stride(), offset)
            view.copy_(target)
            target.data = view
            offset += target.numel()

    def span(self, directions: Sequence[Parts]) -> None:
        """Take the present values for the origin, and some directions, by parameter name, in the layout of the buffer."""
        self._origin = self.buffer.clone()
        self._directions = [self._flattened(parts) for parts in directions]

    def move(self, coordinates: Sequence[float]) -> None:
        source = self._origin
        for coordinate, direction in zip(coordinates, self._directions, strict=True):
            if coordinate != 0:
                torch.add(source, direction, alpha=float(coordinate), out=self.buffer)
                source = self.buffer
        if source is self._origin:
            self.buffer.copy_(source)

    def several(self, places: Sequence[Sequence[float]]) -> dict[str, Tensor]:
        weights = self._origin.repeat(len(places), 1)
        for k, direction in enumerate(self._directions):
            coordinates = torch.tensor([place[k] for place in places], dtype=weights.dtype, device=weights.device)
            weights.addcmul_(coordinates[:, None], direction[None, :])
        found, offset = {}, 0
        for name, weight in self._targets.items():
            strides = (weights.shape[1], *weight.stride())
            found[name] = weights.as_strided((len(places), *weight.shape), strides, offset)
            offset += weight.numel()
        return found

    @torch.no_grad()
    def _flattened(self, parts: Parts) -> Tensor:
        """Some parts by parameter name, zero where a parameter has none, `(n_weights,)`."""
        flat = torch.zeros_like(self.buffer)
        offset = 0
        for name, target in self._targets.items():
            if name in parts:
                flat.as_strided(target.shape, target.stride(), offset).copy_(parts[name])
            offset += target.numel()
        return flat


def _by_type(targets: Parts) -> list[dict[str, Tensor]]:
    groups: dict[tuple[torch.dtype, torch.device], dict[str, Tensor]] = {}
    for name, target in targets.items():
        groups.setdefault((target.dtype, target.device), {})[name] = target
    return list(groups.values())


def _wide(target: Tensor, source: Tensor) -> Tensor:
    return to_double(source.detach().to(target.device, copy=True))
