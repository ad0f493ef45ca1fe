"""Linear models and multilayer perceptrons, plain and residual."""

from __future__ import annotations

from torch import Tensor, nn

from landscape.zoo.models.layers import activation, initialize, n_units

__all__ = ["MultilayerPerceptron", "ResidualPerceptron", "SoftmaxRegression"]


class SoftmaxRegression(nn.Sequential):
    """One linear layer on the flattened inputs, whose cross-entropy is convex in the weights; they start at 0.

    >>> [tuple(parameter.shape) for parameter in SoftmaxRegression(64, 10).parameters()]
    [(10, 64), (10,)]
    """

    def __init__(self, n_inputs: int = 64, n_classes: int = 10) -> None:
        linear = nn.Linear(n_inputs, n_classes)
        nn.init.zeros_(linear.weight)
        nn.init.zeros_(linear.bias)
        super().__init__(nn.Flatten(), linear)


class MultilayerPerceptron(nn.Sequential):
    """`n_hidden` hidden layers of `width` units and a linear layer: W″σ(W′σ(Wx)); images are flattened.

    Args:
        n_inputs: numbers in one example.
        n_hidden: hidden layers.
        width: units of each; twice as many linear ones make a maxout layer.
        n_classes: outputs.
        units: the activation, one of `layers.ACTIVATIONS`.
        init: one of `layers.INITIALIZATIONS`.

    >>> [tuple(parameter.shape) for parameter in MultilayerPerceptron(n_hidden=1, width=32).parameters()]
    [(32, 64), (32,), (10, 32), (10,)]
    """

    def __init__(
        self, n_inputs: int = 64, n_hidden: int = 3, width: int = 64, n_classes: int = 10, units: str = "relu", init: str = "torch"
    ) -> None:
        layers: list[nn.Module] = [nn.Flatten()]
        for i in range(n_hidden):
            layers += [nn.Linear(n_inputs if i == 0 else width, n_units(units, width)), activation(units)]
        super().__init__(*layers, nn.Linear(width, n_classes))
        initialize(self, init)


class _Block(nn.Module):
    """h + σ(Wh + b), or σ(Wh + b) without its shortcut."""

    def __init__(self, width: int, units: str, shortcut: bool) -> None:
        super().__init__()
        self.linear = nn.Linear(width, n_units(units, width))
        self.activation = activation(units)
        self.shortcut = shortcut

    def forward(self, features: Tensor) -> Tensor:
        """`(n, width)` to `(n, width)`."""
        change: Tensor = self.activation(self.linear(features))
        return features + change if self.shortcut else change


class ResidualPerceptron(nn.Module):
    """The residual block of lectures, h + σ(Wh + b), `n_blocks` times between two linear layers; with shortcuts=False plain.

    A block whose weights are 0 is the identity where σ(0) = 0: for ReLU, tanh and maxout, not for the sigmoid.
    """

    def __init__(
        self,
        n_inputs: int = 64,
        n_blocks: int = 8,
        width: int = 32,
        n_classes: int = 10,
        units: str = "relu",
        init: str = "torch",
        shortcuts: bool = True,
    ) -> None:
        super().__init__()
        self.first = nn.Linear(n_inputs, width)
        self.blocks = nn.Sequential(*(_Block(width, units, shortcuts) for _ in range(n_blocks)))
        self.last = nn.Linear(width, n_classes)
        initialize(self, init)

    def forward(self, inputs: Tensor) -> Tensor:
        """Examples `(n, …)`, flattened, to logits `(n, n_classes)`."""
        logits: Tensor = self.last(self.blocks(self.first(inputs.flatten(1))))
        return logits
