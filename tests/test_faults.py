"""The planted faults are current: each still applies, in one place, and names tests that exist."""

from __future__ import annotations

from pathlib import Path

import pytest
from plant_faults import FAULTS, Fault

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_planted_fault_is_not_stale(fault: Fault) -> None:
    text = (ROOT / "landscape" / fault.file).read_text("utf-8")
    assert fault.right in text, f"landscape/{fault.file} lacks {fault.right!r}: say what stands there now"
    assert fault.right != fault.wrong
    for test in fault.tests.split():
        path, _, name = test.partition("::")
        assert (ROOT / path).exists(), f"{path} is gone"
        if name and "[" not in name:
            assert f"def {name}(" in (ROOT / path).read_text("utf-8"), f"{path} has no {name}"


def test_faults_have_names_of_their_own() -> None:
    names = [fault.name for fault in FAULTS]
    assert len(set(names)) == len(names)
