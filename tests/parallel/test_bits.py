"""The same bits for any number of ranks, however slow some of them are, in every engine; and what a run of several ranks says."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from jobs import SWEEP, check_tidy, needs_mpi, run

import landscape
from landscape import Surface
from landscape.core.surface import BY_METRIC

# Ranks are slowed at random, by rank; nothing of that may show in a value.
JOB = f"""
{SWEEP}
chance = random.Random(rank)
def slowed(self, indices, *more, usual=point_worker.PointWorker.block):
    time.sleep(chance.random() * 0.02 * (1 + rank % 3))
    return usual(self, indices, *more)
if "PMI_RANK" in os.environ:
    point_worker.PointWorker.block = slowed

perceptron, images = cases.perceptron, cases.images
def sampled():  # numbers that take the losses of single examples, from every rank
    problem = perceptron()
    return landscape.Problem(problem.model, torch.nn.CrossEntropyLoss(), {{"train": (cases.normal(200, 4), cases.integers(3, 200))}})
def command(kind, problem, name, *words):
    return main([kind, f"__main__:{{problem}}", f"{{problem}}.pt", "--threads", "1", "-o", f"{{name}}.h5", *words])

codes = [
    command("surface", "images", "plane", "--x", "-1:1:5", "--y", "-1:0.5:3", "--batch-size", "8", "--quiet"),
    command("surface", "perceptron", "batched", "--x", "-1:1:9", "--y", "-1:1:7", "--engine", "batched", "--split", "train,test", "--json"),
    command("surface", "images", "few", "--x", "0:1:2", "--y", "1:1:1", "--quiet"),
    command("line", "perceptron", "lanes", "--x", "-1:1:3", "--engine", "batched", "--quiet"),
    command("surface", "sampled", "paired", "--x", "-3:3:7", "--y", "-3:3:5", "--examples", "90", "--quiet"),
    command("line", "images", "draws", "--x", "-1:1:3", "--seeds", "1..3", "--quiet"),
    command("line", "images", "stopped", "--x", "-1:1:9", "--bn", "recalibrated", "--time-limit", "0", "--quiet"),
    command("line", "images", "stopped", "--x", "-1:1:9", "--bn", "recalibrated", "--quiet"),
    command("line", "images", "wrong", "--x", "nan:1:9"),
]
memory = landscape.line(images(), x=(-1, 1, 4), threads=1, quiet=True)
assert memory.complete
assert codes == [0, 0, 0, 0, 0, 0, 3, 0, 2], codes
"""
FILES = ("batched", "draws", "few", "lanes", "paired", "plane", "stopped")


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch
    from cases import images, perceptron

    folder = tmp_path_factory.mktemp("checkpoints")
    for name, problem in {"images": images(1), "perceptron": perceptron(), "sampled": perceptron()}.items():
        torch.save(problem.model.state_dict(), folder / f"{name}.pt")
    return folder


def sweeps(n_ranks: int | None, folder: Path, checkpoints: Path) -> tuple[str, str]:
    """What a job of so many ranks said on standard output and standard error; one process without MPI for None."""
    shutil.copytree(checkpoints, folder)
    code, out, err = run(n_ranks, JOB, folder)
    assert code == 0, err
    check_tidy(folder, *(f"{name}.h5" for name in FILES))
    return out, err


@pytest.fixture(scope="module")
def serial(tmp_path_factory: pytest.TempPathFactory, checkpoints: Path) -> Path:
    folder = tmp_path_factory.mktemp("serial") / "run"
    _, err = sweeps(None, folder, checkpoints)
    assert "parallel efficiency" not in err
    return folder


def check_same(ours: Surface, theirs: Surface) -> None:
    assert list(theirs.metrics) == list(ours.metrics)
    for key in ours.metrics:
        for kind in BY_METRIC:
            if key in getattr(ours, kind):
                assert np.array_equal(getattr(ours, kind)[key], getattr(theirs, kind)[key], equal_nan=True), (key, kind)
    for split in ours.examples:
        assert np.array_equal(ours.examples[split], theirs.examples[split])
    assert ours.numbers == theirs.numbers
    assert ours.attributes == theirs.attributes


def check_account(run: dict[str, object], n_ranks: int) -> None:
    """The efficiency is the share of all ranks' time inside points; what the ranks did adds up."""
    columns = {name: run[f"rank_{name}"] for name in ("points", "busy", "waiting", "idle")}
    for column in columns.values():
        assert isinstance(column, list)
        assert len(column) == n_ranks
        assert min(column) >= 0
    assert sum(columns["points"]) == run["points"] == 63
    total = 63 / float(str(run["points_per_second"])) * n_ranks
    assert run["parallel_efficiency"] == pytest.approx(sum(columns["busy"]) / total)
    assert run["share_waiting"] == pytest.approx(sum(columns["waiting"]) / total)
    assert run["share_idle"] == pytest.approx(sum(columns["idle"]) / total)
    assert 0 < float(str(run["parallel_efficiency"])) <= 1


def check_talk(err: str, n_ranks: int) -> None:
    """One of the commands was not told to be quiet: one line says where it computes, a table who did what."""
    host = os.uname().nodename
    assert err.count(f"{n_ranks} ranks on {host}: cpu, 1 thread each\n") == 1
    assert err.count("parallel efficiency") == 1
    rows = re.findall(r"^ {5}(\d) +(\d+) +\S+ s +\S+ s +\S+ s$", err, re.MULTILINE)
    assert [int(rank) for rank, _ in rows] == list(range(n_ranks))
    assert sum(int(n) for _, n in rows) == 63
    assert err.count("landscape:") == 1  # the one about nan, from the root alone
    assert "Traceback" not in err


@needs_mpi
@pytest.mark.parametrize(
    "n_ranks",
    [
        pytest.param(1, marks=pytest.mark.slow),
        pytest.param(2, marks=pytest.mark.slow),
        3,  # which are more than the points of "few"
        pytest.param(5, marks=pytest.mark.slow),
        pytest.param(8, marks=pytest.mark.slow),
    ],
)
def test_any_number_of_ranks_gives_the_same_bits(tmp_path: Path, serial: Path, checkpoints: Path, n_ranks: int) -> None:
    out, err = sweeps(n_ranks, tmp_path / "ranks", checkpoints)
    for name in FILES:
        ours, theirs = (landscape.read(folder / f"{name}.h5") for folder in (serial, tmp_path / "ranks"))
        assert theirs.complete
        assert theirs.runs[-1]["n_ranks"] == n_ranks
        assert theirs.runs[-1]["points"] == theirs.grid.n_points
        assert theirs.checks["passed"] == 1
        check_same(ours, theirs)
    assert landscape.read(tmp_path / "ranks" / "paired.h5").runs[-1]["paired_examples"] == 90
    told = json.loads(out)  # one document, by rank 0 alone
    assert told["file"] == "batched.h5"
    assert told["complete"]
    last = landscape.read(tmp_path / "ranks" / "batched.h5").runs[-1]
    assert last["engine"] == told["runs"][-1]["engine"] == "batched"
    if n_ranks > 1:
        check_account(dict(last), n_ranks)
        check_account(told["runs"][-1], n_ranks)
        check_talk(err, n_ranks)
