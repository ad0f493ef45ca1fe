"""All studies side by side: the closing table, and a gallery of a picture, a sentence and the claims for each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.report import number_text, table
from harness.result import Result
from landscape.atomic import replacing
from landscape.errors import InputError

__all__ = ["closing_table", "gallery", "write_gallery"]

_BEGIN, _END = "<!-- studies: written by scripts/studies/all -->", "<!-- end of the studies -->"


def closing_table(results: Sequence[Result]) -> str:
    """Study, claim, what was measured over the seeds, what was published, whether it holds; in Markdown."""
    rows = []
    for result in results:
        for verdict in result.verdicts:
            values = ["withheld" if seed in verdict.withheld else number_text(value) for seed, value in verdict.values.items()]
            published = result.study.published.get(verdict.claim.number, "")
            rows.append(
                [result.study.name, f"{verdict.claim.text} ({verdict.claim.margin})", ", ".join(values), published, verdict.words]
            )
    return table(["study", "claim", "measured, by seed", "published", "holds"], rows)


def gallery(results: Sequence[Result], root: Path) -> str:
    """For each study in a folder of `root` its title, picture, sentence and verdict in a word, then the closing table, in Markdown."""
    parts = []
    for result in results:
        study, claimed = result.study, [verdict for verdict in result.verdicts if verdict.expected]
        n_held, n_other = sum(verdict.holds for verdict in claimed), len(result.verdicts) - len(claimed)
        picture = [f"![{study.title}]({study.name}/figure.png)"] if (root / study.name / "figure.png").exists() else []
        claim = f"{n_held} of {len(claimed)} claims hold over {len(result.numbers)} seeds, size {result.size}"
        n_withheld = sum(bool(verdict.withheld) for verdict in claimed)
        withheld = f", the numbers of {n_withheld} are withheld" if n_withheld else ""
        other = f"; {n_other} more, not claimed at this size, measured all the same" if n_other else ""
        parts += [f"### [{study.title}]({study.name}/README.md)", study.sentence, *picture, f"{claim}{withheld}{other}."]
    return "\n\n".join([*parts, "### Study, claim, measured, published, holds", closing_table(results)])


def write_gallery(results: Sequence[Result], root: Path) -> Path:
    """Write the gallery into `root`/README.md: into its place in a file that is there, else as a file of its own.

    Raises:
        InputError: when the file that is there has no place for it.
    """
    path = root / "README.md"
    before, after = "# Studies\n\n", "\n"
    if path.exists():
        before, begin, rest = path.read_text("utf-8").partition(_BEGIN)
        _, end, after = rest.partition(_END)
        if not (begin and end):
            raise InputError(f"{path}: has no place for the studies; choose another --out, or write {_BEGIN} and {_END} into it")
    with replacing(path) as temporary:
        temporary.write_text(f"{before}{_BEGIN}\n\n{gallery(results, root)}\n\n{_END}{after}", "utf-8")
    return path
