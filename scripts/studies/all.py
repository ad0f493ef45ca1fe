"""All studies, some side by side, and their closing table: study, claim, measured, published, holds.

    scripts/studies/all --small              every study on two processor cores
    scripts/studies/all --small bowl deeper  these two

Each is a process of its own, whose words go to OUT/STUDY/log.txt. Written are the studies' folders, and OUT/README.md: a gallery of
them and the table. The exit code is 1 when a claim does not hold that was said to at that size, or a study failed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from harness import Result, add_options, closing_table, write_gallery
from landscape.errors import InputError, did_you_mean
from landscape.parallel import usable_cores
from landscape.viewer import write_script

HERE = Path(__file__).resolve().parent
# The longest first, so that none is left to run alone at the end.
STUDIES = {
    "skips": "skips.py",
    "densenet": "densenet.py",
    "goodfellow": "goodfellow.py",
    "batchnorm": "batchnorm.py",
    "deeper": "deeper.py",
    "net2net": "net2net.py",
    "image-to-image": "image_to_image.py",
    "bowl": "bowl.py",
}
ORDER = ("bowl", "skips", "deeper", "goodfellow", "batchnorm", "net2net", "densenet", "image-to-image")  # in tables


def main(words: Sequence[str] | None = None) -> int:
    """Run the studies asked for."""
    options = _parser().parse_args(words)
    names = [name for name in STUDIES if name in (options.studies or STUDIES)]
    unknown = next((name for name in options.studies if name not in STUDIES), None)
    if unknown is not None:
        return _say(f'no study "{unknown}": {did_you_mean(unknown, STUDIES)}', 2)
    out = options.out or Path("studies", options.size)
    began = time.perf_counter()
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_script(out)
        with ThreadPoolExecutor(options.jobs or (1 if options.size == "full" else len(usable_cores()))) as pool:
            codes = dict(zip(names, pool.map(lambda name: _run(name, out, options), names), strict=True))
    except InputError as error:
        return _say(str(error), 2)
    except OSError as error:
        return _say(f"{out}: cannot be written ({error.strerror}); choose another --out", 2)
    results = _read([name for name in ORDER if (out / name / "result.json").exists()], out)
    try:
        path = write_gallery(results, out)
    except InputError as error:
        return _say(str(error), 2)
    print(closing_table(results))
    _say(f"{len(names)} studies in {time.perf_counter() - began:.0f} s: {path}", 0)
    return max([min(code, 2) for code in codes.values() if code], default=0)


def _run(name: str, out: Path, options: argparse.Namespace) -> int:
    """One study as a process; its exit code."""
    folder = out / name
    folder.mkdir(parents=True, exist_ok=True)
    words = [f"--{options.size}", "--out", str(folder)]
    words += ["--data-dir", str(options.data_dir)] if options.data_dir else []
    words += ["--device", options.device] if options.device else []
    words += [f"--{flag}" for flag in ("overwrite", "quiet") if getattr(options, flag)]
    began = time.perf_counter()
    with (folder / "log.txt").open("w", encoding="utf-8") as log:
        code = subprocess.run(
            [sys.executable, HERE / STUDIES[name], *words], stdout=log, stderr=subprocess.STDOUT, check=False
        ).returncode
    state = {0: "all claims hold", 1: "a claim does not hold, or it failed"}.get(code, f"ended with code {code}")
    _say(f"{name}: {state}, {time.perf_counter() - began:.0f} s, {folder / 'log.txt'}", code)
    if code:
        tail = (folder / "log.txt").read_text("utf-8", "replace").splitlines()[-3:]
        print(*(f"    {line}" for line in tail), sep="\n", file=sys.stderr)
    return code


def _read(names: Sequence[str], out: Path) -> list[Result]:
    results = []
    for name in names:
        try:
            results.append(Result.read(out / name))
        except InputError as error:  # it failed before it came to a result
            _say(str(error), 2)
    return results


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/studies/all", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("studies", metavar="STUDY", nargs="*", help=", ".join(ORDER))
    add_options(parser)
    parser.add_argument("--out", type=Path, metavar="DIR", help="the folder of the studies' folders (default: studies/SIZE)")
    parser.add_argument("--jobs", type=_count, metavar="N", help="studies side by side (default: the cores, one at full size)")
    return parser


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= 1000):
        raise argparse.ArgumentTypeError(f'"{text}" is no number of studies; take 1 or more')
    return int(text)


def _say(text: str, code: int) -> int:
    print(f"landscape: {text}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
