"""The environment may name any backend for matplotlib: no figure here needs one."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

LOADED = """
import os, sys
from landscape.plotting import figure
import matplotlib
print(os.environ["MPLBACKEND"], matplotlib.rcParams["backend"].lower())
"""


@pytest.mark.parametrize(
    ("named", "then"), [("nonsense", None), ("module://nowhere.at_all", "module://nowhere.at_all"), ("svg", "svg")]
)
def test_a_backend_that_is_not_there_hinders_no_figure(named: str, then: str | None) -> None:
    environment = {**os.environ, "MPLBACKEND": named, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", LOADED], env=environment, capture_output=True, text=True, timeout=120)
    assert done.stderr == ""
    was, backend = done.stdout.split()
    assert was == named  # the environment is the user's
    assert then in (None, backend)  # a backend there is stays for the user's own figures
