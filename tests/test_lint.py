"""Types, lint and format, by the tools' own word; their caches make a second run short."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def expect_clean(*arguments: str) -> None:
    result = subprocess.run([sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    if result.returncode:
        pytest.fail(f"{' '.join(arguments)}\n{result.stdout}{result.stderr}", pytrace=False)


def test_types_are_strict() -> None:
    expect_clean("mypy")  # the package, strict: both stand in pyproject.toml


def test_ruff_finds_nothing() -> None:
    expect_clean("ruff", "check", ".")


def test_ruff_would_format_nothing() -> None:
    expect_clean("ruff", "format", "--check", ".")
