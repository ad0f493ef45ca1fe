"""Lines of a study against values that can be told by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness.lines import describe_lead, describe_line, describe_way, rises, trace_histories, trace_lines
from landscape.core.surface import Axis, Metric, Surface

LOSSES = {"train": [9.0, 5.0, 4.0, 2.0, 1.0, 6.0], "valid": [9.0, 5.0, 2.0, 3.0, 1.0, 6.0]}
X = np.array([-0.5, 0.0, 0.25, 0.5, 1.0, 1.5])


def line(losses: dict[str, list[float]], source: str = "difference") -> Surface:
    metrics = {f"{split}_loss": Metric(split, "loss", "nat") for split in losses}
    values = {f"{split}_loss": np.array(row).T for split, row in losses.items()}
    axes = [Axis("x", X, {"source": source}), Axis("seed", np.arange(2.0))][: np.ndim(next(iter(values.values())))]
    done = {key: np.ones(array.shape, dtype=bool) for key, array in values.items()}
    return Surface("line", tuple(axes), metrics, values, done)


def test_the_way_down_in_numbers() -> None:
    train, valid = (describe_line("net", line(LOSSES), split) for split in ("train", "valid"))
    assert train["net: greatest climb (of the drop)"] == train["net: turning points"] == 0  # beyond α = 1 it is no longer the way
    assert train["net: α at half the drop"] == pytest.approx(0.25 + 0.25 * (4 - 3) / (4 - 2))
    assert valid["net: greatest climb (of the drop)"] == pytest.approx(1 / 4)
    assert valid["net: turning points"] == 2
    chord = 5 - 4 * 0.5
    assert valid["net: bump above the chord (of the drop)"] == pytest.approx((3 - chord) / 4)
    assert list(train) == list(valid)
    assert train["net: loss at α = 1 (nat)"] == 1


def test_what_is_not_defined_is_not_a_number() -> None:
    found = describe_line("net", line(LOSSES, source="random"), "train")
    assert math.isnan(found["net: greatest climb (of the drop)"])
    assert not math.isnan(found["net: share of the line that is convex"])


def test_curves_over_seeds_and_over_draws() -> None:
    lines = [line(LOSSES), line({"train": [12.0, 9.0, 3.0, 2.0, 1.0, 1.0], "valid": LOSSES["valid"]})]
    trace = trace_lines("net", lines)
    np.testing.assert_array_equal(trace.y, [LOSSES["train"], [12.0, 9.0, 3.0, 2.0, 1.0, 1.0]])
    shares = trace_lines("net", lines, share=True).y
    np.testing.assert_allclose(shares, [[2.0, 1.0, 0.75, 0.25, 0.0, 1.25], [1.375, 1.0, 0.25, 0.125, 0.0, 0.0]], rtol=1e-15)
    draws = trace_lines("net", [line({"train": [LOSSES["train"], LOSSES["valid"]]}, source="random")])  # type: ignore[dict-item]
    np.testing.assert_array_equal(draws.y, [LOSSES["train"], LOSSES["valid"]])
    np.testing.assert_array_equal(draws.x, X)


def test_rises_at_both_ends() -> None:
    np.testing.assert_array_equal(rises(line(LOSSES), "valid"), [4.0, 1.0])
    two = {"train": [LOSSES["train"], [2.0, 5.0, 4.0, 2.0, 1.0, 8.0]]}
    np.testing.assert_array_equal(rises(line(two, source="random")), [[4.0, -3.0], [1.0, 3.0]])  # type: ignore[arg-type]


def test_the_way_from_a_start_that_is_near() -> None:
    found = describe_way(line({"train": [9.0, 2.0, 2.5, 1.5, 1.0, 6.0]}))  # what is beyond the two models is not on the way
    assert found["rise above the start on the line (nat)"] == 0.5
    assert found["climb on the line / drop"] == 0.5
    assert describe_way(line(LOSSES))["rise above the start on the line (nat)"] == 0


def test_histories_as_curves() -> None:
    histories = [[{"epoch": k, "test_loss": start / k} for k in (1, 2)] for start in (4.0, 2.0)]
    trace = trace_histories("net", histories, "test_loss")
    assert trace.x.tolist() == [1, 2]
    assert trace.y.tolist() == [[4, 2], [2, 1]]
    trace = trace_histories("net", histories, "test_loss", before=[9.0, 8.0])
    assert trace.x.tolist() == [0, 1, 2]
    assert trace.y.tolist() == [[9, 4, 2], [8, 2, 1]]


def test_a_lead_that_is_not_caught_up() -> None:
    ahead, behind = [{"test_loss": 0.1}], [{"test_loss": 1.0}, {"test_loss": 0.5}]
    assert list(describe_lead(ahead, behind).values()) == [0.1, 3]
