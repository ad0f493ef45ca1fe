"""What the networks are built from: activations, and ways to draw initial weights."""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["ACTIVATIONS", "INITIALIZATIONS", "Maxout", "activation", "initialize", "n_units"]

ACTIVATIONS = ("relu", "sigmoid", "tanh", "maxout")
INITIALIZATIONS = ("torch", "he", "glorot", "small")

_N_PIECES = 2
_SMALL = 0.01


class Maxout(nn.Module):
    """The larger of `n_pieces` units: features `(n, n_pieces · width, …)` to `(n, width, …)` (Goodfellow et al. 2013, section 2).

    >>> import torch
    >>> Maxout()(torch.tensor([[1.0, -3.0, 5.0, -1.0]]))
    tensor([[1., 5.]])
    """

    def __init__(self, n_pieces: int = _N_PIECES) -> None:
        super().__init__()
        self.n_pieces = n_pieces

    def forward(self, features: Tensor) -> Tensor:
        """Pieces of one unit lie side by side on axis 1."""
        return features.reshape(features.shape[0], -1, self.n_pieces, *features.shape[2:]).amax(dim=2)


def activation(name: str) -> nn.Module:
    """An activation by its name, one of `ACTIVATIONS`."""
    modules: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "maxout": Maxout}
    return modules[name]()


def n_units(name: str, width: int) -> int:
    """How many linear units a layer of `width` needs before its activation."""
    return width * _N_PIECES if name == "maxout" else width


def initialize(model: nn.Module, name: str) -> None:
    """Draw the weights of convolutions and linear layers anew, biases being 0.

    Args:
        model: drawn from torch's generator, in the order of its modules.
        name: "he": normal with variance 2 / fan-in; "glorot": uniform with variance 2 / (fan-in + fan-out); "small": normal with
            standard deviation 0.01; "torch": left as torch made them.
    """
    for module in model.modules():
        if name == "torch" or not isinstance(module, nn.Conv2d | nn.Linear):
            continue
        if name == "he":
            nn.init.kaiming_normal_(module.weight, mode="fan_in")
        elif name == "glorot":
            nn.init.xavier_uniform_(module.weight)
        else:
            nn.init.normal_(module.weight, std=_SMALL)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
