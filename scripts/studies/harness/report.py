"""A study's README: the claims and whether they hold, our numbers beside the published ones, and how they were made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from harness.result import Result
from harness.study import SIZES
from landscape.atomic import replacing

__all__ = ["number_text", "table", "write_readme"]


def number_text(value: float) -> str:
    """A number as tables have it.

    >>> number_text(0.123456), number_text(float("nan")), number_text(12345.6)
    ('0.1235', 'nan', '12,346')
    """
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e9 else f"{value:.4g}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [list(head), ["---"] * len(head), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write_readme(result: Result, folder: Path) -> Path:
    """Write README.md about a result into its folder, with every figure that is there."""
    study, seeds = result.study, list(result.numbers)
    figures = sorted(folder.glob("*.png"), key=lambda path: (path.stem != "figure", path.stem))
    pictures = [f"![{path.stem}]({path.name})" for path in figures]
    if (folder / "index.html").exists():
        pictures.append(
            "[The interactive page](index.html), offline; its script is beside it, or in the folder above, shared by several pages."
        )
    seed_heads = [f"seed {seed}" for seed in seeds]

    def cell(name: str, seed: int) -> str:
        if name in result.withheld.get(seed, {}):
            return "withheld"
        return number_text(result.numbers[seed][name]) if name in result.numbers[seed] else ""

    claims = table(
        ["claim", "wanted", *seed_heads, "holds"],
        [
            [verdict.claim.text, verdict.claim.margin, *(cell(verdict.claim.number, seed) for seed in seeds), verdict.words]
            for verdict in result.verdicts
        ],
    )
    names = list(dict.fromkeys(name for numbers in result.numbers.values() for name in numbers))
    rows = [[name, *(cell(name, seed) for seed in seeds), study.published.get(name, "")] for name in names]
    others = "" if result.registered else " These are not the seeds that the claims were made for."
    parts = [
        f"# {study.title}",
        f"{study.sentence}",
        *pictures,
        "## What was claimed\n\nMargins were chosen with other seeds and committed before these were run." + others,
        claims,
        "## What was measured",
        table(["", *seed_heads, "published"], rows),
        *_withheld(result),
        *(["## What differs\n\n" + study.differences] if study.differences else []),
        "## How it was made",
        f"```\n{result.command}\n```",
        _origin(result),
    ]
    with replacing(folder / "README.md") as path:
        path.write_text("\n\n".join(parts) + "\n", "utf-8")
    return folder / "README.md"


def _withheld(result: Result) -> list[str]:
    """Why numbers are withheld: each reason once, with how many it takes."""
    reasons = [reason for held in result.withheld.values() for reason in held.values()]
    return [
        "Withheld since the run: " + "; ".join(f"{reason} ({reasons.count(reason)} numbers)" for reason in dict.fromkeys(reasons)) + "."
    ] if reasons else []  # fmt: skip


def _origin(result: Result) -> str:
    made = result.environment
    seconds = ", ".join(f"{seconds:.0f}" for seconds in result.seconds.values())
    return (
        f"Size {result.size}: {SIZES.get(result.size, '')}. Started {result.started}, commit {made.get('commit') or 'unknown'}, "
        f"torch {made.get('torch')}, {made.get('processor')}, {made.get('cores')} cores, on {made.get('device')}; "
        f"seconds by seed: {seconds} (what an earlier run had done is not counted). Every surface says of itself how it was made: "
        "`landscape show FILE.h5`."
    )
