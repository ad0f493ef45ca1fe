"""One Slurm for all tests of this folder, and one serial run to compare with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cluster import Cluster, lacking, running
from plane import measure

from landscape.core.surface import Surface


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    if reason := lacking():
        pytest.skip(reason)
    with running(tmp_path_factory.mktemp("slurm")) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Surface:
    """What a serial run of the same command measures."""
    return measure(tmp_path_factory.mktemp("serial"))
