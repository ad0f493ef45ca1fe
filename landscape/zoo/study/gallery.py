"""All studies side by side: the closing table, and a gallery of a picture, a sentence and the claims for each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from landscape.zoo.study.report import number_text, table
from landscape.zoo.study.result import Result

__all__ = ["closing_table", "gallery"]


def closing_table(results: Sequence[Result]) -> str:
    """Study, claim, what was measured over the seeds, what was published, whether it holds; in Markdown."""
    rows = []
    for result in results:
        for verdict in result.verdicts:
            values = [number_text(value) for value in verdict.values.values()]
            published = result.study.published.get(verdict.claim.number, "")
            rows.append(
                [result.study.name, f"{verdict.claim.text} ({verdict.claim.margin})", ", ".join(values), published, verdict.words]
            )
    return table(["study", "claim", "measured, by seed", "published", "holds"], rows)


def gallery(results: Sequence[Result], root: Path) -> str:
    """For each study in a folder of `root` its title, picture, sentence and verdict in a word, in Markdown."""
    parts = []
    for result in results:
        study, verdicts = result.study, result.verdicts
        n_held = sum(verdict.holds for verdict in verdicts)
        picture = [f"![{study.title}]({study.name}/figure.png)"] if (root / study.name / "figure.png").exists() else []
        claim = f"{n_held} of {len(verdicts)} claims hold over {len(result.numbers)} seeds, size {result.size}"
        parts += [f"### [{study.title}]({study.name}/README.md)", study.sentence, *picture, f"{claim}."]
    return "\n\n".join([*parts, "### Study, claim, measured, published, holds", closing_table(results)])
