from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from landscape.core.weights import digest, read
from landscape.errors import InputError
from landscape.problem import Problem
from landscape.zoo.problems import Recipe, blueprint, problem, problems


def test_each_entry_can_be_had() -> None:
    assert len({entry.name for entry in problems()}) == len(problems())
    for entry in problems():
        assert entry.description
        assert entry.source
        assert "\n" not in entry.description
        assert all((entry.model, entry.data, entry.loss, entry.recipe))
        if not entry.needs_files:
            found = problem(entry.name)
            assert isinstance(found, Problem)
            text = entry.name.startswith("text")
            assert (found.name, found.splits) == (entry.name, ["train", "valid", "test"] if text else ["train", "test"])
            examples = found.examples("test")
            expected = {"loss", "accuracy", "iou"} if entry.name.startswith("cells") else {"loss", "accuracy"}
            assert set(found.loss(found.model, examples.batch(0, 2), 2)) == expected
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
        ("digits-mlp-3x64", {"width": 4}, 'no setting "width"; '),
        ("digits-mlp-3x64", {"units": "rleu"}, 'units=rleu is unknown: did you mean "relu"'),
        ("digits-mlp-3x64", {"optimizer": "sdg"}, 'optimizer=sdg is unknown: did you mean "sgd"'),
        ("digits-mlp-3x64", {"learning_rate": "nan"}, "learning_rate=nan is not a number from 0"),
        ("digits-mlp-3x64", {"augmented": "yes"}, "augmented=yes is unknown"),
        ("moons-cnn", {}, "the zoo has no problem"),
        ("text-resnet8", {}, "the zoo has no problem"),
        ("mlp-2x16", {}, "the zoo has no problem"),
        ("wrn27-10", {}, "no wide residual network of depth 27"),
        ("densenet101", {}, "no DenseNet-BC of depth 101"),
        ("moons-softmax", {"noise": -1}, "noise=-1 is not a number from 0 to 2"),
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


def test_settings_of_the_recipe_are_no_part_of_the_problem() -> None:
    plan = blueprint("digits-mlp-1x8", {"optimizer": "adam", "batch_size": 32, "units": "tanh"})
    assert plan.name == "digits-mlp-1x8 units=tanh"
    assert (plan.recipe.optimizer, plan.recipe.batch_size, plan.recipe.learning_rate) == ("adam", 32, 1e-3)
    assert blueprint("digits-mlp-1x8", {"optimizer": "adam", "learning_rate": "0.01"}).recipe.learning_rate == 0.01
    assert blueprint("resnet20", {"augmented": "no"}).recipe.augmented is False


def test_zarembas_schedule() -> None:
    """Section 4.1: 13 epochs at rate 1, halved after each epoch from the fifth on; the medium model 39, by 1.2 after the sixth."""
    small = blueprint("ptb-lstm-2x200").recipe
    rates = [small.rate(epoch) / small.unroll for epoch in range(1, 14)]
    assert rates == pytest.approx([1] * 4 + [0.5**k for k in range(1, 10)])
    assert small.largest_gradient * small.unroll == pytest.approx(5)
    assert (small.unroll, small.batch_size, small.momentum, small.weight_decay) == (20, 20, 0, 0)
    medium = blueprint("ptb-lstm-2x650", {"dropout": 0.5, "scale": 0.05}).recipe
    assert [medium.rate(epoch) / medium.unroll for epoch in (6, 7, 8, 39)] == pytest.approx([1, 1 / 1.2, 1 / 1.2**2, 1 / 1.2**33])


@pytest.mark.parametrize("name", ["resnet8-nobn", "cifar10-resnet8", "vgg9", "vgg9-nobn", "wrn10-1", "densenet10", "cifar10-cnn"])
def test_networks_of_images_fit_their_data(name: str) -> None:
    plan = blueprint(name)
    assert plan.make_model().eval()(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
    if "nobn" in name:
        assert not any("BatchNorm" in type(module).__name__ for module in plan.make_model().modules())


def test_networks_of_other_data_fit_them() -> None:
    assert blueprint("mnist-cnn", {"pooling": "min"}).make_model()(torch.zeros(2, 1, 28, 28)).shape == (2, 10)
    assert blueprint("fashion-softmax").make_model()(torch.zeros(2, 1, 28, 28)).shape == (2, 10)
    assert blueprint("membranes-unet-noskip", {"width": 2}).make_model()(torch.zeros(1, 1, 40, 40)).shape == (1, 2, 40, 40)
    assert blueprint("ptb-gpt-1x8", {"context": 5}).make_model()(torch.zeros(1, 5, dtype=torch.long)).shape == (1, 5, 10_000)


def test_less_data_for_small_machines(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    for split, n in (("train", 12), ("test", 4)):
        np.save(tmp_path / f"{split}_images.npy", generator.integers(0, 256, (n, 32, 32, 3), dtype=np.uint8))
        np.save(tmp_path / f"{split}_labels.npy", np.arange(n) % 10)
    found = problem("resnet8", tmp_path, examples=5)
    assert found.name == "resnet8 examples=5"
    assert found.examples("train").tensors[1].tolist() == [0, 1, 2, 3, 4]
    assert found.examples("test").size == 4


def test_the_middle_of_the_membranes(shared: Path) -> None:
    whole, middle = (problem("membranes-fcn", shared / "data", width=2, side=side).examples("test") for side in (512, 100))
    for full, cut in zip(whole.tensors, middle.tensors, strict=True):
        assert cut.shape[-2:] == (100, 100)
        assert torch.equal(full[..., 206:306, 206:306], cut)


def test_half_a_cosine() -> None:
    recipe = Recipe(epochs=4, learning_rate=1.0)
    assert [recipe.rate(epoch) for epoch in (1, 2, 3, 4)] == pytest.approx([1, (2 + 2**0.5) / 4, 0.5, (2 - 2**0.5) / 4])
