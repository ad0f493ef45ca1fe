"""The page of a sweep that is still running: served on this machine alone, newer as points arrive."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np

from landscape.core.surface import Surface
from landscape.errors import InputError
from landscape.viewer.content import content
from landscape.viewer.document import name_surfaces, page
from landscape.viewer.panels import about

__all__ = ["LiveReader", "follow"]

_PAUSE = 1.0  # seconds at least between two readings, however many ask
_WINDOW = 120.0  # seconds over which the speed is taken
_PATIENCE = 30.0  # seconds without a new point after which the page says so; or five times the longest pause so far


class LiveReader:
    """What has been measured so far, read again when somebody asks and the last reading is a second old.

    A reading that fails, because a writer is in the middle of something, changes nothing: the last good one stays.
    """

    def __init__(
        self, read: Callable[[], Sequence[Surface]], names: Sequence[str] | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._read = read
        self._names = names
        self._clock = clock
        self._lock = threading.Lock()
        self.surfaces = list(read())
        self.version = 1
        self._looked = self._moved = clock()
        self._longest_pause = 0.0
        self._history: deque[tuple[float, int]] = deque([(self._looked, _count_done(self.surfaces))])

    def look(self) -> None:
        """Read again, unless that was done a moment ago."""
        with self._lock:
            now = self._clock()
            if now - self._looked < _PAUSE:
                return
            self._looked = now
            try:
                surfaces = list(self._read())
            except InputError:
                return
            n_done = _count_done(surfaces)
            if n_done != self._history[-1][1] or _are_complete(surfaces) != self.complete:
                self.surfaces = surfaces
                self.version += 1
                self._longest_pause = max(self._longest_pause, now - self._moved)
                self._moved = now
            self._history.append((now, n_done))
            while len(self._history) > 2 and now - self._history[1][0] > _WINDOW:
                self._history.popleft()

    def page(self) -> str:
        """The page, which will ask for news."""
        return page(self.surfaces, self._names, live=True)

    def news(self, since: int) -> dict[str, Any] | None:
        """What somebody who knows version `since` has not been told yet; None where there is nothing.

        Once no point has come for a while that is news too, without data.
        """
        self.look()
        with self._lock:
            version, surfaces, progress, resting = self.version, self.surfaces, self.progress(), self.resting
        if version == since:
            return {"version": version, "progress": progress, "complete": False, "resting": True} if resting else None
        titles = name_surfaces(surfaces, self._names)
        return {
            "version": version,
            "progress": progress,
            "complete": _are_complete(surfaces),
            "resting": resting,
            "data": content(surfaces, titles),
            "about": about(surfaces, titles),
        }

    @property
    def complete(self) -> bool:
        """Whether every value of every surface is measured."""
        return _are_complete(self.surfaces)

    @property
    def resting(self) -> bool:
        """Whether no point has come for longer than is usual: the sweep has ended, was stopped, or is slow."""
        return not self.complete and self._clock() - self._moved > max(_PATIENCE, 5 * self._longest_pause)

    def progress(self) -> str:
        """How far it is, and how long the rest takes at the speed of the last two minutes, or for how long nothing has come."""
        n_points = sum(surface.grid.n_points for surface in self.surfaces)
        n_done = _count_done(self.surfaces)
        if self.complete:
            return f"Complete: {n_points:,} points."
        text = f"{n_done:,} of {n_points:,} points ({100 * n_done / n_points:.0f}\u00a0%)"
        if self.resting:
            return f"{text}; no new point for {_in_words(self._clock() - self._moved)}: the sweep is slow, or has stopped"
        (then, before), (now, after) = self._history[0], self._history[-1]
        if after > before:
            text += f", about {_in_words((n_points - n_done) * (now - then) / (after - before))} left"
        return text


def _count_done(surfaces: Sequence[Surface]) -> int:
    """How many points are measured altogether; a point counts once all its metrics are there."""
    return sum(
        int(np.logical_and.reduce([np.asarray(mask, dtype=bool) for mask in surface.done.values()]).sum()) for surface in surfaces
    )


def _in_words(seconds: float) -> str:
    """A duration as a person says it.

    >>> _in_words(0.4), _in_words(75), _in_words(5400)
    ('1 s', '1 min', '1.5 h')
    """
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"


def _are_complete(surfaces: Sequence[Surface]) -> bool:
    return all(surface.complete for surface in surfaces)


def follow(follower: LiveReader, say: Callable[[str], None], port: int = 0) -> None:
    """Serve the page on 127.0.0.1 until interrupted, and say under which address.

    It answers GET for the page and its news and nothing else, and only to requests that name this very host: a page of another
    site, whose name was made to point here, gets no answer.

    Args:
        follower: what is served.
        say: told the address once.
        port: which one; a free one for 0.

    Raises:
        InputError: when the port is taken.
    """
    try:
        server = _Server(("127.0.0.1", port), _handler(follower))
    except OSError as error:
        raise InputError(f"127.0.0.1:{port} cannot be used ({error.strerror}); choose another --port, or leave it out") from None
    with server:
        say(f"http://127.0.0.1:{server.server_address[1]}/")
        server.serve_forever(poll_interval=0.2)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a reader who leaves in the middle of an answer is no error."""


def _handler(follower: LiveReader) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 30
        server_version, sys_version = "landscape", ""

        def reply(self) -> None:
            """Answer with the page, or with what is new since the version asked about."""
            port = self.server.server_address[1]  # type: ignore[index]
            if self.headers.get("Host", "") not in (f"127.0.0.1:{port}", f"localhost:{port}"):
                return self._answer(403, "text/plain", b"This page is for this machine alone.\n")
            address = urlsplit(self.path)
            if address.path == "/":
                return self._answer(200, "text/html; charset=utf-8", follower.page().encode())
            if address.path == "/news":
                return self._tell(parse_qs(address.query).get("since", ["0"])[0])
            return self._answer(404, "text/plain", b"There is nothing here.\n")

        do_GET = reply  # noqa: N815 (the name the standard library looks for)

        def _tell(self, since: str) -> None:
            told = follower.news(int(since) if since.isdecimal() and len(since) < 10 else 0)
            if told is None:
                return self._answer(204, "application/json", b"")
            return self._answer(200, "application/json", json.dumps(told, allow_nan=False).encode())

        def _answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            for name, value in (
                ("Cache-Control", "no-store"),
                ("X-Content-Type-Options", "nosniff"),
                ("Cross-Origin-Resource-Policy", "same-origin"),
                ("X-Frame-Options", "DENY"),
            ):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: the terminal belongs to the address."""

    return Handler
