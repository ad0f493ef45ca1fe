"""Deeper networks made of a shallower one and identities: the same outputs, whatever the shallower one has learned."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from harness.identity import deepened, write_deepened
from landscape.errors import InputError
from landscape.zoo import problem
from landscape.zoo.models import ConvolutionalNetwork, ResidualNetwork, ResidualPerceptron

Make = Callable[[int], nn.Module]  # of a number of blocks in each stage

EXACT: dict[str, Make] = {
    "residual perceptron": lambda n: ResidualPerceptron(63, n, 8, 3, init="he"),
    "plain perceptron": lambda n: ResidualPerceptron(63, n, 8, 3, init="he", shortcuts=False),
    "residual perceptron of tanh": lambda n: ResidualPerceptron(63, n, 8, 3, "tanh"),
    "residual perceptron of maxout": lambda n: ResidualPerceptron(63, n, 8, 3, "maxout"),
    "plain perceptron of maxout": lambda n: ResidualPerceptron(63, n, 8, 3, "maxout", shortcuts=False),
    "residual network": lambda n: ResidualNetwork(6 * n + 2, 4, True, 1, 3),
    "residual network, no batch norm": lambda n: ResidualNetwork(6 * n + 2, 4, True, 1, 3, batch_norm=False),
    "plain network, no batch norm": lambda n: ResidualNetwork(6 * n + 2, 4, False, 1, 3, batch_norm=False),
}


def trained(make: Make, n_blocks: int) -> nn.Module:
    """As after training: no weight, bias or running statistic where it was drawn."""
    torch.manual_seed(0)
    model = make(n_blocks)
    generator = torch.Generator().manual_seed(1)
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            change = 0.1 * torch.randn(tensor.shape, generator=generator)
            tensor.add_(change.abs() if name.endswith("running_var") else change)
    return model.eval()


def outputs(shallow: nn.Module, deep: nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
    deep.load_state_dict(deepened(shallow, deep))
    images = torch.randn(20, 1, 7, 9, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        found, wanted = deep.eval()(images), shallow(images)
    assert wanted.std() > 0.01  # else a network that computes nothing would do
    return found, wanted


@pytest.mark.parametrize("name", EXACT)
def test_identities_change_no_bit(name: str) -> None:
    found, wanted = outputs(trained(EXACT[name], 2), trained(EXACT[name], 5))
    assert torch.equal(found, wanted)


def test_identities_of_plain_blocks_with_batch_norm_change_rounding_alone() -> None:
    make: Make = lambda n: ResidualNetwork(6 * n + 2, 4, False, 1, 3)  # noqa: E731
    found, wanted = outputs(trained(make, 2), trained(make, 5))
    # 3 stages × 3 blocks × 2 norms, each with a relative error of a few float32 roundings, 6e-8: of its root, quotient and product
    assert (found - wanted).abs().max() <= 18 * 5 * 6e-8 * wanted.abs().max()


def test_in_training_mode_batch_norm_is_no_identity() -> None:
    make: Make = lambda n: ResidualNetwork(6 * n + 2, 4, False, 1, 3)  # noqa: E731
    shallow, deep = trained(make, 1), trained(make, 2)
    deep.load_state_dict(deepened(shallow, deep))
    images = torch.randn(20, 1, 7, 9)
    assert not torch.allclose(deep.train()(images), shallow.train()(images), atol=1e-3)


def test_a_block_with_zero_weights_is_the_identity() -> None:
    model = ResidualPerceptron(n_blocks=1, width=8)
    features = torch.randn(20, 8)
    assert not torch.equal(model.blocks(features), features)
    for parameter in model.blocks.parameters():
        nn.init.zeros_(parameter)
    assert torch.equal(model.blocks(features), features)  # h + σ(0 h + 0)


def test_neither_network_is_changed() -> None:
    shallow, deep = trained(EXACT["residual network"], 1), trained(EXACT["residual network"], 2)
    before = [tensor.clone() for model in (shallow, deep) for tensor in model.state_dict().values()]
    for tensor in deepened(shallow, deep).values():
        tensor.zero_()
    assert all(map(torch.equal, before, [tensor for model in (shallow, deep) for tensor in model.state_dict().values()]))


@pytest.mark.parametrize("name", ["digits-residual-{}x8-noshort", "digits-resnet{}"])
def test_a_checkpoint_of_identities_is_written(name: str, tmp_path: Path) -> None:
    shallow, deep = problem(name.format(8)), problem(name.format(14))
    learned = {key: tensor + 0.1 for key, tensor in shallow.model.state_dict().items() if tensor.is_floating_point()}
    file, change = write_deepened(shallow, learned, deep, tmp_path / "identities.pt")
    assert change == 0
    other = problem(name.format(14))
    other.model.load_state_dict(torch.load(file, weights_only=True))
    images = deep.examples("test").tensors[0][:20]
    with torch.no_grad():
        wanted = shallow.model.eval()(images)
        assert torch.equal(other.model.eval()(images), wanted)
        assert wanted.std() > 0.01


@pytest.mark.parametrize(
    ("shallow", "deep", "words"),
    [
        (EXACT["residual network"](2), EXACT["residual network"](1), "2 blocks cannot become one of 1"),
        (EXACT["residual network"](1), EXACT["residual perceptron"](2), "cannot become a ResidualPerceptron"),
        (ConvolutionalNetwork(), ConvolutionalNetwork(), "take two ResidualNetworks or two"),
        (
            ResidualPerceptron(n_blocks=1, width=4),
            ResidualPerceptron(n_blocks=2, width=5),
            "differ in more than their number of blocks",
        ),
        (ResidualNetwork(8, 4, True), ResidualNetwork(14, 4, False), "differ in more than their number of blocks"),
        (ResidualPerceptron(n_blocks=1), ResidualPerceptron(n_blocks=2, shortcuts=False), "differ in more"),
        (ResidualPerceptron(n_blocks=1), ResidualPerceptron(n_blocks=2, units="tanh"), "differ in more"),
        (ResidualNetwork(8, 4, n_classes=3), ResidualNetwork(14, 4, n_classes=4), "linear.weight: the two networks differ"),
        (ResidualPerceptron(units="sigmoid", n_blocks=1), ResidualPerceptron(units="sigmoid", n_blocks=2), "sigmoid units"),
    ],
)
def test_what_cannot_be_deepened_is_refused(shallow: nn.Module, deep: nn.Module, words: str) -> None:
    with pytest.raises(InputError, match=words):
        deepened(shallow, deep)
