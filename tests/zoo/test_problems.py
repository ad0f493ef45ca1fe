from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from landscape.errors import InputError
from landscape.problem import Problem
from landscape.weights import digest, read
from landscape.zoo.problems import Recipe, blueprint, problem, problems


def test_each_entry_can_be_had() -> None:
    assert len({entry.name for entry in problems()}) == len(problems())
    for entry in problems():
        assert entry.description
        assert entry.source
        assert "\n" not in entry.description
        if entry.name.startswith("digits"):
            found = problem(entry.name)
            assert isinstance(found, Problem)
            assert (found.name, found.splits) == (entry.name, ["train", "test"])
        else:
            with pytest.raises(InputError, match="needs --data-dir"):
                problem(entry.name)


def test_a_digits_problem_measures_loss_and_accuracy() -> None:
    found = problem("digits-resnet8", width=4)
    batch = found.examples("train").batch(0, 20)
    sums = found.loss(found.model.eval(), batch, 20)
    logits = found.model(batch[0])
    torch.testing.assert_close(sums["loss"][0], torch.nn.functional.cross_entropy(logits, batch[1], reduction="none"))
    assert sums["accuracy"][0].tolist() == (logits.argmax(1) == batch[1]).double().tolist()


def test_a_cifar_problem_from_arrays(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    for split, n in (("train", 12), ("test", 4)):
        np.save(tmp_path / f"{split}_images.npy", generator.integers(0, 256, (n, 32, 32, 3), dtype=np.uint8))
        np.save(tmp_path / f"{split}_labels.npy", generator.integers(0, 10, n))
    found = problem("resnet8-noshort", tmp_path)
    examples = found.examples("train")
    assert examples.size == 12
    assert examples.tensors[0].dtype == torch.uint8
    sums = found.loss(found.model, examples.batch(0, 12), 12)
    assert set(sums) == {"loss", "accuracy"}
    # by its initialization the last layer has next to no weights, so the odds are equal: ln 10
    assert sums["loss"][0].tolist() == pytest.approx([np.log(10)] * 12, rel=0.05)


def test_weights_do_not_depend_on_the_callers_random_numbers() -> None:
    torch.manual_seed(1)
    first = digest(read(problem("digits-resnet8").model))
    torch.manual_seed(2)
    before = torch.random.get_rng_state()
    assert digest(read(problem("digits-resnet8").model)) == first
    assert torch.equal(torch.random.get_rng_state(), before)
    assert digest(read(blueprint("digits-resnet8").build(seed=1).model)) != first


@pytest.mark.parametrize("value", [16, "16", 16.0])
def test_a_setting_is_a_number_or_text(value: str | int | float) -> None:
    found = problem("digits-resnet8", width=value)
    assert found.model.conv1.out_channels == 16
    assert found.name == "digits-resnet8 width=16"
    assert problem("digits-resnet8", width=8).name == "digits-resnet8"  # the usual width goes without saying


def test_widths_when_nothing_is_set() -> None:
    assert blueprint("digits-resnet26").make_model().conv1.out_channels == 8
    assert blueprint("resnet20").make_model().conv1.out_channels == 16


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("digits-resnet26-noshrt", {}, 'did you mean "digits-resnet26-noshort"'),
        ("resnet56-noshort ", {}, 'did you mean "resnet56-noshort"'),
        ("resnet57", {}, "no residual network of depth 57; take 6 n \\+ 2"),
        ("resnet", {}, "the zoo has no problem"),
        ("", {}, "the zoo has no problem"),
        ("digits-mlp-0x64", {}, "the zoo has no problem"),
        ("digits-mlp-3x99999", {}, "not a whole number from 1 to 4096"),
        ("digits-resnet8", {"widht": 4}, 'no setting "widht"; did you mean "width"'),
        ("digits-mlp-3x64", {"width": 4}, 'no setting "width"; it has none'),
        ("digits-resnet8", {"width": "wide"}, "width=wide is not a whole number"),
        ("digits-resnet8", {"width": 0}, "width=0 is not"),
        ("digits-resnet8", {"width": 2.5}, "width=2.5 is not"),
        ("digits-resnet8", {"width": "inf"}, "width=inf is not"),
        ("digits-resnet8", {"width": "nan"}, "width=nan is not"),
        ("digits-resnet8", {"width": 10**9}, "width=1000000000 is not"),
    ],
)
def test_what_the_zoo_has_not(name: str, settings: dict[str, str | int | float], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        problem(name, **settings)
    assert "\n" not in str(caught.value)


def test_the_papers_schedule() -> None:
    recipe = blueprint("resnet56").recipe
    assert (recipe.epochs, recipe.batch_size, recipe.momentum, recipe.weight_decay) == (300, 128, 0.9, 5e-4)
    rates = [recipe.rate(epoch) for epoch in range(1, 301)]
    falls = [epoch for epoch in range(2, 301) if rates[epoch - 1] < rates[epoch - 2]]
    assert falls == [151, 226, 276]  # after 150, 225 and 275 epochs
    assert rates[-1] == pytest.approx(1e-4)
    assert blueprint("resnet56-noshort").recipe.rate(1) == 0.01


def test_half_a_cosine() -> None:
    recipe = Recipe(epochs=4, learning_rate=1.0)
    assert [recipe.rate(epoch) for epoch in (1, 2, 3, 4)] == pytest.approx([1, (2 + 2**0.5) / 4, 0.5, (2 - 2**0.5) / 4])
