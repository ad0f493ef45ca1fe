"""Standard output and standard error that are closed, full, or without a reader: the exit code tells how the run ended."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import landscape
from landscape.cli import main
from landscape.output import Guarded, complain, guarded_streams
from landscape.progress import Progress

FULL = Path("/dev/full")
START = f"{sys.executable} -c 'import sys; from landscape.cli import main; sys.exit(main())'"
LINE = "line small_problems:net a.pt --x -1:1:3 -o out.h5"
needs_full = pytest.mark.skipif(not FULL.exists(), reason="no /dev/full here")


class Broken(io.StringIO):
    """A stream on which nothing can be written: with `late` its buffer takes it first, as a file's does."""

    def __init__(self, error: Exception, late: bool = False) -> None:
        super().__init__()
        self.error, self.late = error, late

    def write(self, text: str) -> int:
        if not self.late:
            raise self.error
        return len(text)

    def flush(self) -> None:
        raise self.error


FULL_DISK = OSError(28, "No space left on device")
STREAMS = {
    "closed": lambda: None,
    "closed later": lambda: Broken(ValueError("I/O operation on closed file.")),
    "full": lambda: Broken(FULL_DISK),
    "full at the end": lambda: Broken(FULL_DISK, late=True),
    "terminal gone": lambda: Broken(OSError(5, "Input/output error")),
}
LEFT = {
    "reader left": lambda: Broken(BrokenPipeError(32, "Broken pipe")),
    "reader left at the end": lambda: Broken(BrokenPipeError(32, "Broken pipe"), late=True),
}


@pytest.mark.parametrize("kind", STREAMS)
@pytest.mark.parametrize(
    "words", ["--help", "--version", "line --help", "show plane.h5", "show plane.h5 --json", "problems", f"{LINE} --json --quiet"]
)
def test_a_result_that_was_to_be_printed_and_cannot_be_is_a_failure(here, capsys, monkeypatch, one_line, words, kind):
    monkeypatch.setattr(sys, "stdout", STREAMS[kind]())
    assert main(words.split()) == 1
    says = {"closed": "closed", "closed later": "closed", "terminal gone": "Input/output error"}.get(kind, "the disk is full")
    one_line(capsys.readouterr().err, "the result could not be written to standard output", says)
    assert (here / "out.h5").exists() == words.startswith("line small")


@pytest.mark.parametrize("kind", [*STREAMS, *LEFT])
@pytest.mark.parametrize(
    ("words", "code"), [(LINE, 0), (f"{LINE} --time-limit 0s", 3), ("export plane.h5 -o plane.csv", 0), ("show gone.h5", 2)]
)
def test_what_a_run_says_beside_its_file_does_not_decide_how_it_ends(here, capsys, monkeypatch, words, code, kind):
    monkeypatch.setattr(sys, "stdout", {**STREAMS, **LEFT}[kind]())
    assert main(words.split()) == code
    assert "standard output" not in capsys.readouterr().err


@pytest.mark.parametrize("kind", LEFT)
def test_a_reader_that_has_left_changes_no_exit_code(here, capsys, monkeypatch, kind):
    for words, code in (("show plane.h5", 0), ("--help", 0), ("diff plane.h5 line.h5", 1), (f"{LINE} --json --time-limit 0s", 3)):
        monkeypatch.setattr(sys, "stdout", LEFT[kind]())
        assert main(words.split()) == code
    assert "standard output" not in capsys.readouterr().err


@pytest.mark.parametrize("kind", [*STREAMS, *LEFT])
@pytest.mark.parametrize(("words", "code"), [(LINE, 0), (f"{LINE} --json", 0), ("show gone.h5", 2), ("show gone.h5 --debug", 2)])
def test_what_cannot_be_said_on_standard_error_does_not_decide_either(here, capsys, monkeypatch, words, code, kind):
    monkeypatch.setattr(sys, "stderr", {**STREAMS, **LEFT}[kind]())
    assert main(words.split()) == code
    out = capsys.readouterr().out
    if "--json" in words:
        assert json.loads(out)["file"] == "out.h5"  # nothing but the result: no note that had nowhere else to go
    elif code:
        assert out == ""


@pytest.mark.parametrize("kind", [*STREAMS, *LEFT])
def test_in_python_a_run_says_what_it_can(here, capsys, monkeypatch, kind):
    import small_problems

    monkeypatch.setattr(sys, "stderr", {**STREAMS, **LEFT}[kind]())
    assert landscape.line(small_problems.net(), x=(-1, 1, 3)).complete
    with Progress() as progress:
        progress.note("a word")
        progress.start(3)
        progress.advance()
    complain("a word")
    assert capsys.readouterr().out == ""


def test_a_line_is_short_however_long_what_it_names_is(capsys):
    complain(f"{'name' * 5000}: no such file; name another")
    (line,) = capsys.readouterr().err.splitlines()
    assert len(line) < 600
    assert line.startswith("landscape: namename")
    assert line.endswith("no such file; name another")


def test_a_guarded_stream_is_the_stream_otherwise(capsys):
    with guarded_streams() as (out, err):
        print("to you")
        complain("a\nword\x1b")
        assert out.isatty() is False
        assert out.encoding.lower() == "utf-8"
        assert (out.trouble, err.trouble) == (None, None)
    assert capsys.readouterr() == ("to you\n", "landscape: a word?\n")
    assert Guarded(None).isatty() is False


@needs_full
@pytest.mark.parametrize(
    ("words", "streams", "code"),
    [
        ("--help", "> /dev/full", 1),
        (LINE, "2> /dev/full", 0),
        (f"{LINE} --json", "<&- >&- 2>&-", 1),
    ],
)
def test_in_a_process_of_its_own(here, words, streams, code):
    """Python itself flushes both streams on its way out, and ends with 120 where it cannot."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(["sh", "-c", f"{START} {words} {streams}"], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == code
    assert ("out.h5" in done.stdout) == (streams == "2> /dev/full")
    assert len(done.stderr.splitlines()) == (words == "--help")
    if words.startswith("line"):
        assert landscape.read("out.h5").complete
