"""The worker of a process that is no rank: what travels there, once, and what is made of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from landscape.errors import RunError
from landscape.evaluate import Engine, Objective, Sample
from landscape.problem import Examples, Problem, resolve
from landscape.sweep.checks import compare_identities, describe_difference, identity, losses_off_origin
from landscape.sweep.isolation import isolated
from landscape.sweep.options import Options
from landscape.sweep.paired_errors import PairedErrors
from landscape.sweep.plan import Plan
from landscape.sweep.point_worker import PointWorker
from landscape.sweep.precision_audit import Audit
from landscape.sweep.setup import RunContext, choose_examples

__all__ = ["RemoteWorker", "WorkerSetup"]


@dataclass(frozen=True, eq=False)
class WorkerSetup:
    """All that a process elsewhere needs to compute points as this one does; called there, it makes the worker.

    A problem that an import string names travels as that string, and is made there with its data; any other one with the examples
    of the run. The engine is the one that the root settled, so that bits do not depend on where a point is computed.
    """

    problem: Problem | str
    model: nn.Module | None  # in place of the one that the import string gives
    plan: Plan
    samples: Sequence[Sample]
    calibration: Examples | None
    options: Options
    engine: Engine
    threads: int
    identity: Mapping[str, str]
    losses: Mapping[str, float]  # at a point off the origin, at the root

    @classmethod
    def of(cls, context: RunContext, options: Options, n_workers: int) -> WorkerSetup:
        """What this process computes with, for so many others."""
        plan, samples = context.plan, context.samples
        named = plan.problem.source and not plan.problem.source.startswith("__main__:")
        nothing: Any = None
        return cls(
            problem=plan.problem.source if named else plan.problem.without_data(),
            model=plan.problem.model if named and plan.effective else None,
            plan=replace(plan, problem=nothing, original=nothing, models=()),
            samples=() if named else samples,
            calibration=None if named else context.calibration,
            options=Options(  # of those, what a worker needs; the problem and its checkpoints are not among it
                split=[sample.split for sample in samples],
                examples=options.examples,
                tolerance=options.tolerance,
                audit_tolerance=options.audit_tolerance,
            ),
            engine=replace(context.objective.engine, memory=context.objective.engine.memory / n_workers),
            threads=torch.get_num_threads(),
            identity=identity(plan, samples, context.calibration),
            losses=losses_off_origin(plan, context.objective, samples),
        )

    def __call__(self) -> RemoteWorker:
        """The worker.

        Raises:
            InputError: where code, weights or data are not the root's.
            RunError: where the worker gets another value than the root.
        """
        with _computing(self.threads, self.engine.device):
            problem = resolve(self.problem) if isinstance(self.problem, str) else self.problem
            problem = problem if self.model is None else problem.with_model(self.model)
            plan, samples, calibration = replace(self.plan, problem=problem, original=problem), self.samples, self.calibration
            if not samples:
                samples, calibration = choose_examples(plan, self.options)
            compare_identities([self.identity, identity(plan, samples, calibration)])
            objective = Objective(problem, plan.subspace, samples, self.engine, calibration)
            PairedErrors(problem, objective, samples)  # points bring the losses of single examples along
            losses = losses_off_origin(plan, objective, samples)
            if told := describe_difference("it", losses, self.losses, plan, objective):
                raise RunError(told)
            return RemoteWorker(plan, objective, Audit(plan, objective, self.options.audit_tolerance), self.threads)


class RemoteWorker(PointWorker):
    """A `PointWorker` in a process that does other things too."""

    def __init__(self, plan: Plan, objective: Objective, audit: Audit, threads: int) -> None:
        super().__init__(plan, objective, audit)
        self._threads = threads

    def computing(self) -> AbstractContextManager[None]:
        """Within this it may be called; afterwards the process's state of torch is what it was."""
        return _computing(self._threads, self._objective.engine.device)


@contextmanager
def _computing(threads: int, device: torch.device) -> Iterator[None]:
    with isolated(threads):
        if device.type == "cuda":
            torch.cuda.set_device(device)
        yield
