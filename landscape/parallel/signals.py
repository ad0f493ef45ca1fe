"""Being ended from outside: Ctrl-C, a scheduler's SIGTERM, a terminal that is gone; heard also while one long computation runs."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

__all__ = ["check_ended", "graceful_shutdown", "on_shutdown"]

_PATIENCE = 2.0  # seconds in which the main thread may leave by itself; schedulers kill after some tens, people after fewer
_MORE_PATIENCE = 10.0  # the same where nothing was measured that could be lost, and a file may be being written
_INTERRUPTED = 130  # the exit code


@dataclass(frozen=True, eq=False)
class _Rescue:
    """What to do about a signal, on another thread, while the main one is inside; `left` says that it is not any more."""

    save: Callable[[], None]
    end: Callable[[], None]
    patience: float
    left: threading.Event = field(default_factory=threading.Event)


_rescues: list[_Rescue] = []
_heard = threading.Event()
_replaced: list[
    dict[signal.Signals, Any]
] = []  # the signals that each open `graceful_shutdown` hears, with who handled them before


@contextmanager
def graceful_shutdown(end: Callable[[], None]) -> Iterator[None]:
    """SIGTERM, and SIGHUP unless it was ignored as by nohup, end what runs inside as Ctrl-C does: by a `KeyboardInterrupt` on the main thread.

    Python raises it between two of its own steps, which may be long in coming: one call into torch may compute for minutes. And the
    user's code, in which the main thread is nearly all the time, may catch it and go on. So a thread hears of the signal at once: it
    saves what the innermost `on_shutdown` says, and where the main thread does not leave that in time, ends the process.

    Args:
        end: says why the process ends, where the main thread is in no `on_shutdown` and does not leave.
    """
    if threading.current_thread() is not threading.main_thread():  # only there are signals handled
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        _heard.set()
        raise KeyboardInterrupt

    hearing, speaking = socket.socketpair()
    speaking.setblocking(False)
    numbers = _numbers()
    watcher = threading.Thread(target=_watch, args=(hearing, numbers), name="signals", daemon=True)
    watcher.start()
    before = {number: signal.signal(number, interrupt) for number in numbers}
    _replaced.append(before)
    other = signal.set_wakeup_fd(speaking.fileno(), warn_on_full_buffer=False)
    try:
        with on_shutdown(lambda: None, end, _MORE_PATIENCE):
            yield
    finally:
        signal.set_wakeup_fd(other)
        _give_back()
        speaking.close()
        watcher.join()
        hearing.close()
        _heard.clear()


@contextmanager
def on_shutdown(save: Callable[[], None], end: Callable[[], None], patience: float | None = None) -> Iterator[None]:
    """Name what to do about a signal, on another thread, while the main one is inside.

    Args:
        save: brings the work done so far to safety; called at once, as some launchers kill a second after their SIGTERM.
        end: says why the process ends, and ends it or its whole job; called when the main thread does not leave.
        patience: seconds it has for that; 2 by default.
    """
    on_abort = _Rescue(save, end, _PATIENCE if patience is None else patience)
    _rescues.append(on_abort)
    try:
        yield
    finally:
        _rescues.remove(on_abort)
        on_abort.left.set()


def check_ended() -> None:
    """Raise the `KeyboardInterrupt` of a signal once more, where the user's code may have swallowed it."""
    if _heard.is_set():
        raise KeyboardInterrupt


def _numbers() -> list[signal.Signals]:
    """The signals to hear: what runs in the background is deaf to Ctrl-C, or under nohup to SIGHUP, and stays so."""
    numbers = [signal.SIGTERM]
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        numbers.append(signal.SIGINT)
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        numbers.append(signal.SIGHUP)
    return numbers


def _give_back() -> None:
    for number, handler in _replaced.pop().items():
        signal.signal(number, handler)


def _forget() -> None:
    """In a process forked off, as the workers of a data set are, signals are its own: who ends it does not mean us."""
    if _replaced:
        signal.set_wakeup_fd(-1)
    while _replaced:
        _give_back()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def _watch(hearing: socket.socket, numbers: list[signal.Signals]) -> None:
    while heard := hearing.recv(1):
        on_abort = _rescues[-1] if _rescues else None
        if heard[0] not in numbers or on_abort is None:
            continue
        with suppress(Exception):  # what cannot be saved must not keep the process from ending
            on_abort.save()
        if not on_abort.left.wait(on_abort.patience):
            try:
                on_abort.end()
            finally:
                os._exit(_INTERRUPTED)
