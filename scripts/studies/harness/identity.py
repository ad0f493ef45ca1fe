"""Deeper networks that compute what a shallower one does, its further blocks being identities: why depth need not hurt (He et al. 2016).

"There exists a solution by construction to the deeper model: the added layers are identity mapping, and the other layers are copied
from the learned shallower model" (section 1). With shortcuts a block is the identity when its weights are 0; without, its weights have
to be the identity themselves.
"""

from __future__ import annotations

import os
from pathlib import Path

import torch
from torch import nn

from landscape.atomic import replacing
from landscape.checkpoints import Checkpoint, weights_of
from landscape.core.weights import Weights
from landscape.errors import InputError
from landscape.problem import Problem
from landscape.zoo.models import ResidualBlock, ResidualNetwork, ResidualPerceptron
from landscape.zoo.models.layers import Maxout

__all__ = ["deepened", "write_deepened"]

_N_COMPARED = 1000


@torch.no_grad()
def deepened(shallow: nn.Module, deep: nn.Module) -> Weights:
    """A state dict for `deep`, with which it computes in evaluation mode what `shallow` does.

    The blocks of each stage are copied in their order, the further ones become identities. With shortcuts, and without them in
    networks with no batch norm, every operation of an identity is exact (× 1, + 0, the rectifier of what is not negative), so that
    outputs are equal in every bit wherever a library adds up such sums without rounding them first, as CPUs do in float32. Without
    shortcuts but with batch norm an identity divides by √(running variance + ε), which is 1 up to a rounding error; and only in
    evaluation mode, by statistics of the batch it would not.

    Args:
        shallow: a `ResidualNetwork` or `ResidualPerceptron`, with its shortcuts or without, say trained; left as it is.
        deep: one of the same kind and width with at least as many blocks; left as it is.

    Raises:
        InputError: when the two are not of one kind, the deeper has fewer blocks, or no identity can be made of its units.

    >>> shallow, deep = (ResidualPerceptron(n_inputs=2, n_blocks=n, width=3) for n in (1, 2))
    >>> deepened(shallow, deep)["blocks.1.linear.weight"].abs().max()
    tensor(0.)
    """
    if type(shallow) is not type(deep) or not isinstance(deep, ResidualNetwork | ResidualPerceptron):
        raise InputError(
            f"a {type(shallow).__name__} cannot become a {type(deep).__name__} by identities; "
            "take two ResidualNetworks or two ResidualPerceptrons"
        )
    state = {name: tensor.clone() for name, tensor in shallow.state_dict().items()}
    model = {name: tensor.clone() for name, tensor in deep.state_dict().items()}
    for stage, blocks in deep.named_children():
        if not isinstance(blocks, nn.Sequential):
            continue
        copied = list(shallow.get_submodule(stage).children())
        if len(copied) > len(blocks):
            raise InputError(
                f"{stage}: a network of {len(copied)} blocks cannot become one of {len(blocks)}; pass the shallower one first"
            )
        if _kind(copied[0]) != _kind(blocks[0]):
            raise InputError(f"{stage}: the two networks differ in more than their number of blocks; take the same width and kind")
        for number, block in enumerate(blocks):
            if number >= len(copied):
                state |= {f"{stage}.{number}.{name}": tensor for name, tensor in _identity(block).items()}
    for name, tensor in model.items():
        if name not in state or state[name].shape != tensor.shape:
            raise InputError(f"{name}: the two networks differ in more than their number of blocks; take the same width and kind")
    return {name: state[name] for name in model}


def write_deepened(shallow: Problem, checkpoint: Checkpoint, deep: Problem, to: str | os.PathLike[str]) -> tuple[Path, float]:
    """A checkpoint of a deeper network made of a trained shallower one, and how far they differ.

    Args:
        shallow: the problem of the shallower network.
        checkpoint: what it has learned; loaded into its network.
        deep: the problem of the deeper one; its network is given what `deepened` makes.
        to: the file to write.

    Returns:
        The file, and the largest difference between outputs in evaluation mode over the first 1,000 training examples, divided by the
        largest output.

    Raises:
        InputError: for a checkpoint that does not fit, or networks of which `deepened` makes nothing.
    """
    shallow.model.load_state_dict(
        weights_of(checkpoint, shallow.model), strict=False
    )  # counters of batches, which nothing here reads
    state = deepened(shallow.model, deep.model)
    deep.model.load_state_dict(state)
    with replacing(to) as path:
        torch.save(state, path)
    inputs = shallow.examples("train").tensors[0][:_N_COMPARED].float()
    with torch.no_grad():
        wanted, found = shallow.model.eval()(inputs), deep.model.eval()(inputs)
    return Path(to), float((found - wanted).abs().max() / wanted.abs().max())


def _kind(block: nn.Module) -> tuple[str, bool]:
    """All that two blocks of one kind have in common: their modules and shapes, and whether there is a shortcut."""
    return repr(block), bool(block.shortcut)


def _identity(block: nn.Module) -> Weights:
    """The weights that make a block the identity, for features that are not negative if it ends in a rectifier."""
    state = {name: tensor.clone() for name, tensor in block.state_dict().items()}
    if isinstance(block, ResidualBlock):
        return _identity_of_convolutions(block, state)
    residual = bool(block.shortcut)
    if not isinstance(block.activation, nn.ReLU | Maxout) and not (residual and isinstance(block.activation, nn.Tanh)):
        raise InputError(
            f"no weights make a block of {type(block.activation).__name__.lower()} units the identity; take units=relu or maxout"
        )
    weight = state["linear.weight"].zero_()
    state["linear.bias"].zero_()
    if not residual:  # maxout: all pieces of a unit are the same
        n_pieces = weight.shape[0] // weight.shape[1]
        weight.copy_(torch.eye(weight.shape[1]).repeat_interleave(n_pieces, dim=0))
    return state


def _identity_of_convolutions(block: ResidualBlock, state: Weights) -> Weights:
    """With its shortcut F(x) = 0, through the last thing F does; without it, both halves of F are identities."""
    for name, tensor in state.items():
        if name.endswith("running_mean") or name.endswith("bias"):
            tensor.zero_()
        elif name.endswith("running_var"):
            tensor.fill_(1 - nn.BatchNorm2d(1).eps)  # together a divisor of 1
        elif name in ("bn1.weight", "bn2.weight"):
            tensor.fill_(1)
    if block.shortcut is None:
        for name in ("conv1.weight", "conv2.weight"):
            nn.init.dirac_(state[name])
    else:
        state["bn2.weight" if "bn2.weight" in state else "conv2.weight"].zero_()
    return state
