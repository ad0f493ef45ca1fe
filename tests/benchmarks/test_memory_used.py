"""Memory is measured in a process of its own."""

from __future__ import annotations

import sys

import pytest

from landscape_benchmarks.memory import measure


@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc/self/status")
def test_a_run_takes_a_few_copies_of_its_model() -> None:
    found = measure(4, offload=False)
    assert found["weights"] == 4 * found["parameters"]
    assert found["parameters"] == pytest.approx(4e6, rel=0.02)
    # At least the origin, two directions and the engine's own copy, allocated beside the user's model.
    assert found["peak"] - found["before"] > 4 * found["weights"]
