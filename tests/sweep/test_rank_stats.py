"""What the ranks did: rates, shares, the table, and what of it the file keeps."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cases import perceptron

import landscape
from landscape import io
from landscape.sweep.rank_stats import RankStats, summary, table, to_attributes

QUIET = {"quiet": True, "threads": 1, "device": "cpu"}
# Two ranks for 10 s: the first spent 8 s in points and 1 s waiting, the second 6 s and 3 s; both were idle for the last second.
FIRST = RankStats(
    n_points=40, n_examples=400, wall=10.0, points=7.5, moving=1.0, model=5.0, busy=8.0, waiting=1.0, idle=1.0, peak_bytes=1
)
SECOND = RankStats(
    n_points=30, n_examples=300, wall=9.9, points=5.5, moving=1.0, model=4.0, busy=6.0, waiting=3.0, idle=1.0, peak_bytes=7
)


def test_rates_are_of_all_ranks_and_shares_of_all_their_time() -> None:
    found = to_attributes([FIRST, SECOND])
    assert found["points_per_second"] == 70 / 10  # until the last one was through
    assert found["examples_per_second"] == 700 / 10
    assert found["share_model"] == 9 / 20
    assert found["share_moving"] == 2 / 20
    assert found["share_metrics"] == (13 - 9 - 2) / 20
    assert found["share_overhead"] == (20 - 13) / 20
    assert sum(found[f"share_{name}"] for name in ("model", "moving", "metrics", "overhead")) == pytest.approx(1)
    assert found["memory_peak"] == 7
    assert found["parallel_efficiency"] == 14 / 20
    assert found["share_waiting"] == 4 / 20
    assert found["share_idle"] == 2 / 20
    assert found["rank_points"] == [40, 30]
    assert found["rank_busy"] == [8.0, 6.0]
    assert found["rank_waiting"] == [1.0, 3.0]
    assert found["rank_idle"] == [1.0, 1.0]


def test_one_process_has_no_efficiency_and_no_table() -> None:
    assert not {"parallel_efficiency", "rank_points", "share_idle"} & set(to_attributes([FIRST]))
    assert table([FIRST]) == ""
    assert "40 points in 10 s: 4 points/s, 40 examples/s" in summary([FIRST])


@pytest.mark.parametrize("ranks", [[RankStats()], [RankStats(), RankStats()], [replace(FIRST, n_points=0)] * 2])
def test_where_nothing_was_measured_nothing_is_said(ranks: list[RankStats]) -> None:
    assert (to_attributes(ranks), summary(ranks), table(ranks)) == ({}, "", "")


def test_a_rank_that_measured_nothing_is_told_of_too() -> None:
    idle = RankStats(wall=10.0, idle=9.0, waiting=1.0)
    assert to_attributes([FIRST, idle])["parallel_efficiency"] == 8 / 20
    assert table([FIRST, idle]).splitlines()[2].split() == ["1", "0", "0.0", "s", "1.0", "s", "9.0", "s"]


def test_the_table_has_a_line_a_rank() -> None:
    head, *rows, last = table([FIRST, SECOND]).splitlines()
    assert head.split() == ["rank", "points", "busy", "waiting", "idle"]
    assert [row.split() for row in rows] == [
        ["0", "40", "8.0", "s", "1.0", "s", "1.0", "s"],
        ["1", "30", "6.0", "s", "3.0", "s", "1.0", "s"],
    ]
    assert len({len(line) for line in [head, *rows]}) == 1  # its columns stand below each other
    assert last == "parallel efficiency 70.0%: waiting for rank 0 20.0%, idle at the end 10.0% of the ranks' time"


def test_of_many_ranks_the_table_gives_the_extent() -> None:
    ranks = [replace(FIRST, n_points=n, busy=float(n % 9)) for n in range(17)]
    assert len(table(ranks[:16]).splitlines()) == 1 + 16 + 1
    _, *rows, last = table(ranks).splitlines()
    assert [row.split()[:3] for row in rows] == [["least", "0", "0.0"], ["middle", "8", "4.0"], ["most", "16", "8.0"]]
    assert last.startswith(f"parallel efficiency {sum(n % 9 for n in range(17)) / 170:.1%}")


def test_the_file_keeps_what_each_rank_did_and_gives_it_back(tmp_path: Path) -> None:
    surface = landscape.line(perceptron(), x=(0, 1, 3), **QUIET)
    for n in (2, 1000):
        ranks = [replace(FIRST, n_points=k) for k in range(n)]
        run: dict[str, Any] = {**surface.runs[-1], **to_attributes(ranks)}
        io.write(replace(surface, runs=(run,)), tmp_path / "s.h5")
        again = landscape.read(tmp_path / "s.h5").runs[-1]
        for name in ("rank_points", "rank_busy", "rank_waiting", "rank_idle"):
            assert again[name] == run[name]
        assert again["parallel_efficiency"] == run["parallel_efficiency"]
    assert "rank_points" not in to_attributes([FIRST] * 1001)  # a file is no place for more
    assert math.isclose(to_attributes([FIRST] * 1001)["parallel_efficiency"], 0.8)
