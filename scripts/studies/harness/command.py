"""The command that a study's script is."""

from __future__ import annotations

import argparse
import datetime
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from harness.report import write_readme
from harness.result import Result
from harness.study import SEEDS, SIZES, Study
from harness.study_run import StudyRun
from landscape.atomic import made_folder
from landscape.errors import LandscapeError
from landscape.output import complain
from landscape.progress import Progress
from landscape.sweep.devices import choose_device
from landscape.sweep.environment import environment_of

__all__ = ["add_options", "main", "run_study"]


def main(study: Study, words: Sequence[str] | None = None) -> int:
    """Run a study as its options say.

    Returns:
        0 when every claim holds, 1 when one does not or the run failed, 2 for wrong usage or input, 130 when interrupted.
    """
    given = sys.argv[1:] if words is None else list(words)
    options = _parser(study).parse_args(given)
    try:
        result = run_study(study, options, shlex.join([f"scripts/studies/{study.name}", *given]))
    except KeyboardInterrupt:
        return _say(f"{study.name}: interrupted; the same command goes on", 130)
    except LandscapeError as error:
        return _say(f"{study.name}: {error}", error.exit_code)
    for verdict in result.verdicts:
        values = ", ".join(f"{value:.4g}" for value in verdict.values.values())
        print(f"{study.name}: {verdict.claim.text} ({verdict.claim.margin}): {values}: {verdict.words.replace('**', '')}")
    print(f"{study.name}: {_folder(study, options) / 'README.md'}")
    failed = len(result.failures)
    return _say(f"{study.name}: {failed} of {len(result.verdicts)} claims do not hold", 1) if failed else 0


def run_study(study: Study, options: argparse.Namespace, command: str) -> Result:
    """Measure every seed, draw, and write `result.json` and the README.

    Raises:
        InputError: for a folder that cannot be used, missing data, or a device that is not there.
    """
    folder, size = made_folder(_folder(study, options)), options.size
    device = options.device or ("auto" if size == "full" else "cpu")
    environment = environment_of(choose_device(device))
    started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    runs = [
        StudyRun(folder, size, seed, options.data_dir, device, options.quiet, options.overwrite, command) for seed in options.seeds
    ]
    numbers: dict[int, dict[str, float]] = {}
    seconds: dict[int, float] = {}
    for run in runs:
        began = time.perf_counter()
        Progress(options.quiet).note(f"{study.name}: seed {run.seed}, {len(numbers) + 1} of {len(runs)}")
        numbers[run.seed] = {name: float(value) for name, value in study.measure(run).items()}
        seconds[run.seed] = round(time.perf_counter() - began, 1)  # as it is written, and told
    study.draw(runs)
    environment = {**environment, "threads": runs[0].threads or torch.get_num_threads()}
    result = Result(study, size, numbers, seconds, environment, command, started)
    result.write(folder)
    write_readme(result, folder)
    return result


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options that a study has, and all of them together."""
    size = parser.add_mutually_exclusive_group()
    for name, words in SIZES.items():
        size.add_argument(f"--{name}", dest="size", action="store_const", const=name, default="full", help=words)
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="where the data sets of the full size are")
    parser.add_argument("--device", metavar="DEVICE", help="cpu, cuda, cuda:i or auto (default: auto at full size, else cpu)")
    parser.add_argument("--overwrite", action="store_true", help="take nothing from an earlier run")
    parser.add_argument("--quiet", action="store_true", help="no progress")


def _parser(study: Study) -> argparse.ArgumentParser:
    name = f"scripts/studies/{study.name}"
    parser = argparse.ArgumentParser(
        prog=name, description=f"{study.title}. {study.sentence}", epilog=f"example: {name} --small --out {study.name}"
    )
    add_options(parser)
    parser.add_argument("--out", type=Path, metavar="DIR", help=f"its folder (default: studies/SIZE/{study.name})")
    parser.add_argument(
        "--seeds", type=_seeds, default=SEEDS, metavar="K,K", help="other seeds than those the claims were made for"
    )
    return parser


def _folder(study: Study, options: argparse.Namespace) -> Path:
    out: Path = options.out or Path("studies", options.size, study.name)
    return out


def _seeds(text: str) -> tuple[int, ...]:
    try:
        seeds = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f'"{text}" is no list of seeds such as 3,4,5') from None
    if min(seeds) < 0 or len(set(seeds)) < len(seeds):
        raise argparse.ArgumentTypeError(f'"{text}": seeds are whole numbers from 0 on, each once')
    return seeds


def _say(text: str, code: int) -> int:
    complain(text)
    return code
