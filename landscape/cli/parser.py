"""The command line's words: every command with its options, help and one example."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Sequence
from typing import NoReturn

from landscape.cli.values import axis, examples, seeds, setting, words
from landscape.directions import NORMALIZATIONS
from landscape.errors import InputError, nearest
from landscape.objective import MODES, POLICIES, PRECISIONS

__all__ = ["EXAMPLES", "build_parser", "parse"]

# One example for each command; the help shows it.
EXAMPLES = {
    "demo": "landscape demo --out demo",
    "problems": "landscape problems",
    "train": "landscape train digits-resnet26 --out runs/short --epochs 15",
    "line": "landscape line digits-resnet26 runs/short/epoch_000.pt runs/short/epoch_015.pt -o line.h5",
    "surface": "landscape surface digits-resnet26 runs/short/epoch_015.pt --x -1:1:51 --y -1:1:51 -o net.h5",
    "plot": "landscape plot net.h5 other.h5 --kind relief --log -o pair.png",
    "view": "landscape view net.h5 other.h5 -o pair.html",
    "show": "landscape show net.h5",
    "diff": "landscape diff net.h5 again.h5 --tolerance 1e-6",
    "export": "landscape export net.h5 -o net.vtp",
    "import": "landscape import theirs.h5 --directions their_directions.h5 -o ours.h5",
    "bench": "landscape bench digits-mlp-3x64 --precision fp32,bf16 -o bench.json",
}
_SUMMARIES = {
    "demo": "train two small networks and draw their landscapes: the main job on embedded data",
    "problems": "list the problems of the zoo",
    "train": "train a problem of the zoo and keep its checkpoints",
    "line": "measure the loss along a line: between two checkpoints, or along random directions",
    "surface": "measure the loss over a plane: random around one checkpoint, or through three",
    "plot": "draw surface files as a figure (.png, .pdf, .svg)",
    "view": "write surface files as one interactive page that needs no network",
    "show": "say how a surface file was made, its self-check and its numbers",
    "diff": "compare two surface files; exit code 1 when they differ",
    "export": "write a surface as .csv, .npz or .vtp (ParaView)",
    "import": "read a surface of tomgoldstein/loss-landscape",
    "bench": "measure how fast this machine computes points, against other tools and against arithmetic",
}
_PROBLEM = 'a name of the zoo (see "landscape problems"), or package.module:factory for your own'
_TAKES_A_SIGN = ("--x", "--y")  # their values may begin with a minus, which argparse would take for an option


class _Parser(argparse.ArgumentParser):
    """A parser whose complaints are one line, with the nearest right word."""

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing usage and leaving."""
        choice = re.search(r"argument (.+?): invalid choice: '(.*?)' \(choose from (.*)\)", message)
        if choice:
            known = [word.strip(" '\"") for word in choice[3].split(",")]
            message = f'{choice[1].split("/")[-1]} "{choice[2]}" is unknown: {nearest(choice[2], known)}'
        stranger = re.search(r"unrecognized arguments: (--[^ =]+)", message)
        if stranger:
            known = [option for action in self._actions for option in action.option_strings if option.startswith("--")]
            begun = [option for option in known if option.startswith(stranger[1])]
            close = (begun or difflib.get_close_matches(stranger[1], known, n=1, cutoff=0.5))[:1]
            message = f"no option {stranger[1]}" + "".join(f': did you mean "{option}"?' for option in close)
        raise InputError(f"{message}; see {self.prog} --help")

    def parse_args(self, args: Sequence[str] | None = None, namespace: object = None) -> argparse.Namespace:  # type: ignore[override]
        """Parse; leftovers are reported by the command they were given to."""
        parsed, left = self.parse_known_args(args)
        if left:
            parsed.parser.error(f"unrecognized arguments: {' '.join(left)}")
        return parsed


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options in some arguments.

    Raises:
        InputError: for whatever is wrong with them.
    """
    joined: list[str] = []
    for word in arguments:
        if joined and joined[-1] in _TAKES_A_SIGN:
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return build_parser().parse_args(joined)


def build_parser() -> argparse.ArgumentParser:
    """The parser of the `landscape` command."""
    parser = _Parser(
        prog="landscape",
        description="Loss landscapes of PyTorch models.",
        epilog=f"example: {EXAMPLES['demo']}",
        allow_abbrev=False,
    )
    parser.set_defaults(parser=parser, debug=False)
    parser.add_argument("--version", action="store_true", help="print the version")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)
    for name, fill in _FILL.items():
        command = commands.add_parser(
            name, help=_SUMMARIES[name], description=_SUMMARIES[name], epilog=f"example: {EXAMPLES[name]}", allow_abbrev=False
        )
        fill(command)
        command.add_argument("--debug", action="store_true", help="show the traceback of an error")
        command.set_defaults(parser=command)
    return parser


def _add_problem(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("problem", metavar="PROBLEM", help=_PROBLEM)
    _add_settings(parser)


def _add_settings(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--set", dest="settings", metavar="key=value", action="append", type=setting, default=[], help="a setting of a zoo problem"
    )
    parser.add_argument("--data-dir", metavar="DIR", help="where the files of a zoo problem's data lie")


def _add_run(parser: argparse.ArgumentParser) -> None:
    """The options that lines and planes share."""
    directions = parser.add_argument_group("directions")
    directions.add_argument("--normalize", choices=NORMALIZATIONS, help="normalization of random directions (default: filter)")
    directions.add_argument(
        "--ignore", metavar="bias,norm|none", help="what stays fixed (default: bias,norm for random directions, else none)"
    )
    directions.add_argument("--only", metavar="GLOB", help="move these parameters alone, such as 'layer4.*'")
    directions.add_argument("--directions", metavar="FILE", help="use the directions in a file, ours or tomgoldstein's")
    directions.add_argument("--save-directions", action="store_true", help="write the directions into the file")
    directions.add_argument("--seed", type=int, default=0, metavar="S", help="of random directions and samples (default: 0)")
    directions.add_argument("--bn", choices=POLICIES, help="running statistics (default: moved between checkpoints, else frozen)")
    data = parser.add_argument_group("data")
    data.add_argument("--split", metavar="train,test", help="data split or splits measured on (default: train)")
    data.add_argument(
        "--examples", type=examples, metavar="N|first:N", help="a random sample of N examples, or the first N (default: all)"
    )
    data.add_argument(
        "--tolerance", type=float, default=0.0, metavar="T", help="relative standard error at which a point may stop (default: off)"
    )
    machine = parser.add_argument_group("computing")
    machine.add_argument("--device", default="auto", metavar="auto|cpu|cuda[:i]", help="where to compute (default: auto)")
    machine.add_argument("--threads", type=int, metavar="N", help="CPU threads of each rank (default: the cores shared out)")
    machine.add_argument("--batch-size", type=int, metavar="N", help="examples computed at once (default: 128, on a GPU 1024)")
    machine.add_argument("--precision", choices=PRECISIONS, help="arithmetic (default: fp32); tf32 and bf16 are audited")
    machine.add_argument(
        "--max-error", type=float, default=0.01, metavar="E", help="relative error the audit of tf32 or bf16 allows (default: 0.01)"
    )
    machine.add_argument("--engine", choices=MODES, help="way of computing (default: the fastest, tried out where the run is long)")
    machine.add_argument(
        "--memory",
        default="80%",
        metavar="8G|80%%",
        help="what examples may occupy on the device; more is streamed (default: 80%% of what is free)",
    )
    machine.add_argument("--offload", action="store_true", help="keep directions in main memory (on the CPU, in a file)")
    machine.add_argument("--time-limit", metavar="55m", help="begin no point that would end later; exit code 3 when some are left")
    machine.add_argument(
        "--level", type=float, default=1.0, metavar="NATS", help="height of the basin above the origin (default: 1)"
    )
    machine.add_argument("--yes", action="store_true", help="really measure a million points or more")
    _add_output(parser, "FILE.h5", "the surface file; one that is there is resumed")
    _add_talk(parser)


def _add_output(parser: argparse.ArgumentParser, metavar: str, text: str, required: bool = True) -> None:
    parser.add_argument("-o", "--out", metavar=metavar, required=required, help=text)
    parser.add_argument("--overwrite", action="store_true", help="replace a file that is there")


def _add_talk(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quiet", action="store_true", help="no progress and no notes")
    parser.add_argument("--json", action="store_true", help="the result for machines, on standard output")


def _fill_demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", metavar="DIR", default="demo", help="folder for files, figures and the page (default: demo)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of training and directions (default: 0)")
    _add_talk(parser)


def _fill_problems(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="the list for machines, on standard output")


def _fill_train(parser: argparse.ArgumentParser) -> None:
    _add_problem(parser)
    parser.add_argument("--out", metavar="DIR", help="folder for checkpoints and history (default: the problem's name)")
    parser.add_argument(
        "--epochs", type=int, metavar="N", help="passes through the training examples (default: the problem's recipe)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of initial weights and order (default: 0)")
    parser.add_argument("--device", default="auto", metavar="auto|cpu|cuda[:i]", help="where to compute (default: auto)")
    parser.add_argument("--threads", type=int, metavar="N", help="CPU threads (default: all cores)")
    parser.add_argument("--overwrite", action="store_true", help="replace a training that is there")
    _add_talk(parser)


def _fill_line(parser: argparse.ArgumentParser) -> None:
    _add_problem(parser)
    parser.add_argument("start", metavar="CKPT_A", help="checkpoint at x = 0")
    parser.add_argument("end", metavar="CKPT_B", nargs="?", help="checkpoint at x = 1; without it the direction is random")
    parser.add_argument("--x", type=axis, metavar="start:stop:n", help="default -0.5:1.5:401 between checkpoints, else -1:1:51")
    parser.add_argument("--seeds", type=seeds, metavar="1..10", help="several random directions: median and band")
    _add_run(parser)


def _fill_surface(parser: argparse.ArgumentParser) -> None:
    _add_problem(parser)
    parser.add_argument("start", metavar="CKPT", help="checkpoint at the origin")
    parser.add_argument("end_x", metavar="CKPT_B", nargs="?", help="checkpoint at (1, 0)")
    parser.add_argument("end_y", metavar="CKPT_C", nargs="?", help="checkpoint at (0, 1)")
    parser.add_argument("--x", type=axis, metavar="start:stop:n", help="default -1:1:51, through three checkpoints -0.5:1.5:51")
    parser.add_argument("--y", type=axis, metavar="start:stop:n", help="likewise")
    parser.add_argument("--orthogonalize", action="store_true", help="replace y by its part orthogonal to x")
    _add_run(parser)


def _fill_plot(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", metavar="FILE.h5", nargs="+", help="surface files, all lines or all planes")
    _add_output(parser, "FIGURE", "the figure, .png, .pdf or .svg (default: the first file's name with .png)", required=False)
    kinds = ["curve", "contour", "filled", "heatmap", "relief"]
    parser.add_argument("--kind", choices=kinds, help="default: curve for lines, filled for planes")
    parser.add_argument("--metric", metavar="train_loss", help="what is drawn (default: the loss; for lines all there is)")
    parser.add_argument("--log", action="store_true", help="logarithmic scale")
    parser.add_argument("--clip", type=float, metavar="MAX", help="draw higher values as MAX, marked so")


def _fill_view(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", metavar="FILE.h5", nargs="+", help="surface files")
    _add_output(parser, "VIEWER.html", "the page (default: the first file's name with .html)", required=False)


def _fill_show(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE.h5", help="a surface file")
    parser.add_argument("--json", action="store_true", help="the same for machines")


def _fill_diff(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("first", metavar="A.h5", help="a surface file")
    parser.add_argument("second", metavar="B.h5", help="another")
    parser.add_argument(
        "--tolerance", type=float, default=0.0, metavar="T", help="largest relative difference that counts as equal (default: 0)"
    )
    parser.add_argument("--json", action="store_true", help="the same for machines")


def _fill_export(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE.h5", help="a surface file")
    _add_output(parser, "FILE.{csv,npz,vtp}", "the file to write, its format by extension")
    parser.add_argument("--log", action="store_true", help=".vtp only: the height is the logarithm of the loss")
    parser.add_argument("--clip", type=float, metavar="MAX", help=".vtp only: higher values are drawn at MAX")


def _fill_import(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="SURFACE.h5", help="a surface file of tomgoldstein/loss-landscape")
    parser.add_argument("--directions", metavar="D.h5", help="its direction file, for norms and cosine")
    _add_output(parser, "FILE.h5", "the surface file to write")


def _fill_bench(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "problem", metavar="PROBLEM", nargs="?", default="digits-mlp-3x64", help=f"{_PROBLEM} (default: digits-mlp-3x64)"
    )
    parser.add_argument("start", metavar="CKPT", nargs="?", help="checkpoint to measure around (default: untrained weights)")
    _add_settings(parser)
    parser.add_argument("--examples", type=examples, metavar="N|first:N", help="examples at each point (default: 2000 at most)")
    parser.add_argument("--device", default="auto", metavar="auto|cpu|cuda[:i]", help="where to compute (default: auto)")
    parser.add_argument("--threads", type=int, metavar="N", help="CPU threads (default: all cores)")
    parser.add_argument(
        "--precision",
        type=words,
        default=["fp32"],
        metavar="fp32,bf16",
        help="of the engine (default: fp32)",
    )
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="turns of each contender (default: 5)")
    _add_output(parser, "FILE.json", "the result for machines, as a file", required=False)
    _add_talk(parser)


_FILL = {
    "demo": _fill_demo,
    "problems": _fill_problems,
    "train": _fill_train,
    "line": _fill_line,
    "surface": _fill_surface,
    "plot": _fill_plot,
    "view": _fill_view,
    "show": _fill_show,
    "diff": _fill_diff,
    "export": _fill_export,
    "import": _fill_import,
    "bench": _fill_bench,
}
