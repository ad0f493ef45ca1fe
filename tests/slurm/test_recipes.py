"""The files of scripts/slurm, submitted as they are to a real Slurm; what they measure is what one process measures, bit for bit."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cluster import SCRIPTS, Cluster, lacking, processes_of, running, until
from plane import assert_begun, assert_equal, n_begun, needs_mpi, prepare, variables

import landscape
from landscape.core.surface import Surface

RECIPES = ("one_node.sbatch", "several_nodes.sbatch", "array.sbatch")


@pytest.fixture
def folder(tmp_path: Path, cluster: Cluster) -> Path:
    """Where a job is submitted from."""
    return prepare(tmp_path)


@pytest.fixture
def submit(cluster: Cluster, folder: Path) -> Callable[..., str]:
    """Submits a recipe in the folder, with options of sbatch, and returns the job's number."""

    def submitted(recipe: str, *options: str, **more: str) -> str:
        words = ["sbatch", "--parsable", "--cpus-per-task=1", *options, str(SCRIPTS / recipe)]
        return cluster.call(*words, cwd=folder, **variables(**more))

    return submitted


def ran(folder: Path) -> list[str]:
    """Node, part, rank and GPUs of each process that made the problem."""
    return sorted(path.name.removeprefix("ran-") for path in folder.glob("ran-*"))


def log(folder: Path) -> str:
    return "\n".join(f"{path.name}: {path.read_text(errors='replace')}" for path in sorted(folder.glob("*.log")))


def test_the_recipes_are_shell_and_differ_in_nodes_alone() -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("no bash")
    for name in RECIPES:
        assert subprocess.run([bash, "-n", str(SCRIPTS / name)], check=False).returncode == 0
    one, several = ((SCRIPTS / name).read_text().splitlines() for name in RECIPES[:2])
    differing = [(a, b) for a, b in zip(one, several, strict=True) if a != b]
    assert ("#SBATCH --nodes=1", "#SBATCH --nodes=4") in differing
    assert len(differing) == 3  # and two lines of words
    parts = (SCRIPTS / "array.sbatch").read_text()
    shared = "\n".join(one).partition("# The seconds left")[2].partition('if [ -n "$left" ]')[2].partition("\n\n")[0]
    assert shared in parts


@needs_mpi
@pytest.mark.slow  # the job that is queued again runs this recipe too, to the same values
def test_one_node(cluster: Cluster, folder: Path, submit: Callable[..., str], expected: Surface) -> None:
    job = submit("one_node.sbatch", "--ntasks-per-node=3", "--gpus-per-node=2")
    assert cluster.end(job)["ExitCode"] == "0:0", log(folder)
    node = cluster.state(job)["BatchHost"]
    assert ran(folder) == [f"{node}-none-{rank}-2" for rank in range(3)]
    surface = landscape.read(folder / "out.h5")
    assert (surface.runs[-1]["n_ranks"], surface.runs[-1]["threads"]) == (3, 1)
    assert_equal(surface, expected)


@needs_mpi
def test_several_nodes(cluster: Cluster, folder: Path, submit: Callable[..., str], expected: Surface) -> None:
    for _ in range(3):
        job = submit("several_nodes.sbatch", "--nodes=2", "--ntasks-per-node=2", "--gpus-per-node=2")
        ended = cluster.end(job)["ExitCode"]
        # Slurm 22.05 now and then tears a long message of MPI's start-up in two ("mpi/pmi2: request not begin with"); nothing ran then.
        if ended == "0:0" or "mpi/pmi2: request not begin with" not in log(folder):
            break
        for torn in folder.glob("landscape-*.log"):
            torn.unlink()
    assert ended == "0:0", log(folder)
    assert ran(folder) == ["one-none-0-2", "one-none-1-2", "two-none-2-2", "two-none-3-2"]
    surface = landscape.read(folder / "out.h5")
    assert surface.runs[-1]["n_ranks"] == 4
    assert_equal(surface, expected)


@needs_mpi
@pytest.mark.parametrize(
    "launch", ["srun --mpi=pmi2 --kill-on-bad-exit=1", pytest.param("mpiexec", marks=pytest.mark.slow)], ids=["srun", "mpiexec"]
)
def test_a_job_at_the_end_of_its_time(
    cluster: Cluster, folder: Path, submit: Callable[..., str], expected: Surface, launch: str
) -> None:
    """The warning that `#SBATCH --signal` sends comes at once here: the job saves what it has, and queues itself again.

    Its ranks end by MPI_Abort, which leaves MPICH's shared memory behind for the second time to stumble over.
    """
    (folder / "setup").write_text(
        'if [ -z "${SLURM_RESTART_COUNT:-}" ]; then export SECONDS_A_POINT=0.3; else until [ -e looked ]; do sleep 0.1; done; fi\n'
    )
    job = submit("one_node.sbatch", "--ntasks-per-node=2", "--gpus-per-node=2", LAUNCH=launch, SETUP="./setup")
    until(lambda: n_begun(folder) >= 40 or cluster.has_ended(job), "some points")
    cluster.call("scancel", "--signal=USR1", "--batch", job)
    until(lambda: cluster.state(job)["Restarts"] == "1" or cluster.has_ended(job), "the job to be queued again")
    assert re.search(r"interrupted: \d+ of 63 points are in out.h5", log(folder)), log(folder)
    assert_begun(folder, expected)
    (folder / "looked").touch()
    assert cluster.end(job)["ExitCode"] == "0:0", log(folder)
    assert "points are left: queued again" in log(folder)
    surface = landscape.read(folder / "out.h5")
    assert len(surface.runs) == 2
    assert_equal(surface, expected)


@needs_mpi
@pytest.mark.slow
def test_a_time_limit_before_the_end_of_the_job(
    cluster: Cluster, folder: Path, submit: Callable[..., str], expected: Surface
) -> None:
    """MARGIN leaves two seconds of two minutes: too few for 63 points of 0.4 s on two ranks, and for any on a busy machine."""
    options = ["--ntasks-per-node=2", "--gpus-per-node=2", "--time=2", "--signal=B:USR1@5"]
    job = submit("one_node.sbatch", *options, MARGIN="118", SECONDS_A_POINT="0.4", RESTARTS="0")
    assert cluster.end(job)["ExitCode"] == "3:0", log(folder)
    assert "queued again" not in log(folder)
    assert_begun(folder, expected, at_least=0)


def test_an_array_of_parts(cluster: Cluster, folder: Path, expected: Surface) -> None:
    """A part that is lost leaves an incomplete whole and exit code 3; the same command again completes it."""
    start = ["bash", str(SCRIPTS / "array.sbatch")]
    settings = variables(PARTS="3", RESOURCES="--cpus-per-task=1 --gpus-per-node=1")

    def submitted() -> tuple[str, str]:
        said = cluster.call(*start, cwd=folder, **settings)
        found = re.fullmatch(r"submitted: the parts as (\d+), the merging as (\d+)", said)
        assert found, said
        return found[1], found[2]

    array, merging = submitted()
    cluster.call("scancel", f"{array}_2")
    assert cluster.end(merging)["ExitCode"] == "3:0", log(folder)
    assert {name.split("-")[1] for name in ran(folder)} == {"1", "3"}
    first = landscape.read(folder / "out.h5")
    assert 0 < first.done["train_loss"].sum() < first.grid.n_points
    array, merging = submitted()
    assert cluster.end(merging)["ExitCode"] == "0:0", log(folder)
    for part in (1, 2, 3):
        assert cluster.state(f"{array}_{part}")["ExitCode"] == "0:0"
    assert_equal(landscape.read(folder / "out.h5"), expected)
    assert sorted(path.name for path in folder.glob("*.h5*")) == ["out-part-1.h5", "out-part-2.h5", "out-part-3.h5", "out.h5"]


def test_a_recipe_says_what_is_wrong_before_it_begins(cluster: Cluster, folder: Path, submit: Callable[..., str]) -> None:
    job = submit("one_node.sbatch", "--ntasks-per-node=2", "--gpus-per-node=2", "--time=2")  # 120 s, less than MARGIN
    assert cluster.end(job)["ExitCode"] == "2:0"
    assert "raise --time or lower MARGIN" in log(folder)
    job = submit("array.sbatch", "--output=whole.log")
    assert cluster.end(job)["ExitCode"] == "2:0"
    assert "start this with: bash array.sbatch" in log(folder)
    (folder / "out.h5").write_text("precious")
    said = cluster.call("bash", str(SCRIPTS / "array.sbatch"), cwd=folder, check=False, **variables())
    assert "choose another OUTPUT" in said
    assert not cluster.call("squeue", "--noheader")  # nothing was submitted


def test_a_cluster_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    if reason := lacking():
        pytest.skip(reason)

    def fail() -> None:
        with running(tmp_path) as cluster:
            job = cluster.call("sbatch", "--parsable", "--wrap", "trap '' TERM; sleep 600", cwd=tmp_path)
            until(lambda: "sleep" in processes_of(tmp_path).values(), f"the process of job {job}")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not processes_of(tmp_path)
