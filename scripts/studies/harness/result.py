"""What came out of a study: the numbers of each seed, the claims judged by them, and how they were made; `result.json`."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Set
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from harness.study import SEEDS, Claim, Study
from landscape.atomic import replacing
from landscape.errors import InputError

__all__ = ["Result", "Verdict"]


@dataclass(frozen=True)
class Verdict:
    """A claim and what was measured of it, seed by seed."""

    claim: Claim
    values: Mapping[int, float]
    size: str
    withheld: Set[int] = frozenset()  # seeds whose number is not told any more

    @property
    def holds(self) -> bool:
        """Whether every seed bears the claim out."""
        return bool(self.values) and all(self.claim.holds(value) for value in self.values.values())

    @property
    def expected(self) -> bool:
        """Whether it was said to hold at this size."""
        return self.size not in self.claim.unmet

    @property
    def words(self) -> str:
        """Whether it holds, in words; where it was not said to, why."""
        if self.withheld:
            unmet = f", and not claimed at this size: {self.claim.unmet[self.size]}" if not self.expected else ""
            return f"withheld{unmet}"
        if self.expected:
            failed = [seed for seed, value in self.values.items() if not self.claim.holds(value)]
            return "yes" if self.holds else f"**no** (seed {', '.join(map(str, failed))})"
        return f"{'yes, though' if self.holds else 'no, as'} not claimed at this size: {self.claim.unmet[self.size]}"


@dataclass(frozen=True)
class Result:
    """A study that was run.

    Attributes:
        study: what it was.
        size: tiny, small or full.
        numbers: by seed, then by name.
        seconds: what each seed took, not counting what was kept from an earlier run.
        environment: machine and versions.
        command: that made it.
        started: the moment, ISO 8601.
        withheld: by seed, then by name, why a number that was measured is not told any more; it is NaN among the numbers.
    """

    study: Study
    size: str
    numbers: Mapping[int, Mapping[str, float]]
    seconds: Mapping[int, float]
    environment: Mapping[str, Any]
    command: str
    started: str
    withheld: Mapping[int, Mapping[str, str]] = field(default_factory=dict)

    @property
    def verdicts(self) -> list[Verdict]:
        """The claims, judged."""
        return [
            Verdict(
                claim,
                {seed: numbers.get(claim.number, math.nan) for seed, numbers in self.numbers.items()},
                self.size,
                {seed for seed, reasons in self.withheld.items() if claim.number in reasons},
            )
            for claim in self.study.claims
        ]

    @property
    def failures(self) -> list[Verdict]:
        """The claims that were said to hold and do not."""
        return [verdict for verdict in self.verdicts if verdict.expected and not verdict.holds]

    @property
    def registered(self) -> bool:
        """Whether the seeds are those the claims were made for."""
        return tuple(self.numbers) == SEEDS

    def write(self, folder: Path) -> Path:
        """Write `result.json`; numbers that are not finite are texts in it."""
        study = self.study
        tree = {
            "study": study.name,
            "title": study.title,
            "sentence": study.sentence,
            "size": self.size,
            "numbers": {str(seed): {k: _plain(v) for k, v in numbers.items()} for seed, numbers in self.numbers.items()},
            "seconds": {str(seed): seconds for seed, seconds in self.seconds.items()},
            "claims": [asdict(claim) for claim in study.claims],
            "published": dict(study.published),
            "differences": study.differences,
            "environment": dict(self.environment),
            "command": self.command,
            "started": self.started,
            **({"withheld": {str(seed): dict(reasons) for seed, reasons in self.withheld.items()}} if self.withheld else {}),
        }
        with replacing(folder / "result.json") as path:
            path.write_text(json.dumps(tree, indent=1, ensure_ascii=False, default=dict) + "\n", "utf-8")
        return folder / "result.json"

    @classmethod
    def read(cls, folder: Path) -> Result:
        """What an earlier run wrote; such a study can be told of, not run.

        Raises:
            InputError: when the file is missing or damaged.
        """
        path = folder / "result.json"
        try:
            tree = json.loads(path.read_text("utf-8"))
            claims = tuple(Claim(**claim) for claim in tree["claims"])
            name, title, sentence = (str(tree[key]) for key in ("study", "title", "sentence"))
            study = Study(name, title, sentence, _told, _told, claims, dict(tree["published"]), str(tree["differences"]))
            numbers = {int(seed): {k: float(v) for k, v in held.items()} for seed, held in tree["numbers"].items()}
            seconds = {int(seed): float(value) for seed, value in tree["seconds"].items()}
            withheld = {int(seed): {k: str(v) for k, v in held.items()} for seed, held in tree.get("withheld", {}).items()}
            return cls(study, tree["size"], numbers, seconds, tree["environment"], tree["command"], tree["started"], withheld)
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror})") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{path}: is no result of a study, or damaged ({error}); run the study again") from error


def _plain(value: float) -> float | str:
    return float(value) if math.isfinite(value) else str(float(value))


def _told(*_: Any) -> Any:
    raise RuntimeError("this study was read from a file; run its script")
