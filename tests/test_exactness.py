"""What is said of the errors of a surface's values: relative to the value, exact, unsure, or that nothing is known."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from landscape.core.surface import UNSURE_BELOW, Axis, Metric, Surface
from landscape.measures import describe_errors, exactness
from landscape.report import describe, tabulate

N = 1000
SPACE = "\u00a0"


def line(values: Any, order: str = "random:100 seed 0", used: Any = 100, name: str = "loss", **rest: Any) -> Surface:
    values = np.asarray(values, dtype=np.float64)
    key = f"train_{name}"
    kinds = {kind: {key: np.asarray(rest.pop(kind), float)} for kind in ("stderr", "low", "high", "effective") if kind in rest}
    done = rest.pop("done", np.ones(values.shape, bool))
    return Surface(
        kind="line",
        axes=(Axis("x", np.arange(len(values), dtype=np.float64)),),
        metrics={key: Metric("train", name, "nat")},
        values={key: values},
        done={key: np.asarray(done)},
        examples={"train": np.broadcast_to(np.asarray(used), values.shape).astype(np.int64)},
        data={"train": {"size": N, "used": int(np.max(used)), "order": order}},
        **kinds,
        **rest,
    )


def test_errors_are_told_as_shares_of_their_values() -> None:
    """The largest in nats, 1, is 1 % of its value; the smallest, 0.03, is 3 %."""
    surface = line([1.0, 10.0, 100.0, np.nan], stderr=[0.03, 0.2, 1.0, np.nan], effective=[50, 50, 50, 50])
    assert describe_errors(surface, "train_loss") == f"standard error up to 3{SPACE}% of the value"
    assert exactness(surface, "train_loss").relative == pytest.approx(0.03)
    shown = np.array([False, True, True, True])
    assert describe_errors(surface, "train_loss", shown) == f"standard error up to 2{SPACE}% of the value"
    assert "standard error up to 3" in describe(surface)
    assert tabulate(surface)["values"]["train_loss"]["errors"]["relative_stderr"] == pytest.approx(0.03)
    json.dumps(tabulate(surface))


def test_one_word_tells_of_errors_that_few_examples_carry() -> None:
    effective = [UNSURE_BELOW - 0.1, UNSURE_BELOW, 500.0, 3.0, 0.0]
    surface = line([1.0, 1.0, 1.0, 1.0, 1.0], stderr=[0.1, 0.1, 0.1, 0.1, np.nan], effective=effective)
    assert describe_errors(surface, "train_loss") == f"standard error up to 10{SPACE}% of the value, unsure at 3 of 5 points"
    none = line([0.0, 0.0], stderr=[np.nan, np.nan], effective=[0.0, 0.0])  # no example has a loss
    assert describe_errors(none, "train_loss") == "unsure at 2 of 2 points"


def test_all_examples_are_exact_on_their_split() -> None:
    surface = line([1.0, 2.0], "all", N, stderr=[0.0, 0.0])
    assert describe_errors(surface, "train_loss") == "exact on this split"
    assert tabulate(surface)["values"]["train_loss"]["errors"] == {"exact": True, "unsure": 0, "points": 2}
    fraction = line([1.0, 0.5], "all", N, "accuracy", low=[1.0, 0.5], high=[1.0, 0.5])
    assert describe_errors(fraction, "train_accuracy") == "exact on this split"
    reduced_precision = line([1.0, 2.0], "all", N, stderr=[0.0, 0.0], attributes={"precision": "bf16"})
    assert describe_errors(reduced_precision, "train_loss") == "all examples of this split used"


def test_with_a_tolerance_some_points_are_exact() -> None:
    surface = line([1.0, 0.1], "all, shuffled seed 0", [256, N], stderr=[0.02, 0.0], effective=[80.0, np.nan])
    assert describe_errors(surface, "train_loss") == f"standard error up to 2{SPACE}% of the value"
    assert describe_errors(surface, "train_loss", np.array([False, True])) == "exact on this split"


def test_the_first_examples_speak_of_no_others() -> None:
    plain = line([1.0, 2.0], "first:100", stderr=[np.nan, np.nan])
    assert describe_errors(plain, "train_loss") == "no standard error, as the first 100 are no random sample"
    early = line([1.0, 2.0], "first:500, shuffled seed 0", [256, 500], stderr=[0.02, 0.0], effective=[80.0, np.nan])
    told = f"standard error up to 2{SPACE}% of the value, all of it within the first 500 examples"
    assert describe_errors(early, "train_loss") == told
    assert describe_errors(early, "train_loss", np.array([False, True])) == "exact on the first 500 examples"


def test_the_widest_interval_of_a_fraction() -> None:
    surface = line([0.9, 1.0, 0.5], name="accuracy", low=[0.82, 0.962, 0.4], high=[0.95, 1.0, 0.6])
    assert describe_errors(surface, "train_accuracy") == f"widest 95{SPACE}% interval 0.4 to 0.6"
    assert tabulate(surface)["values"]["train_accuracy"]["errors"]["interval"] == [0.4, 0.6]


def test_an_error_of_0_that_a_sample_claims_is_unsure() -> None:
    """Version 0.1.0 stored 1 ± 0 for 100 right of 100 drawn from 1,000."""
    surface = line([0.9, 1.0], name="accuracy", stderr=[0.03, 0.0])
    told = f"standard error up to 3.3{SPACE}% of the value, unsure at 1 of 2 points"
    assert describe_errors(surface, "train_accuracy") == told


@pytest.mark.parametrize(
    "rest",
    [
        {},
        {"stderr": [np.nan, np.nan]},
        {"data": {}, "stderr": [np.nan, np.nan]},
        {"data": {"train": {"size": float("nan"), "order": 3}}, "stderr": [np.nan, np.nan]},
        {"data": {"train": {"size": "many", "order": "first:" + "9" * 400}}},
    ],
)
def test_where_nothing_is_known_nothing_is_said(rest: dict[str, Any]) -> None:
    surface = line([1.0, 2.0], "all", N, **{k: v for k, v in rest.items() if k != "data"})
    surface = Surface(**{**vars(surface), "data": rest.get("data", surface.data)})
    assert describe_errors(surface, "train_loss") == ""


def test_what_is_not_measured_does_not_count() -> None:
    surface = line([1.0, 1.0], stderr=[0.01, 0.5], effective=[90.0, 3.0], done=[True, False])
    assert describe_errors(surface, "train_loss") == f"standard error up to 1{SPACE}% of the value"
    empty = line([1.0], "first:100", stderr=[np.nan], done=[False])
    assert describe_errors(empty, "train_loss") == ""
