from __future__ import annotations

import math
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from torch import nn

from landscape.errors import InputError
from landscape.zoo.losses import NormalizedCrossEntropy
from landscape.zoo.models import MultilayerPerceptron, ResidualNetwork
from landscape.zoo.problems import problem

DIGITS = Path(__file__).resolve().parents[1] / "data" / "digits"
PIXELS = ((125.3, 123.0, 113.9), (63.0, 62.1, 66.7))


def load(path: Path) -> dict[str, torch.Tensor]:
    loaded = torch.load(path, weights_only=True, map_location="cpu")
    state = loaded.get("state_dict", loaded)
    return {name.removeprefix("module."): tensor for name, tensor in state.items()}


def loss_and_accuracy(model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> tuple[float, float]:
    model.eval()
    with torch.no_grad():
        parts = [NormalizedCrossEntropy(*PIXELS)(model, batch) for batch in zip(images.split(100), labels.split(100), strict=True)]
    return tuple(float(torch.cat([part[metric] for part in parts]).double().mean()) for metric in ("loss", "accuracy"))


@pytest.mark.parametrize(("shortcuts", "n_parameters"), [(True, 855_770), (False, 853_018)])
def test_resnet56_has_the_papers_number_of_parameters(shortcuts: bool, n_parameters: int) -> None:
    assert sum(p.numel() for p in ResidualNetwork(56, shortcuts=shortcuts).parameters()) == n_parameters


@pytest.mark.parametrize(
    ("name", "shortcuts", "accuracy", "cross_entropy"),
    [("resnet56", True, 0.9366, 0.288), ("resnet56_noshort", False, 0.8669, 0.433)],
)
def test_trained_networks_of_the_paper(shared: Path, cifar10_sample, name, shortcuts, accuracy, cross_entropy) -> None:
    model = ResidualNetwork(56, shortcuts=shortcuts)
    model.load_state_dict(load(shared / "data" / "checkpoints" / "li2018" / f"{name}.t7"), strict=True)
    loss, share = loss_and_accuracy(model, *cifar10_sample("test", 1000))
    # 1,000 of the 10,000 images the published numbers are over: three binomial standard deviations of the sample.
    assert abs(share - accuracy) < 3 * math.sqrt(accuracy * (1 - accuracy) / 1000)
    # The loss by image has a standard deviation near 1.2 (most are near 0, a few near 10), so 0.038 on the mean.
    assert abs(loss - cross_entropy) < 3 * 0.038


def test_the_originals_loss_at_the_origin(shared: Path, cifar10_sample) -> None:
    model = ResidualNetwork(56)
    model.load_state_dict(load(shared / "data" / "checkpoints" / "li2018" / "resnet56.t7"))
    with h5py.File(shared / "reference" / "li2018" / "resnet56.surface.h5") as file:
        expected_loss, expected_percent = file["train_loss"][4, 4], file["train_acc"][4, 4]
        assert file["xcoordinates"][4] == file["ycoordinates"][4] == 0
    loss, accuracy = loss_and_accuracy(model, *cifar10_sample("train", 500))
    assert loss == pytest.approx(expected_loss, rel=1e-4)  # the agreement its notes ask for
    assert accuracy == pytest.approx(expected_percent / 100, abs=1e-9)


def test_the_originals_resnet8_on_digits() -> None:
    model = ResidualNetwork(8)
    model.load_state_dict(load(DIGITS / "resnet8_seed1.pt"), strict=True)
    arrays = np.load(DIGITS / "digits32.npz")
    images = torch.from_numpy(arrays["images"]).permute(0, 3, 1, 2)
    loss, accuracy = loss_and_accuracy(model, images, torch.from_numpy(arrays["labels"].astype(np.int64)))
    with h5py.File(DIGITS / "plane_filter.surface.h5") as file:
        assert file["xcoordinates"][5] == file["ycoordinates"][5] == 0
        assert loss == pytest.approx(file["train_loss"][5, 5], rel=1e-4)
        assert accuracy == pytest.approx(file["train_acc"][5, 5] / 100, abs=1e-9)


def test_the_originals_resnet8_without_shortcuts() -> None:
    model = ResidualNetwork(8, shortcuts=False)
    model.load_state_dict(load(DIGITS / "resnet8_noshort_seed1.pt"), strict=True)
    arrays = np.load(DIGITS / "digits32.npz")
    images = torch.from_numpy(arrays["images"]).permute(0, 3, 1, 2)
    loss, _ = loss_and_accuracy(model, images, torch.from_numpy(arrays["labels"].astype(np.int64)))
    with h5py.File(DIGITS / "line_layer_noshort.surface.h5") as file:
        origin = int(np.argmin(np.abs(file["xcoordinates"][:])))
        assert abs(file["xcoordinates"][origin]) < 1e-12
        assert loss == pytest.approx(file["train_loss"][origin], rel=1e-4)


def test_a_block_is_what_the_formula_says() -> None:
    torch.manual_seed(0)
    model = ResidualNetwork(8, width=4).double().eval()
    images = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    zeroed = {name: torch.zeros_like(p) for name, p in model.named_parameters() if "layer" in name and ".conv" in name}
    expected = torch.relu(model.bn1(model.conv1(images)))
    model.load_state_dict(zeroed, strict=False)  # F = 0 leaves the shortcut alone: relu(relu(x)) = relu(x)
    assert torch.equal(model.layer1(expected), expected)
    plain = ResidualNetwork(8, width=4, shortcuts=False).double().eval()
    plain.load_state_dict(zeroed, strict=False)  # and without it nothing is left
    assert not plain.layer1(expected).any()


def test_any_image_size_and_channels() -> None:
    model = ResidualNetwork(8, width=4, n_channels=1, n_classes=3)
    assert model(torch.zeros(2, 1, 8, 8)).shape == (2, 3)
    assert model(torch.zeros(2, 1, 29, 17)).shape == (2, 3)


def test_initialization_follows_the_papers_code() -> None:
    torch.manual_seed(0)
    model = ResidualNetwork(56)
    weights = model.layer3[4].conv1.weight  # 36,864 numbers of variance 2 / (64 * 9)
    # the relative standard error of a standard deviation over n normals is 1 / sqrt(2 n) = 0.4 %
    assert float(weights.detach().std()) == pytest.approx(math.sqrt(2 / 576), rel=0.02)
    assert float(model.linear.weight.detach().std()) == pytest.approx(1e-3, rel=0.15)  # 640 numbers: 2.8 %
    assert not model.linear.bias.any()


@pytest.mark.parametrize("depth", [-4, 2, 7, 9, 55, 57, 1208])
def test_depths_that_do_not_exist(depth: int) -> None:
    with pytest.raises(InputError, match=f"depth {depth}"):
        ResidualNetwork(depth)


def test_perceptron_is_matrix_products() -> None:
    torch.manual_seed(0)
    model = MultilayerPerceptron(n_inputs=4, n_hidden=2, width=5, n_classes=3).double()
    images = torch.randn(7, 1, 2, 2, dtype=torch.float64)
    hidden = images.reshape(7, 4)
    first, second, last = (layer for layer in model if isinstance(layer, nn.Linear))
    for layer in (first, second):
        hidden = (hidden @ layer.weight.T + layer.bias).clamp(min=0)
    torch.testing.assert_close(model(images), hidden @ last.weight.T + last.bias)


def test_perceptron_of_the_zoo_has_three_hidden_layers() -> None:
    widths = [layer.out_features for layer in problem("digits-mlp-3x64").model if isinstance(layer, nn.Linear)]
    assert widths == [64, 64, 64, 10]
