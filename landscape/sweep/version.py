"""Which version of the package, and which commit of its source, is running."""

from __future__ import annotations

import subprocess
from importlib import metadata
from pathlib import Path

__all__ = ["package_version", "source_commit"]


def package_version() -> str:
    """The installed version of torch-landscape."""
    try:
        return metadata.version("torch-landscape")
    except metadata.PackageNotFoundError:
        return "unknown"


def source_commit() -> str:
    """The commit of the checkout this code runs from, marked + when it was changed since; empty for an installed package."""
    folder = Path(__file__).resolve().parents[2]
    if not (folder / ".git").exists():
        return ""
    try:
        answer = subprocess.run(
            ["git", "describe", "--always", "--abbrev=12", "--dirty=+", "--exclude=*"],
            cwd=folder, capture_output=True, text=True, timeout=5, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return ""
    return answer.stdout.strip()
