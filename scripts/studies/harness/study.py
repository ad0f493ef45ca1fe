"""What a study is: the numbers it measures for each seed, and the claims that they have to bear out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from harness.study_run import StudyRun

__all__ = ["SEEDS", "SIZES", "Claim", "Study"]

SIZES = {
    "tiny": "a setting of seconds, for the tests",
    "small": "two processor cores, minutes, embedded data alone",
    "full": "the size of the papers, for a GPU",
}
SEEDS = (0, 1, 2)  # fixed before anything was measured with them; claims and margins were chosen with others


@dataclass(frozen=True)
class Claim:
    """What is to come out for each seed, with its margin.

    Attributes:
        text: the claim, a sentence without its full stop.
        number: under which of the study's numbers it is measured.
        relation: ">=" or "<=".
        bound: what the number is held against.
        unmet: by size, why the claim is not expected to hold there; it is measured all the same.
    """

    text: str
    number: str
    relation: str
    bound: float
    unmet: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.relation not in (">=", "<="):
            raise ValueError(f'"{self.relation}" is no relation; take >= or <=')
        if any(size not in SIZES for size in self.unmet):
            raise ValueError(f"sizes are {', '.join(SIZES)}, not {', '.join(self.unmet)}")

    @property
    def margin(self) -> str:
        """The bound in signs.

        >>> Claim("no barrier", "bump", "<=", 0.01).margin
        '≤ 0.01'
        """
        return f"{'≥' if self.relation == '>=' else '≤'} {self.bound:g}"

    def holds(self, value: float) -> bool:
        """Whether a measured value bears the claim out; NaN never does.

        >>> Claim("no barrier", "bump", "<=", 0.01).holds(0.01), Claim("no barrier", "bump", "<=", 0.01).holds(float("nan"))
        (True, False)
        """
        return value >= self.bound if self.relation == ">=" else value <= self.bound


@dataclass(frozen=True)
class Study:
    """A study.

    Attributes:
        name: of its command and its folder.
        title: of its page.
        sentence: what it shows, in one sentence.
        measure: the numbers of one seed, each under the words it has in the table.
        draw: writes `figure.png`, further figures, and the page, from the runs of all seeds.
        claims: what the numbers have to bear out, for each seed.
        published: what was published for a number, with its source.
        differences: what differs from the set-up that was published, and what is not measured.
    """

    name: str
    title: str
    sentence: str
    measure: Callable[[StudyRun], Mapping[str, float]]
    draw: Callable[[Sequence[StudyRun]], None]
    claims: Sequence[Claim]
    published: Mapping[str, str] = field(default_factory=dict)
    differences: str = ""
