"""Surface files that are damaged, of another kind, or made to do harm."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

RESUME = "surface small_problems:net a.pt --x -1:1:3 --y -1:1:3 --save-directions -o {}"
READERS = [
    "show {}",
    "show {} --json",
    "plot {} -o figure.png",
    "view {} -o page.html",
    "export {} -o table.csv",
    "diff plane.h5 {}",
    RESUME,
]
SHAPE = (3, 3)


@pytest.fixture(autouse=True)
def little_memory() -> Iterator[None]:
    """A reader that believes a hostile size meets this limit, not the machine's."""
    if not Path("/proc/self/statm").exists():
        pytest.skip("no /proc, so no telling how much memory is in use")
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + (2 << 30), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def replace(file: h5py.File, name: str, **made: object) -> h5py.Dataset:
    if name in file:
        del file[name]
    return file.create_dataset(name, **made)


def huge(file: h5py.File, name: str) -> None:
    replace(file, name, shape=(10**6, 10**6), chunks=(1000, 1000), dtype="f8", fillvalue=1.0)


def huge_axis(file: h5py.File) -> None:
    replace(file, "x", shape=(10**12,), chunks=(1000,), dtype="f8", fillvalue=1.0)


def huge_chunk(file: h5py.File) -> None:
    del file["seconds"]
    file.create_dataset("seconds", shape=SHAPE, maxshape=(None, None), chunks=(20000, 20000), dtype="f8", compression="gzip")


def many_metrics(file: h5py.File) -> None:
    """Little in the file, 20,000 arrays of 100,000 numbers in memory."""
    for name in list(file):
        if name not in ("x", "y"):
            del file[name]
    replace(file, "x", data=np.arange(100_000.0))
    replace(file, "y", data=np.zeros(1))
    for group in ("values", "done"):
        first = file.create_dataset(f"{group}/m_0", shape=(100_000, 1), chunks=(1000, 1), dtype="f8", fillvalue=1.0)
        for i in range(1, 20_000):
            file[f"{group}/m_{i}"] = first  # a second name for it


def external_link(file: h5py.File, name: str) -> None:
    with h5py.File("elsewhere.h5", "w") as other:
        file.copy(name, other, "found")
    del file[name]
    file[name] = h5py.ExternalLink("elsewhere.h5", "found")


def soft_link(file: h5py.File, name: str) -> None:
    file.move(name, "moved")
    file[name] = h5py.SoftLink("/moved")


def external_storage(file: h5py.File) -> None:
    Path("secret.bin").write_bytes(bytes(8 * 9))
    replace(file, "values/train_loss", shape=SHAPE, dtype="f8", external=[("secret.bin", 0, 72)])


def virtual(file: h5py.File, name: str) -> None:
    layout = h5py.VirtualLayout(shape=file[name].shape, dtype="f8")
    layout[...] = h5py.VirtualSource("elsewhere.h5", "values", shape=file[name].shape)
    del file[name]
    file.create_virtual_dataset(name, layout)


def texts(file: h5py.File) -> None:
    replace(file, "values/train_loss", data=np.full(SHAPE, "1.0", dtype=object), dtype=h5py.string_dtype())


def ragged_arrays(file: h5py.File) -> None:
    replace(file, "values/train_loss", shape=SHAPE, dtype=h5py.vlen_dtype(np.float64))


def records(file: h5py.File) -> None:
    replace(file, "values/train_loss", data=np.zeros(SHAPE, dtype=[("a", "f8"), ("b", "f8")]))


def references(file: h5py.File) -> None:
    replace(file, "values/train_loss", shape=SHAPE, dtype=h5py.ref_dtype)


def complex_numbers(file: h5py.File) -> None:
    replace(file, "values/train_loss", data=np.zeros(SHAPE, dtype=complex))


def wide_names(file: h5py.File) -> None:
    """Two names of a gigabyte each, which the file holds as a fill value."""
    replace(file, "points/name", shape=(2,), chunks=(1,), dtype="S2000000000")


def numbers_as_names(file: h5py.File) -> None:
    replace(file, "points/name", data=np.arange(1.0))


def few_points(file: h5py.File) -> None:
    replace(file, "points/x", data=np.zeros(0))


def without(*names: str) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        for name in names:
            del file[name]

    return change


def attribute(place: str, name: str, value: object) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        file[place].attrs[name] = value

    return change


def empty_attribute(file: h5py.File) -> None:
    file.attrs["kind"] = h5py.Empty("f8")


def array_for_group(name: str) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        replace(file, name, data=np.zeros(3))

    return change


def group_for_array(name: str) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[name]
        file.create_group(name)

    return change


def array(name: str, value: object) -> Callable[[h5py.File], None]:
    return lambda file: replace(file, name, data=value)


def loop(file: h5py.File) -> None:
    del file["values"]
    file["values"] = file["/"]


HOSTILE: dict[str, tuple[Callable[[h5py.File], None], list[str]]] = {
    "huge values": (lambda file: huge(file, "values/train_loss"), ["values/train_loss", "1000000000000"]),
    "huge errors": (lambda file: huge(file, "values/train_loss_stderr"), ["train_loss_stderr", "1000000000000"]),
    "huge marks": (lambda file: huge(file, "done/train_loss"), ["done/train_loss"]),
    "huge counts": (lambda file: huge(file, "examples/train"), ["examples/train"]),
    "huge seconds": (lambda file: huge(file, "seconds"), ["seconds"]),
    "huge points": (lambda file: huge(file, "points/x"), ["points/x"]),
    "huge axis": (huge_axis, ['"x"', "1000000000000"]),
    "huge chunk": (huge_chunk, ["seconds", "chunk"]),
    "many metrics": (many_metrics, ["values"]),
    "values elsewhere": (lambda file: external_link(file, "values/train_loss"), ["values/train_loss", "link"]),
    "all values elsewhere": (lambda file: external_link(file, "values"), ["values", "link"]),
    "axis elsewhere": (lambda file: external_link(file, "x"), ['"x"', "link"]),
    "seconds elsewhere": (lambda file: external_link(file, "seconds"), ["seconds", "link"]),
    "checks elsewhere": (lambda file: external_link(file, "checks"), ["checks", "link"]),
    "numbers elsewhere": (lambda file: external_link(file, "numbers"), ["numbers", "link"]),
    "points elsewhere": (lambda file: external_link(file, "points"), ["points", "link"]),
    "names elsewhere": (lambda file: external_link(file, "points/name"), ["points/name", "link"]),
    "runs elsewhere": (lambda file: external_link(file, "runs"), ["runs", "link"]),
    "a run elsewhere": (lambda file: external_link(file, "runs/0"), ["runs/0", "link"]),
    "data elsewhere": (lambda file: external_link(file, "data/train"), ["data/train", "link"]),
    "a link within": (lambda file: soft_link(file, "values/train_loss"), ["values/train_loss", "link"]),
    "bytes of another file": (external_storage, ["values/train_loss", "other files"]),
    "values of another file": (lambda file: virtual(file, "values/train_loss"), ["values/train_loss", "other files"]),
    "axis of another file": (lambda file: virtual(file, "x"), ['"x"', "other files"]),
    "texts": (texts, ["values/train_loss", "plain numbers"]),
    "ragged arrays": (ragged_arrays, ["values/train_loss", "plain numbers"]),
    "records": (records, ["values/train_loss", "plain numbers"]),
    "references": (references, ["values/train_loss", "plain numbers"]),
    "complex numbers": (complex_numbers, ["values/train_loss", "plain numbers"]),
    "wide names": (wide_names, ["points/name"]),
    "numbers as names": (numbers_as_names, ["points/name"]),
    "few points": (few_points, ["points/x"]),
    "no values": (without("values"), ["no values"]),
    "no marks": (without("done"), ["done"]),
    "no mark": (without("done/train_loss"), ["done/train_loss"]),
    "no axis": (without("y"), ['"y"']),
    "other shape": (array("values/train_loss", np.zeros((3, 4))), ["values/train_loss", "(3, 4)", "(3, 3)"]),
    "transposed errors": (array("values/train_loss_stderr", np.zeros(3)), ["(3,)", "(3, 3)"]),
    "axis of two dimensions": (array("x", np.zeros((3, 1))), ['"x"', "(3, 1)"]),
    "longer axis": (array("x", np.arange(4.0)), ["(3, 3)", "(4, 3)"]),
    "empty axis": (array("x", np.zeros(0)), ['"x"']),
    "axis with nan": (array("x", np.array([-1, np.nan, 1])), ['"x"', "nan"]),
    "axis that turns": (array("y", np.array([-1.0, 1.0, 0.0])), ['"y"', "turns back"]),
    "scalar axis": (array("x", 1.0), ['"x"', "()"]),
    "array for values": (array_for_group("values"), ["values"]),
    "array for runs": (array_for_group("runs"), ["runs"]),
    "array for points": (array_for_group("points"), ["points"]),
    "array for checks": (array_for_group("checks"), ["checks"]),
    "group for a metric": (group_for_array("values/train_loss"), ["values/train_loss"]),
    "group for an axis": (group_for_array("x"), ['"x"']),
    "a loop": (loop, ["values"]),
    "run without number": (lambda file: file.create_group("runs/last"), ["runs/last"]),
    "another kind": (attribute("/", "kind", "volume"), ["volume"]),
    "no kind": (empty_attribute, ["kind"]),
    "axes of numbers": (attribute("/", "axes", [1, 2]), ["axes"]),
    "line with axes of a plane": (attribute("/", "kind", "line"), ["line"]),
    "newer format": (attribute("/", "format_version", 2), ["format version 2", "upgrade"]),
    "format of a word": (attribute("/", "format_version", "two"), ["format version"]),
    "cosine of a word": (attribute("/", "cosine", "big"), ["cosine", "number"]),
    "tolerance of a word": (attribute("/", "tolerance", "small"), ["tolerance", "number"]),
    "length of a word": (attribute("x", "norm", "long"), ["norm", "number"]),
    "size of a word": (attribute("data/train", "size", "all"), ["size", "number"]),
    "check of a word": (attribute("checks", "origin_train_loss_apart", "same"), ["checks", "number"]),
    "measure of a word": (attribute("numbers", "basin_radius", "wide"), ["numbers", "number"]),
    "seconds of a word": (attribute("runs/0", "seconds", "long"), ["seconds", "number"]),
    "rate of a word": (attribute("runs/0", "points_per_second", "fast"), ["points_per_second", "number"]),
    "rate of many": (attribute("runs/0", "examples_per_second", np.arange(3.0)), ["examples_per_second", "number"]),
    "share of a word": (attribute("runs/0", "share_model", "most"), ["share_model", "number"]),
    "memory of a word": (attribute("runs/0", "memory_peak", "much"), ["memory_peak", "number"]),
    "models at nan": (array("points/x", np.array([np.nan])), ["points/x", "nan"]),
    "models at infinity": (array("points/y", np.array([-np.inf])), ["points/y", "inf"]),
    "models without a place": (without("points/y"), ["points/y"]),
    "models without any place": (without("points/x", "points/y"), ["points/x"]),
    "used nan": (attribute("data/train", "used", np.nan), ["used", "data/train", "nan"]),
    "used infinite": (attribute("data/train", "size", np.inf), ["size", "data/train", "inf"]),
    "used less than none": (attribute("data/train", "used", -3), ["used", "data/train", "-3"]),
    "examples nan": (array("examples/train", np.full(SHAPE, np.nan)), ["examples/train", "examples"]),
    "examples less than none": (array("examples/train", np.full(SHAPE, -1)), ["examples/train", "examples"]),
    "half an example": (array("examples/train", np.full(SHAPE, 0.5)), ["examples/train", "examples"]),
    "too many examples": (array("examples/train", np.full(SHAPE, 2**64 - 1, np.uint64)), ["examples/train", "examples"]),
    "error of an error": (array("values/train_loss_stderr_stderr", np.ones(SHAPE)), ["train_loss_stderr_stderr", "no metric"]),
    "end of an error": (array("values/train_loss_stderr_low", np.ones(SHAPE)), ["train_loss_stderr_low", "no metric"]),
    "one end of an interval": (array("values/train_loss_low", np.ones(SHAPE)), ["train_loss", "one end"]),
    "another metric's name": (attribute("values/train_loss", "metric", "accuracy"), ["values/train_loss", "accuracy"]),
    "another split's name": (attribute("values/train_loss", "split", "test"), ["values/train_loss", "test"]),
    "many splits": (attribute("values/train_loss", "split", np.arange(3.0)), ["values/train_loss", "split"]),
    "axis too far": (array("x", np.array([-1e308, 0, 1e308])), ['"x"', "1e+150"]),
    "axis without width": (array("y", np.array([0, 5e-324, 1e-323])), ['"y"', "steps"]),
}


TELLING = (
    "huge values",
    "values elsewhere",
    "cosine of a word",
    "axis with nan",
    "models at nan",
    "error of an error",
)  # through every command; they share a reader
CASES = [(READERS[0], name) for name in HOSTILE] + [(words, name) for words in READERS[1:] for name in TELLING]


@pytest.mark.parametrize(("words", "name"), CASES)
def test_hostile_file(here, refuse, name, words):
    change, says = HOSTILE[name]
    Path("bad.h5").write_bytes(Path("plane.h5").read_bytes())
    with h5py.File("bad.h5", "r+") as file:
        change(file)
    refuse(words.format("bad.h5"), "bad.h5", *says)


@pytest.mark.parametrize(
    ("place", "name", "value"),
    [
        ("/", "problem", "x" * 60_000),
        ("/", "problem", "red \x1b[31m alert\nsecond line"),
        ("/", "bn", np.arange(7)),
        ("/", "remark \x1b[31m", 3.5),
        ("x", "label", "\x1b]0;title\x07"),
        ("x", "label", np.float64(3)),
        ("runs/0", "command", "rm \x1b[2J"),
        ("checks", "remark_compared", "x" * 60_000),
        ("checks", "lonely_apart", 2.0),
        ("data/train", "sha256", 7),
    ],
)
@pytest.mark.parametrize("words", ["show bad.h5", "show bad.h5 --json"])
def test_odd_attributes_are_shown_and_do_no_harm(here, run, place, name, value, words):
    Path("bad.h5").write_bytes(Path("plane.h5").read_bytes())
    with h5py.File("bad.h5", "r+") as file:
        file[place].attrs[name] = value
    outcome = run(words)
    assert (outcome.code, outcome.err) == (0, "")
    assert "\x1b" not in outcome.out
    assert "\x07" not in outcome.out


@pytest.mark.parametrize(
    "words",
    [words for words in READERS if words != RESUME] + ["merge {} -o all.h5", "animate {} -o film.gif", "import {} -o ours.h5"],
)
@pytest.mark.parametrize("name", ["x" * 300 + ".h5", "x" * 5000, "y/" * 2500 + "z.h5", "a.pt/s.h5", "loop.h5", "dangling.h5"])
def test_a_name_that_leads_to_no_file(here, refuse, words, name):
    Path("loop.h5").symlink_to("loop.h5")
    Path("dangling.h5").symlink_to("gone.h5")
    says = {"loop.h5": "loop", "dangling.h5": "gone.h5"}.get(
        name, "no such file" if name == "a.pt/s.h5" or len(name) < 300 else "too long"
    )
    refuse(words.format(name), name[:8], says)


@pytest.mark.parametrize(
    ("place", "name", "value"),
    [
        ("runs/0", "share_model", np.nan),
        ("runs/0", "points", 2**63 - 1),
        ("runs/0", "mine", "text"),
        ("x", "norm", np.longdouble(2)),
        ("checks", "repeat_difference", np.inf),
        ("/", "only", np.arange(1500)),
        ("/", "problem", np.array(["a", "b"], dtype=object)),
    ],
)
@pytest.mark.parametrize("words", [words for words in READERS if words not in (RESUME, "diff plane.h5 {}")])
def test_odd_attributes_do_no_harm_to_any_reader(here, run, place, name, value, words):
    with h5py.File("plane.h5", "r+") as file:
        file[place].attrs[name] = value
    outcome = run(words.format("plane.h5"))
    assert (outcome.code, outcome.err) == (0, ""), outcome


def test_a_run_that_says_little_of_itself_is_shown(here, run):
    with h5py.File("plane.h5", "r+") as file:
        for name in ("share_model", "examples_per_second", "memory_peak", "n_ranks"):
            del file["runs/0"].attrs[name]
    outcome = run("show plane.h5")
    assert (outcome.code, outcome.err) == (0, "")
    assert "nan examples/s" in outcome.out


def test_a_metric_of_an_odd_name_reaches_no_terminal(here, refuse):
    with h5py.File("plane.h5", "r+") as file:
        for group in ("values", "done"):
            file.copy(f"{group}/train_loss", f"{group}/train_\x1b[31mred")
    assert "\x1b" not in refuse("show plane.h5", "values")


def write(name: str, content: bytes) -> str:
    Path(name).write_bytes(content)
    return name


@pytest.mark.parametrize("words", READERS, ids=["show", "json", "plot", "view", "export", "diff", "resume"])
@pytest.mark.parametrize("kind", ["truncated", "text", "empty", "folder", "checkpoint", "other HDF5", "theirs", "newer"])
def test_file_of_another_kind(here, refuse, words, kind):
    good = Path("plane.h5").read_bytes()
    says = ["bad.h5"]
    if kind == "truncated":
        write("bad.h5", good[: len(good) // 2])
    elif kind == "text":
        write("bad.h5", b"x,y,loss\n" * 200)
    elif kind == "empty":
        write("bad.h5", b"")
    elif kind == "folder":
        Path("bad.h5").mkdir()
    elif kind == "checkpoint":
        write("bad.h5", Path("a.pt").read_bytes())
    elif kind == "newer":
        write("bad.h5", good)
        with h5py.File("bad.h5", "r+") as file:
            file.attrs["format_version"] = 99
        says += ["format version 99", "upgrade"]
    else:
        with h5py.File("bad.h5", "w") as file:
            file["xcoordinates" if kind == "theirs" else "measurements"] = np.arange(3.0)
        says += ["not a surface"] + ["landscape import"] * (kind == "theirs")
    refuse(words.format("bad.h5"), *says)


@pytest.mark.parametrize("words", [words for words in READERS if words != RESUME])
def test_missing_file(refuse, words):
    refuse(words.format("gone.h5"), "gone.h5", "no such file")


RESUMED = "line small_problems:{} {} --x {} -o line.h5 {}"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (RESUMED.format("net", "b.pt", "-1:1:5", ""), ["weights"]),
        (RESUMED.format("net", "a.pt", "-1:1:5", "--seed 1"), ["seed", "(0, now 1)"]),
        (RESUMED.format("net", "a.pt", "-1:1:5", "--normalize layer"), ["normalize", "(filter, now layer)"]),
        (RESUMED.format("net", "a.pt", "-1:1:5", "--ignore none"), ["ignore", "bias,norm"]),
        (RESUMED.format("net", "a.pt", "-1:1:5", "--only 'first.*'"), ["only", "first.*"]),
        (RESUMED.format("net", "a.pt", "-1:1:5", "--bn recalibrated"), ["bn", "(frozen, now recalibrated)"]),
        (RESUMED.format("net", "a.pt", "-1:1:5", "--precision fp64"), ["precision", "(fp32, now fp64)"]),
        (RESUMED.format("net", "a.pt", "-1:1:5", "--tolerance 0.1"), ["tolerance", "(0.0, now 0.1)"]),
        (RESUMED.format("net", "a.pt", "-1:1:5", "--examples 50"), ["train", "examples", "random:50"]),
        (RESUMED.format("net", "a.pt", "-1:1:4", ""), ["x axis", "-1:1:5", "-1:1:4"]),
        (RESUMED.format("net", "a.pt", "0:1:3", ""), ["x axis", "-1:1:5", "0:1:3"]),
        (RESUMED.format("net", "a.pt", "-1:1:5", "--seeds 1..2"), ["axes"]),
        (RESUMED.format("net", "a.pt b.pt", "-1:1:5", ""), ["source", "(random, now difference)"]),
        (RESUMED.format("net", "a.pt", "-1:1:5", "--directions plane.h5"), ["source", "(random, now file)"]),
        (RESUMED.format("other_data", "a.pt", "-1:1:5", ""), ["train", "content"]),
        (RESUMED.format("net", "a.pt", "-1:1:5", "--examples first:50"), ["train", "first:50"]),
        ("surface small_problems:net a.pt --x -1:1:5 --y -1:1:3 -o line.h5", ["kind", "(line, now surface)"]),
        ("line small_problems:net a.pt -o plane.h5", ["kind", "(surface, now line)"]),
    ],
)
def test_resuming_another_run_names_what_differs(refuse, words, says):
    refuse(words, *says, "another name", "--overwrite")


def test_resuming_with_edited_code_is_found(refuse, here):
    with h5py.File("line.h5", "r+") as file:
        file["values/train_loss"][:] *= 1.001
    refuse(RESUMED.format("net", "a.pt", "-1:1:9", ""), "stored as", "measures", "--overwrite")


@pytest.mark.parametrize("words", ["-o line.h5", "-o line.h5 --overwrite"])
def test_file_opened_by_another_writer(here, refuse, words):
    """A real second process, for HDF5's locks do not hold within one."""
    code = "import sys, h5py; file = h5py.File('line.h5', 'r+'); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdout.readline() == b"open\n"
        refuse(f"line small_problems:net a.pt --x -1:1:5 --quiet {words}", "line.h5", "another process")
        writer.stdin.close()


@pytest.mark.parametrize("content", [b"", b"just some text", b"\x89HDF\r\n\x1a\n"])
def test_overwrite_replaces_what_is_no_surface(here, run, content):
    write("out.h5", content)
    assert run("line small_problems:net a.pt --x -1:1:3 -o out.h5 --overwrite").code == 0
    assert run("show out.h5").code == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("plot plane.h5 line.h5 -o figure.png", ["plane", "line", "apart"]),
        ("plot line.h5 --kind contour -o figure.png", ["line", "curve"]),
        ("plot plane.h5 --kind curve -o figure.png", ["plane", "contour"]),
        ("plot plane.h5 --metric tran_loss -o figure.png", ['did you mean "train_loss"?']),
        ("plot line.h5 --metric test_loss -o figure.png", ['"test_loss"', "train_loss"]),
        ("plot plane.h5 gone.h5 -o figure.png", ["gone.h5", "no such file"]),
        ("plot plane.h5 -o figure.jpg", [".jpg", ".png"]),
        ("plot plane.h5 -o figure", ['""', ".png"]),
        ("plot plane.h5 --clip nan -o figure.png", ["clip", "nan"]),
        ("view plane.h5 -o page.pdf", [".pdf", ".html"]),
        ("export plane.h5 -o table.xlsx", [".xlsx", ".csv"]),
        ("export plane.h5 -o table", ['""', ".csv"]),
        ("export plane.h5 -o table.csv --log", [".csv", ".vtp"]),
        ("export plane.h5 -o plane.npz --clip 3", [".npz", ".vtp"]),
        ("import plane.h5 -o out.h5", ["plane.h5", "no import"]),
        ("import a.pt -o out.h5", ["a.pt", "not HDF5"]),
        ("import gone.h5 -o out.h5", ["gone.h5", "no such file"]),
    ],
)
def test_drawing_and_converting(refuse, words, says):
    refuse(words, *says)


def theirs(nx: int, ny: int, **more: object) -> None:
    with h5py.File("theirs.h5", "w") as file:
        file["xcoordinates"], file["ycoordinates"] = np.linspace(-1, 1, nx), np.linspace(-1, 1, ny)
        file["train_loss"] = np.ones((nx, ny))
        for name, value in more.items():
            file[name] = value


def test_import_of_a_plane_that_is_not_square(here, refuse):
    theirs(3, 2)
    refuse("import theirs.h5 -o out.h5", "theirs.h5", "3 by 2", "measure it again")


def test_import_with_directions_that_are_none(here, refuse):
    theirs(3, 3)
    refuse("import theirs.h5 --directions plane.h5 -o out.h5", "plane.h5", "xdirection")
    refuse("import theirs.h5 --directions gone.h5 -o out.h5", "gone.h5")
