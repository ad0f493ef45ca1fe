"""The zoo's networks: parameter counts of the papers, odd sizes, gradients, and what the formulas say."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from landscape.errors import InputError
from landscape.zoo.models import (
    GPT,
    VGG9,
    ConvolutionalNetwork,
    DenseNet,
    EncoderDecoder,
    FullyConvolutional,
    LanguageLSTM,
    MultilayerPerceptron,
    ResidualNetwork,
    ResidualPerceptron,
    SoftmaxRegression,
    WideResidualNetwork,
)


def seeded(make: Callable[[], nn.Module], seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return make()


@pytest.mark.parametrize(
    ("make", "published", "exact"),
    [
        (lambda: ResidualNetwork(20), "0.27", 272_474),  # He et al. 2016, table 6; option B adds 2.7 k to their shortcuts
        (lambda: ResidualNetwork(110), "1.7", 1_730_714),  # the same table
        (lambda: DenseNet(100, 12), "0.8", 769_162),  # Huang et al. 2017, table 2, DenseNet-BC
        (lambda: DenseNet(250, 24), "15.3", 15_324_406),  # the same table
        (lambda: WideResidualNetwork(28, 10), "36.5", 36_479_194),  # Zagoruyko and Komodakis 2016, table 4
        (lambda: WideResidualNetwork(40, 4), "8.9", 8_949_210),  # the same table
        (lambda: LanguageLSTM(10_000, 2, 200), "4.65", 4_653_200),  # Zaremba et al. 2014, "small"
        (VGG9, "2.79", 2_789_706),  # Li et al. 2018: no number in print, the sum over the layers of their code
    ],
)
def test_parameters_are_as_many_as_in_the_papers(make: Callable[[], nn.Module], published: str, exact: int) -> None:
    found = sum(p.numel() for p in make().parameters())
    assert found == exact
    digits = len(published.partition(".")[2])
    assert f"{found / 1e6:.{digits}f}" == published


IMAGES = {
    "softmax": lambda: SoftmaxRegression(7 * 9, 3),
    "mlp": lambda: MultilayerPerceptron(7 * 9, 2, 8, 3, "tanh", "glorot"),
    "maxout": lambda: MultilayerPerceptron(7 * 9, 2, 8, 3, "maxout", "he"),
    "residual": lambda: ResidualPerceptron(7 * 9, 3, 8, 3),
    "cnn": lambda: ConvolutionalNetwork(2, 4, n_classes=3),
    "resnet-nobn": lambda: ResidualNetwork(8, 4, n_channels=1, n_classes=3, batch_norm=False),
    "wrn": lambda: WideResidualNetwork(10, 1, 1, 3),
    "densenet": lambda: DenseNet(10, 4, 1, 3),
    "vgg9": lambda: VGG9(4, size=9, n_channels=1, n_classes=3),
    "unet": lambda: EncoderDecoder(4, 2, True, 1, 3),
    "unet-noskip": lambda: EncoderDecoder(4, 2, False, 1, 3),
    "fcn": lambda: FullyConvolutional(4, 1, 3),
}


@pytest.mark.parametrize("name", IMAGES)
def test_gradients_reach_every_parameter(name: str) -> None:
    model = seeded(IMAGES[name])
    images = torch.randn(6, 1, 9, 9) if name == "vgg9" else torch.randn(6, 1, 7, 9)
    logits = model(images)
    targets = torch.arange(6 * logits[0, 0].numel()).remainder(3).reshape(6, *logits.shape[2:])
    F.cross_entropy(logits, targets).backward()
    for parameter_name, parameter in model.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert bool(parameter.grad.isfinite().all()), parameter_name
    moved = {n for n, p in model.named_parameters() if bool(p.grad.any())}
    # a bias before batch norm moves nothing but by rounding, and so may be missing
    assert {n for n, _ in model.named_parameters()} - moved <= {n for n, _ in model.named_parameters() if n.endswith("bias")}


@pytest.mark.parametrize("name", ["cnn", "wrn", "densenet", "resnet-nobn"])
@pytest.mark.parametrize("size", [(8, 8), (9, 13), (32, 17)])
def test_classifiers_take_odd_sizes(name: str, size: tuple[int, int]) -> None:
    assert seeded(IMAGES[name]).eval()(torch.zeros(2, 1, *size)).shape == (2, 3)


@pytest.mark.parametrize("name", ["unet", "unet-noskip", "fcn"])
@pytest.mark.parametrize("size", [(4, 4), (5, 7), (16, 16), (33, 18)])
def test_images_to_images_of_the_same_size(name: str, size: tuple[int, int]) -> None:
    assert seeded(IMAGES[name]).eval()(torch.zeros(2, 1, *size)).shape == (2, 3, *size)


def test_a_fully_convolutional_net_moves_with_its_image() -> None:
    """Far from the borders the output of a shifted image is the shifted output: by 4, the product of the strides."""
    model = seeded(lambda: FullyConvolutional(4)).eval().double()
    image = torch.randn(1, 1, 64, 64, dtype=torch.float64)
    with torch.no_grad():
        here, there = model(image), model(image.roll(4, dims=3))
    torch.testing.assert_close(there[..., 24:40, 28:44], here[..., 24:40, 24:40], rtol=1e-12, atol=1e-12)


def test_skips_hand_over_the_finest_maps() -> None:
    """Where the coarsest maps are cut off, the output with skips still depends on the image, and without does not."""
    for skips in (True, False):
        model = seeded(lambda skips=skips: EncoderDecoder(4, 2, skips)).eval()
        nn.init.zeros_(model.down[2][3].weight)
        with torch.no_grad():
            first, second = model(torch.zeros(1, 1, 8, 8)), model(torch.randn(1, 1, 8, 8))
        assert torch.equal(first, second) is not skips


@pytest.mark.parametrize("units", ["relu", "tanh", "maxout"])
def test_a_residual_block_with_zero_weights_is_the_identity(units: str) -> None:
    model = seeded(lambda: ResidualPerceptron(5, 4, 6, 3, units))
    for parameter in model.blocks.parameters():
        nn.init.zeros_(parameter)
    inputs = torch.randn(7, 5)
    assert torch.equal(model(inputs), model.last(model.first(inputs)))
    assert torch.equal(model.blocks(torch.ones(2, 6)), torch.ones(2, 6))


def test_the_block_is_h_plus_sigma_of_wh() -> None:
    for shortcuts in (True, False):
        model = seeded(lambda shortcuts=shortcuts: ResidualPerceptron(5, 1, 6, 3, "sigmoid", shortcuts=shortcuts)).double()
        hidden = torch.randn(7, 6, dtype=torch.float64)
        linear = model.blocks[0].linear
        change = 1 / (1 + torch.exp(-(hidden @ linear.weight.T + linear.bias)))
        torch.testing.assert_close(model.blocks(hidden), hidden + change if shortcuts else change)


def test_maxout_is_the_larger_of_two_linear_maps() -> None:
    model = seeded(lambda: MultilayerPerceptron(4, 1, 5, 3, "maxout")).double()
    inputs = torch.randn(7, 4, dtype=torch.float64)
    pieces = inputs @ model[1].weight.T + model[1].bias
    hidden = torch.stack([pieces[:, 0::2], pieces[:, 1::2]]).amax(dim=0)
    assert hidden.shape == (7, 5)
    torch.testing.assert_close(model(inputs), hidden @ model[3].weight.T + model[3].bias)


@pytest.mark.parametrize(
    ("padding", "stride", "pooling", "shape"),
    [("same", 1, "max", (6, 6)), ("valid", 1, "average", (4, 4)), ("same", 2, "none", (6, 6)), ("same", 1, "min", (6, 6))],
)
def test_padding_stride_and_pooling(padding: str, stride: int, pooling: str, shape: tuple[int, int]) -> None:
    model = seeded(lambda: ConvolutionalNetwork(2, 3, padding, stride, pooling)).eval()
    assert model.features(torch.zeros(1, 1, 24, 24)).shape[2:] == shape


def test_min_pooling_is_the_least_of_each_window() -> None:
    model = ConvolutionalNetwork(1, 2, pooling="min")
    images = torch.randn(2, 3, 5, 4)
    windows = images[:, :, :4].reshape(2, 3, 2, 2, 2, 2)
    assert torch.equal(model.features[2](images), windows.amin(dim=(3, 5)))


def test_a_dense_layer_keeps_what_came_before() -> None:
    model = seeded(lambda: DenseNet(10, 4)).eval()
    maps = torch.randn(2, 8, 4, 4)
    assert torch.equal(model.layers[0](maps)[:, :8], maps)
    assert model.layers[0](maps).shape == (2, 12, 4, 4)


@pytest.mark.parametrize("make", [lambda: DenseNet(11), lambda: WideResidualNetwork(56), lambda: GPT(10, width=10, n_heads=4)])
def test_networks_that_do_not_exist(make: Callable[[], nn.Module]) -> None:
    with pytest.raises(InputError, match="take") as caught:
        make()
    assert "\n" not in str(caught.value)


def run_in_pieces(model: nn.Module, tokens: Tensor, length: int) -> Tensor:
    state, found = None, []
    for piece in tokens.split(length, dim=1):
        logits, state = model(piece, state)
        found.append(logits)
    return torch.cat(found, dim=1)


def test_the_lstm_carries_its_state() -> None:
    model = seeded(lambda: LanguageLSTM(11, 2, 6, dropout=0.5)).double().eval()
    tokens = torch.randint(0, 11, (3, 29))
    whole = run_in_pieces(model, tokens, 29)
    for length in (1, 7, 28):
        torch.testing.assert_close(run_in_pieces(model, tokens, length), whole, rtol=1e-12, atol=1e-12)
    cut = torch.cat([model(piece)[0] for piece in tokens.split(7, dim=1)], dim=1)
    assert not torch.allclose(cut, whole)  # without its state it would say something else
    model.train()
    assert not torch.allclose(run_in_pieces(model, tokens, 29), whole)  # dropout


def test_the_lstm_starts_as_in_the_paper() -> None:
    model = seeded(lambda: LanguageLSTM(50, 2, 20))
    for parameter in model.parameters():
        assert float(parameter.detach().abs().max()) <= 0.1
    assert float(model.embedding.weight.detach().std()) == pytest.approx(0.1 / 3**0.5, rel=0.1)  # 1,000 numbers: 1.4 %


def test_the_transformer_does_not_look_ahead() -> None:
    model = seeded(lambda: GPT(11, 2, 8, 2, context=12)).double().eval()
    tokens = torch.randint(0, 11, (2, 12))
    other = tokens.clone()
    other[:, 7:] = (other[:, 7:] + 1) % 11
    with torch.no_grad():
        first, second = model(tokens), model(other)
    torch.testing.assert_close(first[:, :7], second[:, :7], rtol=1e-12, atol=1e-12)
    assert not torch.allclose(first[:, 7:], second[:, 7:])
    assert model(tokens[:, :5]).shape == (2, 5, 11)


def test_gradients_reach_every_parameter_of_language_models() -> None:
    for model in (seeded(lambda: LanguageLSTM(5, 2, 6)), seeded(lambda: GPT(5, 1, 8, 2, context=9))):
        outputs = model(torch.arange(27).remainder(5).reshape(3, 9))
        logits = outputs[0] if isinstance(outputs, tuple) else outputs
        F.cross_entropy(logits.flatten(0, 1), torch.arange(27).remainder(4)).backward()
        assert all(bool(p.grad.any()) and bool(p.grad.isfinite().all()) for p in model.parameters())
