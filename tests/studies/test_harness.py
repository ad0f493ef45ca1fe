"""The harness of the studies, on a study that trains nothing."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from harness import Claim, Result, Study, StudyRun, closing_table, gallery, main, write_gallery
from harness.report import write_readme
from landscape.errors import InputError

COUNT = Claim("the count is no less than two", "count", ">=", 2.0, {"tiny": "there are few"})
SPREAD = Claim("the spread is small", "spread", "<=", 0.5)


def study(
    measure: Callable[[StudyRun], Mapping[str, float]] = lambda run: {"count": run.seed + 2.0, "spread": 0.1},
    claims: Sequence[Claim] = (COUNT, SPREAD),
    draw: Callable[[Sequence[StudyRun]], None] = lambda runs: None,
) -> Study:
    return Study("counting", "Counting", "One, two, many.", measure, draw, claims, {"count": "7 (Miller 1956)"}, "Nothing differs.")


def test_a_study_whose_claims_hold(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(study(), ["--small", "--out", str(tmp_path), "--quiet"]) == 0
    said = capsys.readouterr()
    assert "the count is no less than two (≥ 2): 2, 3, 4: yes" in said.out
    assert said.err == ""
    text = (tmp_path / "README.md").read_text("utf-8")
    assert "| count | 2 | 3 | 4 | 7 (Miller 1956) |" in text
    assert "| the spread is small | ≤ 0.5 | 0.1 | 0.1 | 0.1 | yes |" in text
    assert "not the seeds" not in text


@pytest.mark.parametrize("worst", [0.6, math.nan, math.inf])
def test_one_seed_against_a_claim_is_enough(worst: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    measured = study(lambda run: {"count": 5.0, "spread": worst if run.seed == 1 else 0.1})
    assert main(measured, ["--small", "--out", str(tmp_path), "--quiet"]) == 1
    said = capsys.readouterr()
    assert "no (seed 1)" in said.out
    assert said.err == "landscape: counting: 1 of 2 claims do not hold\n"
    assert "**no** (seed 1)" in (tmp_path / "README.md").read_text("utf-8")


def test_a_number_that_is_not_measured_bears_nothing_out(tmp_path: Path) -> None:
    assert main(study(lambda run: {"count": 5.0}), ["--small", "--out", str(tmp_path), "--quiet"]) == 1


def test_what_is_not_claimed_at_a_size_is_measured_and_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    measured = study(lambda run: {"count": 1.0, "spread": 0.1})
    assert main(measured, ["--tiny", "--out", str(tmp_path), "--quiet"]) == 0
    assert "1, 1, 1: no, as not claimed at this size: there are few" in capsys.readouterr().out
    assert main(measured, ["--small", "--out", str(tmp_path), "--quiet"]) == 1


def test_other_seeds_are_told(tmp_path: Path) -> None:
    assert main(study(), ["--small", "--out", str(tmp_path), "--quiet", "--seeds", "100"]) == 0
    assert "not the seeds that the claims were made for" in (tmp_path / "README.md").read_text("utf-8")


def test_a_result_is_read_as_it_was_written(tmp_path: Path) -> None:
    measured = study(lambda run: {"count": 5.0, "spread": math.nan if run.seed else -math.inf})
    main(measured, ["--small", "--out", str(tmp_path / "counting"), "--quiet"])
    json.loads((tmp_path / "counting" / "result.json").read_text("utf-8"), parse_constant=pytest.fail)  # strict JSON
    result = Result.read(tmp_path / "counting")
    assert result.numbers[0] == {"count": 5.0, "spread": -math.inf}
    assert math.isnan(result.numbers[2]["spread"])
    assert [verdict.holds for verdict in result.verdicts] == [True, False]
    table = closing_table([result])
    assert "| counting | the count is no less than two (≥ 2) | 5, 5, 5 | 7 (Miller 1956) | yes |" in table
    assert "1 of 2 claims hold over 3 seeds, size small" in gallery([result], tmp_path)
    assert "figure.png" not in gallery([result], tmp_path)
    main(measured, ["--tiny", "--out", str(tmp_path / "counting"), "--quiet"])
    words = "0 of 1 claims hold over 3 seeds, size tiny; 1 more, not claimed at this size, measured all the same."
    assert words in gallery([Result.read(tmp_path / "counting")], tmp_path)


def test_numbers_that_are_told_no_more_are_withheld_with_the_reason(tmp_path: Path) -> None:
    """What a newer version would not have told is taken back without a new run; the claim on it neither holds nor fails."""
    folder = tmp_path / "counting"
    main(study(), ["--small", "--out", str(folder), "--quiet"])
    result = Result.read(folder)
    numbers = {**result.numbers, 1: {**result.numbers[1], "spread": math.nan}}
    replace(result, numbers=numbers, withheld={1: {"spread": "nobody knows its error"}}).write(folder)
    again = Result.read(folder)
    assert again.withheld == {1: {"spread": "nobody knows its error"}}
    assert [verdict.words for verdict in again.verdicts] == ["yes", "withheld"]
    text = write_readme(again, folder).read_text("utf-8")
    assert "| the spread is small | ≤ 0.5 | 0.1 | withheld | 0.1 | withheld |" in text
    assert "| spread | 0.1 | withheld | 0.1 |" in text
    assert "Withheld since the run: nobody knows its error (1 numbers)." in text
    assert "| 0.1, withheld, 0.1 |  | withheld |" in closing_table([again])
    assert "1 of 2 claims hold over 3 seeds, size small, the numbers of 1 are withheld." in gallery([again], tmp_path)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"study": 1}', "\x00"])
def test_a_damaged_result_is_one_line(text: str, tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text(text, "utf-8")
    with pytest.raises(InputError, match="run the study again"):
        Result.read(tmp_path)


@pytest.mark.parametrize(
    ("words", "code", "line"),
    [
        (["--seeds", "1,1"], 2, "each once"),
        (["--seeds", "-1"], 2, "whole numbers from 0 on"),
        (["--seeds", "x"], 2, "no list of seeds"),
        (["--tiny", "--small"], 2, "not allowed with"),
        (["--device", "abacus"], 2, "abacus"),
    ],
)
def test_misuse_is_one_line(words: list[str], code: int, line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        ended = main(study(), ["--out", str(tmp_path), "--quiet", *words])
    except SystemExit as left:  # argparse
        ended = int(left.code or 0)
    assert ended == code
    assert line in capsys.readouterr().err


def test_a_folder_that_cannot_be_made_and_missing_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("taken")
    assert main(study(), ["--out", str(tmp_path / "file"), "--quiet"]) == 2
    assert "choose another --out" in capsys.readouterr().err
    needy = study(lambda run: {"count": float(len(run.problem("mnist-softmax").splits))})
    assert main(needy, ["--out", str(tmp_path / "out"), "--quiet"]) == 2
    assert "counting: " in capsys.readouterr().err


def test_trainings_surfaces_and_arrays_are_kept(tmp_path: Path) -> None:
    made: list[float] = []

    def arrays() -> dict[str, np.ndarray]:
        made.append(1.0)
        return {"numbers": np.arange(3.0)}

    def measure(run: StudyRun) -> dict[str, float]:
        training = run.train("moons-softmax", 1)
        line = run.line("way", run.problem("moons-softmax"), training.start, training.end, x=(0, 1, 3))
        again = run.train("moons-softmax", 1)
        assert again == training
        assert run.keep("steps", arrays)["numbers"].tolist() == [0.0, 1.0, 2.0]
        assert run.history(training)[0]["epoch"] == 1
        return {"count": float(line.runs[-1]["points"]), "runs": float(len(line.runs)), "accuracy": training.test_accuracy}

    def draw(runs: Sequence[StudyRun]) -> None:
        runs[0].figure("figure", [runs[0].read("way")])

    options = ["--small", "--out", str(tmp_path), "--quiet", "--seeds", "4"]
    assert main(study(measure, (COUNT,), draw), options) == 0
    first = Result.read(tmp_path).numbers[4]
    assert first["count"] == 3
    assert (tmp_path / "figure.png").exists()
    assert "![figure](figure.png)" in (tmp_path / "README.md").read_text("utf-8")
    assert main(study(measure, (COUNT,), draw), options) == 1  # no new points: the line is complete from before
    assert Result.read(tmp_path).numbers[4] == {**first, "count": 0.0, "runs": 2.0}
    assert made == [1.0]
    assert main(study(measure, (COUNT,), draw), [*options, "--overwrite"]) == 0
    assert Result.read(tmp_path).numbers[4] == first
    assert made == [1.0, 1.0]


def test_a_training_of_another_kind_is_not_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def measure(run: StudyRun) -> dict[str, float]:
        return {"count": run.train("moons-softmax", run.pick(1, 2, 3)).test_accuracy}

    options = ["--out", str(tmp_path), "--quiet", "--seeds", "4"]
    main(study(measure), ["--tiny", *options])
    assert main(study(measure), ["--small", *options]) == 2
    assert "another recipe (epochs 1, now epochs 2)" in capsys.readouterr().err


def test_a_training_from_other_weights_is_not_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def measure(run: StudyRun) -> dict[str, float]:
        made = [run.problem("moons-softmax").model for _ in range(2)]
        torch.nn.init.ones_(next(made[1].parameters()))
        first = run.train("moons-softmax", 1, start=made[0])
        assert run.train("moons-softmax", 1, start=made[0]) == first
        return {"count": run.train("moons-softmax", 1, start=made[1]).test_accuracy}

    assert main(study(measure), ["--tiny", "--out", str(tmp_path), "--quiet", "--seeds", "4"]) == 2
    assert "holds a training with another start" in capsys.readouterr().err


def test_a_claim_is_checked_when_it_is_made() -> None:
    with pytest.raises(ValueError, match="no relation"):
        Claim("more", "count", ">", 1.0)
    with pytest.raises(ValueError, match="sizes are"):
        Claim("more", "count", ">=", 1.0, {"large": ""})


def test_the_gallery_has_its_place_in_a_file(tmp_path: Path) -> None:
    main(study(), ["--small", "--out", str(tmp_path / "counting"), "--quiet"])
    results = [Result.read(tmp_path / "counting")]
    path = write_gallery(results, tmp_path)
    once = path.read_text("utf-8")
    assert once.startswith("# Studies\n\n<!-- studies")
    path.write_text(f"Before.\n{once}After.\n", "utf-8")
    assert write_gallery(results, tmp_path).read_text("utf-8") == f"Before.\n{once}After.\n"
    path.write_text("Somebody's own.\n", "utf-8")
    with pytest.raises(InputError, match="has no place for the studies"):
        write_gallery(results, tmp_path)
    assert path.read_text("utf-8") == "Somebody's own.\n"
