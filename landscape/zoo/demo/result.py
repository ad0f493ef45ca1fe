"""What the demo found, as a small table for people and as plain numbers for machines."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from landscape.core.surface import Number, Surface
from landscape.report import tabulate
from landscape.zoo.demo.nets import Net, Settings
from landscape.zoo.training import Training

__all__ = ["DemoResult", "NetResult"]

# Which numbers of which sweep the table shows, and under which name; turning points and minima compare equal grids only.
_ROWS = {
    "from initialization to solution": {
        "bump": "bump",
        "alpha_half": "α at half the drop",
        "turning_points_between": "turning points",
    },
    "random lines, median of {n_draws}": {
        "basin_radius": "basin radius",
        "convexity": "convexity",
        "turning_points": "turning points",
    },
    "plane": {
        "basin_radius": "basin radius",
        "basin_radius_weights": "basin radius × ‖δ‖",
        "basin_share": "within 1 nat of the origin",
        "convexity": "convexity",
        "turning_points": "turning points",
        "minima": "minima",
    },
}


@dataclass(frozen=True, eq=False)
class NetResult:
    """One network: its training, and the three surfaces around it with their files."""

    net: Net
    training: Training
    path: Surface
    rays: Surface
    plane: Surface
    files: Mapping[str, Path]  # "path", "rays" and "plane"

    @property
    def surfaces(self) -> tuple[Surface, Surface, Surface]:
        """The sweeps in the order of the table."""
        return self.path, self.rays, self.plane

    @property
    def title(self) -> str:
        """What figures call it: how well it does on test examples, and first of all whether it trained."""
        failed = ", did not train" if self.training.failure else ""
        return f"{self.net.title}{failed}, test accuracy {_percent(self.training.test_accuracy)}"


@dataclass(frozen=True, eq=False)
class DemoResult:
    """All the demo made: both networks, the figures and the page."""

    out: Path
    seed: int
    settings: Settings
    nets: tuple[NetResult, NetResult]
    figures: Mapping[str, Path]
    page: Path

    @property
    def passed(self) -> bool:
        """Whether the self-check of every surface did."""
        return all(bool(surface.checks.get("passed")) for net in self.nets for surface in net.surfaces)

    def describe(self) -> str:
        """The result as text: an aligned table of both networks' numbers, then where everything is."""
        settings = self.settings
        title = f"residual networks of {settings.depth} layers on 8×8 digits, {settings.epochs} epochs, seed {self.seed}"
        files = {f"{net.net.title}, {name}": file for net in self.nets for name, file in net.files.items()}
        places = {"page": self.page, **self.figures, **files}
        width = max(map(len, places))
        failures = [f"{net.net.title}: {net.training.failure}" for net in self.nets if net.training.failure]
        listing = [f"{name:<{width}}  {place}" for name, place in places.items()]
        return "\n".join([title, "", *_align(self._rows()), *failures, "", *listing])

    def _rows(self) -> list[tuple[str, ...]]:
        """The table: a name and one cell for each network, empty cells in the headings."""
        trainings = [net.training for net in self.nets]
        rows: list[tuple[str, ...]] = [
            ("", *(net.net.title for net in self.nets)),
            ("test accuracy", *(_percent(training.test_accuracy) for training in trainings)),
            ("training accuracy", *(_percent(training.train_accuracy) for training in trainings)),
            ("training loss (nat)", *(f"{training.train_loss:.3g}" for training in trainings)),
        ]
        for i, (heading, names) in enumerate(_ROWS.items()):
            rows.append((heading.format(n_draws=self.settings.n_draws), "", ""))
            numbers = [net.surfaces[i].numbers for net in self.nets]
            for name, text in names.items():
                found = [these.get(name) for these in numbers]
                unit = next((number.unit for number in found if number is not None), "")
                rows.append((f"  {text}{f' ({unit})' if unit else ''}", *map(_cell, found)))
        checks = (all(bool(surface.checks.get("passed")) for surface in net.surfaces) for net in self.nets)
        rows.append(("self-check", *("passed" if check else "FAILED" for check in checks)))
        return rows

    def tabulate(self) -> dict[str, Any]:
        """The same for machines: plain numbers and texts, ready for JSON."""
        return {
            "out": str(self.out),
            "passed": self.passed,
            "seed": self.seed,
            "settings": asdict(self.settings),
            "page": str(self.page),
            "figures": {name: str(figure) for name, figure in self.figures.items()},
            "nets": {net.net.name: _tabulate(net) for net in self.nets},
        }


def _cell(number: Number | None) -> str:
    if number is None:
        return "–"
    return "withheld" if number.withheld else f"{number.bound} {number.value:.3g}".strip()


def _tabulate(net: NetResult) -> dict[str, Any]:
    training = {name: _plain(value) for name, value in asdict(net.training).items()}
    sweeps = {}
    for (name, file), surface in zip(net.files.items(), net.surfaces, strict=True):
        facts = tabulate(surface)
        sweeps[name] = {"file": str(file), "checks": facts["checks"], "numbers": facts["numbers"]}
    return {"title": net.title, "training": training, **sweeps}


def _plain(value: Any) -> Any:
    """JSON has no paths, no NaN and no infinity: they become text."""
    unwritable = isinstance(value, Path) or (isinstance(value, float) and not math.isfinite(value))
    return str(value) if unwritable else value


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _align(rows: list[tuple[str, ...]]) -> list[str]:
    """Names to the left, cells to the right, each column as wide as it has to be."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for name, *cells in rows:
        right = (f"{cell:>{width}}" for cell, width in zip(cells, widths[1:], strict=True))
        lines.append("  ".join([f"{name:<{widths[0]}}", *right]).rstrip())
    return lines
