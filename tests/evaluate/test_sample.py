"""Samples: which examples are used, the same ones for the same seed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from landscape.errors import InputError
from landscape.evaluate import Sample, choose
from landscape.problem import Examples

N = 100
EXAMPLES = Examples.read("train", torch.arange(N))


def chosen(sample: Sample) -> list[int]:
    return sample.examples.tensors.tolist()


def test_all_of_them_in_order() -> None:
    for wanted in (None, "all", N, N + 5, f"first:{N}", "first:1000"):
        sample = choose(EXAMPLES, wanted, seed=0, shuffled=False)
        assert chosen(sample) == list(range(N))
        assert sample.to_attributes() == {"sha256": EXAMPLES.sha256, "size": N, "used": N, "order": "all"}


def test_the_first_ones() -> None:
    sample = choose(EXAMPLES, "first:7", seed=3, shuffled=False)
    assert chosen(sample) == list(range(7))
    assert sample.to_attributes() == {"sha256": EXAMPLES.sha256, "size": N, "used": 7, "order": "first:7"}


def test_a_random_sample_is_without_replacement_in_order_and_the_seeds_own() -> None:
    sample = choose(EXAMPLES, 30, seed=1, shuffled=False)
    indices = chosen(sample)
    assert len(set(indices)) == 30
    assert indices == sorted(indices)
    assert sample.to_attributes() == {"sha256": EXAMPLES.sha256, "size": N, "used": 30, "order": "random:30 seed 1"}
    assert chosen(choose(EXAMPLES, "30", seed=1, shuffled=False)) == indices
    assert chosen(choose(EXAMPLES, 30, seed=2, shuffled=False)) != indices
    assert chosen(choose(Examples.read("test", torch.arange(N)), 30, seed=1, shuffled=False)) != indices


def test_every_example_is_as_likely_as_another() -> None:
    # 400 draws of 30 from 100: each index is drawn 120 times, sd √(400 · 0.3 · 0.7) = 9.2; 5 sd.
    counts = np.bincount(np.concatenate([chosen(choose(EXAMPLES, 30, seed, shuffled=False)) for seed in range(400)]), minlength=N)
    assert np.abs(counts - 120).max() < 46


def test_a_shuffled_order_holds_the_same_examples() -> None:
    plain, shuffled = (choose(EXAMPLES, 30, seed=1, shuffled=flag) for flag in (False, True))
    assert sorted(chosen(shuffled)) == chosen(plain)
    assert chosen(shuffled) != chosen(plain)
    assert shuffled.order == "random:30 seed 1, shuffled seed 1"
    whole = chosen(choose(EXAMPLES, None, seed=1, shuffled=True))
    assert sorted(whole) == list(range(N))
    assert whole != list(range(N))


@pytest.mark.parametrize("wanted", [0, -3, "0", "first:0", "first:-1", "first:", "last:5", "half", "1.5", ""])
def test_other_words_are_refused(wanted: object) -> None:
    with pytest.raises(InputError, match="neither a number nor first:N"):
        choose(EXAMPLES, wanted, seed=0, shuffled=False)
