"""Pools that somebody else made: the same bits as one process, what travels, what fails, and what is left then."""

from __future__ import annotations

import multiprocessing
import pickle
import random
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pool_cases
import pytest
from cases import images, integers, normal, perceptron, regression
from test_bits import check_same
from torch import nn

import landscape
from landscape.errors import InputError, RankError, RunError
from landscape.parallel import Call, PoolExecutor, Task
from landscape.parallel.pool_worker import Reply, Request, serve
from landscape.problem import resolve

QUIET: dict[str, Any] = {"quiet": True, "threads": 1, "device": "cpu"}
SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(2, mp_context=SPAWN) as executor:
        yield executor


class Here:
    """A pool that is this process, computing what was submitted at once, and noting what was sent."""

    _max_workers = 2

    def __init__(self) -> None:
        self.requests: list[Request] = []

    def submit(self, function: Callable[[Request], Reply], request: Request) -> Future[Reply]:
        self.requests.append(request)
        future: Future[Reply] = Future()
        future.set_result(function(pickle.loads(pickle.dumps(request))))
        return future

    @property
    def n_payloads(self) -> int:
        return sum(bool(request.payload) for request in self.requests)


class Scrambled(Here):
    """The same, but what waits is computed in any order, on another thread."""

    _max_workers = 5

    def __init__(self) -> None:
        super().__init__()
        self._chance, self._waiting, self._thread = random.Random(3), [], ThreadPoolExecutor(1)

    def submit(self, function: Callable[[Request], Reply], request: Request) -> Future[Reply]:
        future: Future[Reply] = Future()
        self._waiting.append((function, request, future))
        self._thread.submit(self._compute_one)
        return future

    def _compute_one(self) -> None:
        function, request, future = self._waiting.pop(self._chance.randrange(len(self._waiting)))
        if future.set_running_or_notify_cancel():
            future.set_result(function(request))


class Rounds:
    """A pool that only maps, in order, and gives all results at once."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def map(self, function: Callable[[Request], Reply], requests: list[Request]) -> list[Reply]:
        self.sizes.append(len(requests))
        return [function(request) for request in requests]


# --- values ---


def sampled() -> landscape.Problem:
    """Numbers that take the losses of single examples, from every worker."""
    data = {"train": (normal(200, 4), integers(3, 200))}
    return landscape.Problem(perceptron().model, nn.CrossEntropyLoss(), data)


SWEEPS: dict[str, Callable[..., landscape.Surface]] = {
    "plane": lambda **more: landscape.surface(images(), x=(-1, 1, 5), y=(-1, 0.5, 3), batch_size=8, **more),
    "batched": lambda **more: landscape.surface(perceptron(), x=(-1, 1, 9), y=(-1, 1, 7), engine="batched", **more),
    "recalibrated": lambda **more: landscape.line(images(), x=(-1, 1, 5), bn="recalibrated", **more),
    "between": lambda **more: landscape.line(images(), end=images(1).model, x=(0, 1, 3), split="train", **more),
    "paired": lambda **more: landscape.surface(sampled(), x=(-3, 3, 7), y=(-3, 3, 5), examples=90, **more),
    "tolerant": lambda **more: landscape.line(sampled(), x=(-1, 1, 9), tolerance=0.2, **more),
    "draws": lambda **more: landscape.line(images(), x=(-1, 1, 3), seeds=[1, 2, 3], **more),
    "lossy": lambda **more: landscape.line(perceptron(), x=(-1, 1, 7), precision="bf16", audit_tolerance=1.0, **more),
    "named": lambda **more: landscape.line(resolve("cases:images"), x=(-1, 1, 5), **more),
}


@pytest.fixture(scope="module")
def serial() -> Callable[[str], landscape.Surface]:
    known: dict[str, landscape.Surface] = {}

    def measured(name: str) -> landscape.Surface:
        if name not in known:
            known[name] = SWEEPS[name](**QUIET)
        return known[name]

    return measured


@pytest.mark.parametrize("name", SWEEPS)
def test_spawned_processes_give_the_bits_of_one(
    name: str, pool: ProcessPoolExecutor, serial: Callable[[str], landscape.Surface]
) -> None:
    found = SWEEPS[name](executor=pool, **QUIET)
    assert found.complete
    check_same(serial(name), found)
    assert found.checks == pytest.approx(serial(name).checks, nan_ok=True) or name == "lossy"
    last = found.runs[-1]
    assert (last["n_ranks"], last["points"]) == (2, found.grid.n_points)
    assert last["engine"] == serial(name).runs[-1]["engine"]
    assert last["points_per_second"] > 0


@pytest.mark.parametrize("make", [Here, Scrambled, Rounds, lambda: ThreadPoolExecutor(2)])
@pytest.mark.parametrize("name", ["plane", "tolerant"])
def test_any_pool_gives_the_bits_of_one_process(
    name: str, make: Callable[[], Any], serial: Callable[[str], landscape.Surface]
) -> None:
    check_same(serial(name), SWEEPS[name](executor=make(), **QUIET))


def test_a_pool_in_order_is_asked_in_rounds() -> None:
    executor = Rounds()
    landscape.line(perceptron(), x=(-1, 1, 40), executor=executor, **QUIET)
    assert len(executor.sizes) > 2  # the first of which are told that the problem is missing
    assert sum(executor.sizes) < 2 * 40


# --- what travels ---


def test_the_problem_travels_once() -> None:
    executor = Here()
    for _ in range(2):
        landscape.line(perceptron(), x=(-1, 1, 40), executor=executor, **QUIET)
    assert executor.n_payloads == 2  # runs
    assert len(executor.requests) > 10


def test_a_problem_with_an_import_string_travels_as_that(pool: ProcessPoolExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    sent, found = Here(), []
    problem = resolve("pool_cases:unpicklable")
    for executor in (sent, pool, None):
        found.append(landscape.line(problem, x=(-1, 1, 5), executor=executor, ignore="none", **QUIET).values["train_loss"])
    assert np.array_equal(found[0], found[2])
    assert np.array_equal(found[1], found[2])
    assert 0 < max(len(request.payload) for request in sent.requests) < 50_000  # the data are 14 MB
    with pytest.raises(InputError, match=r"cannot be sent .*torch-landscape\[executors\]"):
        landscape.line(pool_cases.unpicklable(), executor=pool, **QUIET)


def test_what_no_import_finds_travels_with_cloudpickle(pool: ProcessPoolExecutor) -> None:
    pytest.importorskip("cloudpickle")
    power = 4
    own = regression()
    problem = landscape.Problem(own.model, lambda model, batch: (model(batch[0]) - batch[1]).pow(power).mean(1), own.data)
    ours, theirs = (landscape.line(problem, x=(-1, 1, 5), executor=executor, **QUIET) for executor in (None, pool))
    check_same(ours, theirs)


def test_a_stream_by_a_pool_of_a_function(pool: ProcessPoolExecutor) -> None:
    pytest.importorskip("cloudpickle")
    bowl = landscape.LambdaObjective(lambda x, y: x * x + 3 * y * y)
    *_, last = landscape.stream(bowl, x=(-1, 1, 5), y=(-1, 1, 3), executor=pool, **QUIET)
    assert last.complete
    assert np.array_equal(last.values["train_loss"], np.add.outer(np.linspace(-1, 1, 5) ** 2, 3 * np.linspace(-1, 1, 3) ** 2))


def test_effective_weights_travel_beside_the_import_string(pool: ProcessPoolExecutor) -> None:
    problem = resolve("pool_cases:weight_normed")
    ours, theirs = (landscape.line(problem, x=(-1, 1, 5), executor=executor, **QUIET) for executor in (None, pool))
    check_same(ours, theirs)


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        ("pool_cases:other_data", r"worker \d+ on .*has other data than"),
        ("pool_cases:other_values", r"worker \d+ on .*: it has train_loss .* where rank 0 has .*1e-09 apart"),
    ],
)
def test_a_worker_that_is_not_like_the_root_is_refused(pool: ProcessPoolExecutor, factory: str, message: str) -> None:
    with pytest.raises(RankError, match=message):
        landscape.line(resolve(factory), x=(-1, 1, 5), executor=pool, **QUIET)


def test_the_callers_state_is_its_own_again(pool: ProcessPoolExecutor) -> None:
    before = pool.submit(_state).result()
    landscape.line(resolve("pool_cases:three_threads"), x=(-1, 1, 5), executor=pool, quiet=True, device="cpu", threads=3)
    assert before in {pool.submit(_state).result() for _ in range(8)}


def _state() -> tuple[Any, ...]:
    import torch

    return torch.get_num_threads(), torch.is_grad_enabled(), torch.get_default_dtype(), torch.get_rng_state().sum().item()


# --- the end ---

LINE: dict[str, Any] = {"x": (-1, 1, 21), "normalize": "none", "ignore": "none", "directions": None}


def along_the_first(loss: Any, to: Path | None, **more: Any) -> landscape.Surface:
    """The line from (−1, 0) to (1, 0), whose values are its coordinates."""
    ends = [{"weight": normal(2).double() * 0 + place} for place in (0.0, 1.0)]
    ends[1]["weight"][1] = 0.0
    return landscape.line(pool_cases.made(loss), *ends, x=(-1, 1, 21), to=to, **{**QUIET, **more})


def test_an_error_of_a_worker_is_a_line_and_the_run_goes_on_later(pool: ProcessPoolExecutor, tmp_path: Path) -> None:
    to = tmp_path / "l.h5"
    with pytest.raises(
        RankError, match=r"^worker \d+ on \S+: at x = .*ValueError: no value so far out; \d+ of 21 points are in "
    ) as told:
        along_the_first(pool_cases.fails_far_out, to, executor=pool)
    assert "\n" not in str(told.value)
    assert "in fails_far_out" in str(told.value.__cause__)  # the worker's traceback
    assert "in fails_far_out" in told.value.trace
    there = int(landscape.read(to).done["train_loss"].sum())
    assert 0 < there < 21
    again = along_the_first(pool_cases.fails_far_out, to)
    assert again.runs[-1]["points"] == 21 - there
    assert again.values["train_loss"] == pytest.approx(np.linspace(-1, 1, 21), abs=1e-15)
    check = along_the_first(pool_cases.fails_far_out, None)
    assert np.array_equal(check.values["train_loss"], again.values["train_loss"])


def test_a_process_that_dies_is_told(tmp_path: Path) -> None:
    to = tmp_path / "l.h5"
    with (
        ProcessPoolExecutor(1, mp_context=SPAWN) as mortal,
        pytest.raises(RunError, match=r"a process of the pool ended .*of 21 points"),
    ):
        along_the_first(pool_cases.dies_far_out, to, executor=mortal)
    assert 0 < landscape.read(to).done["train_loss"].sum() < 21


def test_ctrl_c_leaves_what_there_is(tmp_path: Path) -> None:
    class Interrupted(Here):
        def submit(self, function: Any, request: Request) -> Future[Reply]:
            if len(self.requests) == 12:
                raise KeyboardInterrupt
            return super().submit(function, request)

    to = tmp_path / "l.h5"
    with pytest.raises(KeyboardInterrupt, match=r"interrupted: .* of 41 points are in"):
        landscape.line(perceptron(), x=(-1, 1, 41), to=to, executor=Interrupted(), **QUIET)
    there = int(landscape.read(to).done["train_loss"].sum())
    assert 0 < there < 41
    assert landscape.line(perceptron(), x=(-1, 1, 41), to=to, executor=Here(), **QUIET).runs[-1]["points"] == 41 - there
    check_same(landscape.line(perceptron(), x=(-1, 1, 41), **QUIET), landscape.read(to))


def test_a_workers_ctrl_c_is_ones_own() -> None:
    class Interrupted(Here):
        def submit(self, function: Any, request: Request) -> Future[Reply]:
            future: Future[Reply] = Future()
            future.set_result(Reply("worker", error=KeyboardInterrupt()))
            return future

    with pytest.raises(KeyboardInterrupt):
        landscape.line(perceptron(), x=(-1, 1, 3), executor=Interrupted(), **QUIET)


def test_what_a_pool_raises_is_a_line() -> None:
    class Closed(Here):
        def submit(self, function: Any, request: Request) -> Future[Reply]:
            raise RuntimeError("cannot schedule new futures after shutdown")

    with pytest.raises(RunError, match="the pool failed: RuntimeError: cannot schedule"):
        landscape.line(perceptron(), x=(-1, 1, 3), executor=Closed(), **QUIET)


def test_no_further_point_is_begun_when_the_time_is_over(tmp_path: Path) -> None:
    executor, to = Here(), tmp_path / "l.h5"
    stopped = landscape.line(perceptron(), x=(-1, 1, 9), to=to, time_limit=0, executor=executor, **QUIET)
    assert not stopped.complete
    assert executor.requests == []
    assert landscape.line(perceptron(), x=(-1, 1, 9), to=to, executor=executor, **QUIET).complete
    assert landscape.line(perceptron(), x=(-1, 1, 9), to=to, executor=executor, **QUIET).runs[-1]["points"] == 0


@pytest.mark.parametrize("make", [Here, Scrambled, Rounds])
def test_a_worker_of_any_kind_gives_an_account(make: Callable[[], Any]) -> None:
    found: dict[int, int] = {}
    call = Call(None, "half", (10,), pool_cases.Halves)
    shares = PoolExecutor(make()).run_task(Task(range(0, 200, 2), call, found.__setitem__, seconds=1e-3))
    assert found == {item: 5 * item for item in range(0, 200, 2)}
    assert [(share.n_items, share.account) for share in shares] == [(100, 100)]  # one process


def test_results_before_an_error_are_taken_in() -> None:
    found: dict[int, int] = {}
    task = Task([0, 2, 4, 5, 6], Call(None, "half", (2,), pool_cases.Halves), found.__setitem__, seconds=1e-6)
    executor = Here()
    executor._max_workers = 1
    with pytest.raises(RankError, match="5 has no half"):
        PoolExecutor(executor).run_task(task)
    assert list(found)[:3] == [0, 2, 4]


# --- what is no pool ---


def test_what_cannot_be_used_is_refused() -> None:
    with (
        ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as forking,
        pytest.raises(InputError, match="spawn"),
    ):
        landscape.line(perceptron(), executor=forking, **QUIET)
    with pytest.raises(InputError, match=r"takes a pool with submit or map, .* not str"):
        landscape.line(perceptron(), executor="two", **QUIET)
    with pytest.raises(TypeError, match="a Call"):
        PoolExecutor(Here()).run_task(Task([1], lambda item: item, lambda item, result: None))


def test_a_worker_that_is_missing_says_so() -> None:
    reply = serve(Request("no such digest", b"", "block", (), [1]))
    assert reply.missing
    assert reply.error is None
    assert serve(Request("bad", b"no pickle", "block", (), [1])).error is not None
    assert Call(random.Random(0), "randrange", (9,))(8) == 8
