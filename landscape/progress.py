"""What a run says while it computes: notes, and a bar with the time left."""

from __future__ import annotations

import sys
from types import TracebackType

from landscape.output import Guarded

__all__ = ["Progress", "duration"]


class Progress:
    """Notes and a progress bar on standard error; silent when `quiet`, as on every rank but the root."""

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._stream = Guarded(sys.stderr)  # a run is worth more than what it says of itself
        self._bar: object | None = None
        self._done = 0

    def note(self, text: str) -> None:
        """Say one line, above the bar where there is one."""
        if self._quiet:
            return
        from tqdm import tqdm

        tqdm.write(text, file=self._stream)

    def start(self, total: int, done: int = 0, unit: str = "points", text: str = "") -> None:
        """Begin a bar of `total` steps, `done` of them behind us."""
        from tqdm import tqdm

        self.close()
        seconds = 0.1 if self._stream.isatty() else 10.0  # a log file wants few lines
        self._bar = tqdm(
            total=total, initial=done, unit=unit, unit_scale=False, desc=text or None, disable=self._quiet, mininterval=seconds,
            file=self._stream, dynamic_ncols=True, smoothing=0.05, delay=0.5,
        )  # fmt: skip

    def advance(self, steps: int = 1, text: str | None = None) -> None:
        """Move the bar on, with a word about where it stands."""
        from tqdm import tqdm

        if isinstance(self._bar, tqdm):
            if text:
                self._bar.set_postfix_str(text, refresh=False)
            self._bar.update(steps)

    def follow(self, done: int, total: int, text: str) -> None:
        """Bring a bar of `total` steps to where `done` of them are behind us, beginning it at the first call."""
        if self._bar is None or done < self._done:
            self.start(total, unit="steps")
            self._done = 0
        self.advance(done - self._done, text)
        self._done = done

    def close(self) -> None:
        """End the bar."""
        from tqdm import tqdm

        if isinstance(self._bar, tqdm):
            self._bar.close()
        self._bar = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def duration(seconds: float) -> str:
    """A time as people say it.

    >>> duration(0.41), duration(75), duration(1080), duration(9000)
    ('0.41 s', '75 s', '18 min', '2.5 h')
    """
    if seconds < 100:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
