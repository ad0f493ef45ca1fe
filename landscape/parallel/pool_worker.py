"""What runs in the processes of a pool: a worker is made once from what was sent, kept by its digest, and computes items."""

from __future__ import annotations

import os
import pickle
import socket
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from landscape.errors import LandscapeError, RunError, in_a_line
from landscape.parallel.remote_errors import trace_of

__all__ = ["Reply", "Request", "serve"]

_workers: dict[str, Any] = {}
_lock = threading.Lock()  # a process computes one thing at a time, however many threads its pool gives it


@dataclass(frozen=True)
class Request:
    """Some items to compute.

    Attributes:
        digest: of what makes the worker.
        payload: that itself, pickled; empty where the worker may be there already.
        method: of the worker, to be called with each item.
        arguments: what it takes behind the item.
        items: in their order.
    """

    digest: str
    payload: bytes
    method: str
    arguments: tuple[Any, ...]
    items: list[Any]


@dataclass
class Reply:
    """What became of a request: results as far as they go, and why they go no further."""

    worker: str
    missing: bool = False  # the worker is not there: send the payload too
    results: list[Any] = field(default_factory=list)
    seconds: float = 0.0
    account: Any = None
    error: BaseException | None = None
    trace: str = ""


def serve(request: Request) -> Reply:
    """Compute the items of a request."""
    reply = Reply(f"worker {os.getpid()} on {socket.gethostname()}")
    with _lock:
        try:
            worker = _workers.get(request.digest)
            if worker is None:
                if not request.payload:
                    return Reply(reply.worker, missing=True)
                _workers.clear()  # each has a model and its examples: one has to go before the next comes
                worker = pickle.loads(request.payload)()  # from the process that hands out the items
                _workers[request.digest] = worker
            began = time.perf_counter()
            with worker.computing():
                for item in request.items:
                    reply.results.append(getattr(worker, request.method)(item, *request.arguments))
            reply.seconds = time.perf_counter() - began
            reply.account = worker.account()
        except BaseException as error:  # whatever it is, the run ends with a line about it
            told = error if isinstance(error, LandscapeError | KeyboardInterrupt) else RunError(in_a_line(error))
            reply.error, reply.trace = told.with_traceback(None), trace_of(error)
    return reply
