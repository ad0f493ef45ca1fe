"""Measures what results/benchmarks and results/scaling hold, part by part, and draws their figures from the parts that are there.

    scripts/benchmarks/run mlp              the perceptron on digits, fp32; needs no data; a minute
    scripts/benchmarks/run mechanisms       the engine's mechanisms, each switched on alone; needs no data; half an hour
    scripts/benchmarks/run self-check       what the self-check takes of a sweep of 625 points
    scripts/benchmarks/run resnet56-fp32 --data-dir DIR --checkpoint FILE    ResNet-56 on CIFAR-10; also resnet56-bf16
    scripts/benchmarks/run tolerance-fp32 --data-dir DIR --checkpoint FILE   13 x 13 points, 10,000 images, tolerance 2 %; also -bf16
    scripts/benchmarks/run scaling [--data-dir DIR]    time against examples and points
    scripts/benchmarks/run memory           what a run takes, by the size of the model
    scripts/benchmarks/run figure           results/benchmarks/figure.png from the JSON files

    scripts/benchmarks/run answers          how long a rank waits for rank 0's answer, by three ways of answering
    scripts/benchmarks/run sleeping         2, 4 and 8 real ranks that sleep, beside the static split and the original's lock-step
    scripts/benchmarks/run simulation       the same schedule to 10,000 ranks, event by event
    scripts/benchmarks/run network          a real network on 1 and on 2 ranks of one thread each
    scripts/benchmarks/run files            a checkpoint read by every rank, and read by one that sends it to all
    scripts/benchmarks/run ranks-figure     results/scaling/figure.png from the JSON files

Without a part: all of them, those that need CIFAR-10 only with --data-dir. Run it with nothing else on the machine.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from landscape.atomic import replacing
from landscape.errors import LandscapeError, did_you_mean
from landscape.sweep.environment import environment_of
from landscape_benchmarks import mechanisms, ranks, speed

RESULTS = Path(__file__).resolve().parents[2] / "results"
PARTS = {"mechanisms": mechanisms.part, **speed.PARTS, **ranks.PARTS}


def main(words: Sequence[str] | None = None) -> int:
    """Measure the parts asked for; the exit code is that of the landscape command."""
    options = _parsed(words)
    torch.set_num_threads(options.threads or torch.get_num_threads())
    for part in options.parts or [part for part in PARTS if options.data_dir or part not in speed.NEED_DATA]:
        folder = options.out or RESULTS / ("scaling" if part in ranks.PARTS else "benchmarks")
        folder.mkdir(parents=True, exist_ok=True)
        began = time.perf_counter()
        _say(f"{part} …")
        environment = environment_of(torch.device(options.device))
        try:
            found = PARTS[part](argparse.Namespace(**{**vars(options), "out": folder}))
        except LandscapeError as error:
            _say(f"{part}: {error}")
            return error.exit_code
        if found is not None:
            report = {"part": part, "seconds": time.perf_counter() - began, "environment": environment, **found}
            with replacing(folder / f"{part}{speed.suffix(options)}.json") as path:
                path.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
        _say(f"{part}: {time.perf_counter() - began:.0f} s")
    return 0


def _parsed(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", metavar="PART", nargs="*", help=", ".join(PARTS))
    parser.add_argument("--out", type=Path, help="the folder for JSON and figures (default: results/benchmarks or results/scaling)")
    parser.add_argument("--data-dir", help="the folder with CIFAR-10")
    parser.add_argument("--checkpoint", help="weights of resnet56 (default: untrained, whose losses say little)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda[:i]; files of another device than cpu are named after it")
    parser.add_argument("--threads", type=int, help="CPU threads (default: all cores)")
    parser.add_argument("--rounds", type=int, help="turns of each side (default: 5, of resnet56 3, of mechanisms 7)")
    parser.add_argument("--examples", type=int, default=2000, help="images at each point of resnet56 (default: 2000)")
    parser.add_argument("--side", type=int, default=13, help="points along each axis of the tolerance parts (default: 13)")
    parser.add_argument("--items", type=int, default=800, help="items of the sleeping ranks (default: 800)")
    options = parser.parse_args(words)
    unknown = next((part for part in options.parts if part not in PARTS), None)
    if unknown is not None:
        parser.error(f'no part "{unknown}": {did_you_mean(unknown, PARTS)}')
    needy = next((part for part in options.parts if part in speed.NEED_DATA), None)
    if needy is not None and options.data_dir is None:
        parser.error(f"{needy} needs --data-dir, the folder with CIFAR-10")
    return options


def _say(text: str) -> None:
    print(f"landscape: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
