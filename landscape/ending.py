"""Being ended from outside: Ctrl-C and a scheduler's SIGTERM, heard also while one long computation runs."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

__all__ = ["ended_gently", "rescued_by"]

_PATIENCE = 2.0  # seconds in which the main thread may react by itself; schedulers kill after some tens, people after fewer
_rescues: list[tuple[Callable[[], None], Callable[[], None]]] = []


@contextmanager
def ended_gently() -> Iterator[None]:
    """SIGTERM ends what runs inside as Ctrl-C does: with `KeyboardInterrupt` on the main thread.

    Python raises it between two of its own steps, which may be long in coming: one call into torch may compute for minutes. A
    thread hears of the signal at once: it saves what the innermost `rescued_by` says, and where the main thread does not react, ends.
    """
    if threading.current_thread() is not threading.main_thread():  # only there are signals handled
        yield
        return
    reacted = threading.Event()

    def interrupt(number: int, frame: FrameType | None) -> None:
        reacted.set()
        raise KeyboardInterrupt

    numbers = [signal.SIGTERM]
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # what runs in the background is deaf to it, and stays so
        numbers.append(signal.SIGINT)
    hearing, speaking = socket.socketpair()
    speaking.setblocking(False)
    watcher = threading.Thread(target=_watch, args=(hearing, numbers, reacted), name="signals", daemon=True)
    watcher.start()
    before = {number: signal.signal(number, interrupt) for number in numbers}
    other = signal.set_wakeup_fd(speaking.fileno(), warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(other)
        for number, handler in before.items():
            signal.signal(number, handler)
        speaking.close()
        watcher.join()
        hearing.close()


@contextmanager
def rescued_by(save: Callable[[], None], end: Callable[[], None]) -> Iterator[None]:
    """Name what to do about a signal, on another thread, while the main one is inside.

    Args:
        save: brings the work done so far to safety; called at once, as some launchers kill a second after their SIGTERM.
        end: ends the process; called when the main thread does not.
    """
    _rescues.append((save, end))
    try:
        yield
    finally:
        _rescues.remove((save, end))


def _watch(hearing: socket.socket, numbers: list[signal.Signals], reacted: threading.Event) -> None:
    while heard := hearing.recv(1):
        if heard[0] not in numbers:
            continue
        with suppress(Exception):  # what cannot be saved must not keep the process from ending
            if _rescues:
                _rescues[-1][0]()
        if not reacted.wait(_PATIENCE) and _rescues:
            _rescues[-1][1]()
