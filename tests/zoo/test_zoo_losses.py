"""The zoo's losses by example: of pixels, of blocks of text, of streams of text."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from landscape.problem import PerExample
from landscape.zoo.losses import PixelCrossEntropy, StreamCrossEntropy, TokenCrossEntropy
from landscape.zoo.models import GPT, LanguageLSTM


def seeded_lstm(dropout: float = 0.0) -> LanguageLSTM:
    torch.manual_seed(0)
    return LanguageLSTM(9, 2, 5, dropout, scale=0.8).double()


def text(n: int = 3, length: int = 23) -> tuple[Tensor, Tensor]:
    tokens = torch.randint(0, 9, (n, length + 1), generator=torch.Generator().manual_seed(1))
    return tokens[:, :-1], tokens[:, 1:]


@pytest.mark.parametrize("chunk", [1, 2, 7, 22, 23, 64])
def test_the_loss_of_a_text_does_not_depend_on_the_chunks(chunk: int) -> None:
    model, (inputs, targets) = seeded_lstm().eval(), text()
    logits = model(inputs)[0]  # all at once
    expected = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none").view(3, 23).sum(dim=1)
    found = PerExample(StreamCrossEntropy(chunk))(model, (inputs, targets), 3)
    torch.testing.assert_close(found["loss"][0], expected, rtol=1e-12, atol=0)
    assert found["loss"][1].tolist() == [23.0] * 3
    assert found["accuracy"][0].tolist() == (logits.argmax(dim=2) == targets).sum(dim=1).tolist()


def test_the_state_is_carried_and_not_shared_between_streams() -> None:
    model, (inputs, targets) = seeded_lstm().eval(), text()
    whole = StreamCrossEntropy(7)(model, (inputs, targets))["loss"][0]
    alone = torch.cat([StreamCrossEntropy(7)(model, (inputs[i : i + 1], targets[i : i + 1]))["loss"][0] for i in range(3)])
    torch.testing.assert_close(whole, alone, rtol=1e-12, atol=0)
    forgetful = sum(
        StreamCrossEntropy()(model, part)["loss"][0] for part in zip(inputs.split(7, 1), targets.split(7, 1), strict=True)
    )
    assert not torch.allclose(forgetful, whole, rtol=1e-4)


def test_dropout_is_off_in_evaluation() -> None:
    model, batch = seeded_lstm(dropout=0.5), text()
    first, second = (StreamCrossEntropy()(model.eval(), batch)["loss"][0] for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, StreamCrossEntropy()(model.train(), batch)["loss"][0])


def test_a_model_that_knows_nothing_has_the_vocabulary_as_its_perplexity() -> None:
    model, batch = seeded_lstm().eval(), text()
    nn.init.zeros_(model.linear.weight)
    nn.init.zeros_(model.linear.bias)
    sums, weights = StreamCrossEntropy()(model, batch)["loss"]
    assert math.exp(float(sums.detach().sum() / weights.sum())) == pytest.approx(9, rel=1e-12)


def test_blocks_of_text() -> None:
    torch.manual_seed(0)
    model, (inputs, targets) = GPT(9, 1, 8, 2, context=23).double().eval(), text()
    found = PerExample(TokenCrossEntropy())(model, (inputs, targets), 3)
    log_odds = model(inputs).log_softmax(dim=2)
    expected = -log_odds.gather(2, targets.unsqueeze(2)).squeeze(2).sum(dim=1)
    torch.testing.assert_close(found["loss"][0], expected, rtol=1e-12, atol=0)
    assert found["loss"][1].tolist() == [23.0] * 3


class Brightness(nn.Module):
    """Logits 0 and the normalized pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones((), dtype=torch.float64))

    def forward(self, images: Tensor) -> Tensor:
        return torch.cat([torch.zeros_like(images), images * self.scale], dim=1)


def test_pixels_in_closed_form() -> None:
    loss = PixelCrossEntropy((10.0,), (2.0,))
    images = torch.tensor([[12, 8, 12], [8, 8, 12]], dtype=torch.uint8).view(2, 1, 1, 3)  # logits ±1: class 1 where 12
    targets = torch.tensor([[1, 0, 0], [0, 0, 1]], dtype=torch.uint8).view(2, 1, 3)
    found = PerExample(loss)(Brightness(), (images, targets), 2)
    right, wrong = math.log(1 + math.exp(-1)), math.log(1 + math.exp(1))
    assert found["loss"][0].tolist() == pytest.approx([2 * right + wrong, 3 * right], rel=1e-12)
    assert found["loss"][1].tolist() == [3, 3]
    assert found["accuracy"][0].tolist() == [2, 3]
    sums, weights = found["iou"]
    assert (sums.tolist(), weights.tolist()) == ([1, 1], [2, 1])  # Σ 2 / Σ 3, not the mean of 1/2 and 1
    assert PerExample(loss).unit("iou") == "fraction"
