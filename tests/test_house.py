"""The rules of the house, read from the source: who may import whom, what is public, how long a thing may be.

Each rule is a function from sources to a list of violations; beside each test that finds none stands one that plants some.
"""

from __future__ import annotations

import ast
import functools
import graphlib
import importlib
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType

import pytest

import landscape

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "landscape"

# room -> (the rooms it may import, the libraries it may import). A room is a module or package right under landscape/, or one
# right under landscape/core/; "landscape" is the shop window, __init__.py, which nobody inside imports from. errors is open to all.
BASE = {"atomic", "errors", "output", "progress"}
NUMBERS = {
    "core.agreement",
    "core.grid",
    "core.surface",
    "measures",
    "report",
}  # all that reading, drawing and telling a file needs: no torch
WEIGHTS = {"core.directions", "core.modules", "core.shared_memory", "core.subspace", "core.weights", "checkpoints"}
ENGINE = BASE | NUMBERS | WEIGHTS | {"core.choices", "core.intervals", "evaluate", "io", "parallel", "problem", "reference"}
HOUSE: dict[str, tuple[set[str], set[str]]] = {
    "errors": (set(), set()),
    "atomic": ({"errors"}, set()),
    "output": (set(), set()),
    "progress": ({"output"}, {"tqdm"}),
    "declaration": ({"errors"}, set()),
    "core": (set(), set()),
    "core.choices": (set(), set()),
    "core.intervals": (set(), set()),
    "core.weights": ({"errors"}, {"numpy", "torch"}),
    "core.shared_memory": ({"core.weights"}, {"torch"}),
    "core.modules": ({"errors", "core.shared_memory", "core.weights"}, {"torch"}),
    "core.directions": ({"errors", "core.choices", "core.modules", "core.weights"}, {"numpy", "torch"}),
    "core.subspace": ({"errors", "core.weights", "core.directions"}, {"numpy", "torch"}),
    "core.agreement": (set(), {"numpy"}),
    "core.grid": ({"errors"}, {"numpy"}),
    "core.surface": ({"errors", "core.grid"}, {"numpy"}),
    "measures": ({"errors", "core.grid", "core.surface"}, {"numpy"}),
    "report": ({"errors", "core.grid", "core.surface", "measures"}, {"numpy"}),
    "io": ({"atomic", "errors", "core.grid", "core.surface"}, {"h5py", "numpy", "vtk", "vtkmodules"}),
    "plotting": ({"atomic", "errors"} | NUMBERS, {"matplotlib", "mpl_toolkits", "numpy"}),
    "viewer": ({"atomic", "errors"} | NUMBERS, {"matplotlib", "numpy"}),
    "parallel": ({"errors", "core.grid", "output"}, {"cloudpickle", "mpi4py", "numpy", "torch"}),
    "checkpoints": ({"errors", "core.modules", "core.weights"}, {"torch"}),
    "problem": ({"errors", "core.shared_memory", "core.modules", "core.weights", "checkpoints"}, {"numpy", "torch"}),
    "reference": ({"errors", "core.modules", "problem"}, {"torch"}),
    "evaluate": (
        {"errors", "core.choices", "core.intervals", "core.grid", "core.modules", "core.subspace", "core.weights", "problem"},
        {"numpy", "torch"},
    ),
    "sweep": (ENGINE | {"declaration"}, {"numpy", "torch"}),
    "zoo": (ENGINE | {"plotting", "viewer", "sweep"}, {"PIL", "numpy", "pooch", "sklearn", "torch"}),
    "benchmark": (ENGINE | {"sweep"}, {"torch"}),
    "cli": (ENGINE | {"benchmark", "declaration", "landscape", "plotting", "viewer", "sweep", "zoo"}, {"numpy", "torch"}),
    "landscape": (ENGINE | {"plotting", "viewer", "sweep", "zoo"}, set()),
}

MAX_MODULE = 300
MAX_FUNCTION = 60
VAGUE = {"common", "helper", "helpers", "manager", "misc", "util", "utils"}
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef

Sources = Mapping[str, str]  # "landscape/io/writing.py" -> its text


def read_sources(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder.parent).as_posix(): path.read_text("utf-8") for path in sorted(folder.rglob("*.py"))}


SOURCES = read_sources(PACKAGE)
LIBRARIES = {**SOURCES, **read_sources(ROOT / "scripts" / "studies" / "harness")}  # all that others are to read and import
MODULES = sorted(
    ".".join(Path(path).with_suffix("").parts).removesuffix(".__init__") for path in LIBRARIES if "__main__" not in path
)


@functools.cache
def parsed(text: str) -> ast.Module:
    """A module's tree, made once for all rules."""
    return ast.parse(text)


def room_of(path: str) -> str:
    parts = Path(path).with_suffix("").parts
    if parts[1] == "core" and parts[2] != "__init__":
        return f"core.{parts[2]}"
    return "landscape" if parts[1] == "__init__" else parts[1]


def named(rest: str) -> tuple[str, str]:
    """What rooms a dotted name below landscape may mean, the smaller one first."""
    first, _, more = rest.partition(".")
    return f"{first}.{more.partition('.')[0]}", first


def imported_names(path: str, text: str) -> Iterator[str]:
    """Every dotted name that a module imports, wherever in it, relative ones and `import_module("...")` resolved."""
    package = list(Path(path).parent.parts)
    for node in ast.walk(parsed(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            for alias in node.names:
                yield ".".join([*base, *([node.module] if node.module else []), alias.name])
        elif isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in {"import_module", "__import__"}:
            yield from (str(item.value) for item in node.args[:1] if isinstance(item, ast.Constant))


def forbidden_imports(sources: Sources, house: Mapping[str, tuple[set[str], set[str]]]) -> list[str]:
    rooms = {room_of(path) for path in sources}
    found = [f"{room}: a room without a row in this test's table" for room in sorted(rooms - set(house))]
    for path, text in sources.items():
        room = room_of(path)
        if room not in house:
            continue
        rooms_allowed, libraries_allowed = house[room]
        for name in imported_names(path, text):
            top, _, rest = name.partition(".")
            if top == "landscape":
                target = next((name for name in named(rest) if name in rooms), "landscape")
                if target not in rooms_allowed | {room}:
                    found.append(f"{path}: {room} may not import {target}")
            elif top not in sys.stdlib_module_names and top not in libraries_allowed:
                found.append(f"{path}: {room} may not import {top}")
    return found


def definitions(text: str) -> Iterator[Definition]:
    return (node for node in ast.walk(parsed(text)) if isinstance(node, Definition))


def public_definitions(tree: ast.Module | ast.ClassDef, prefix: str = "") -> Iterator[tuple[str, Definition]]:
    """What a user can reach by names without underscore: top-level functions and classes, and the classes' methods."""
    for node in tree.body:
        if isinstance(node, Definition) and not node.name.startswith("_"):
            yield prefix + node.name, node
            if isinstance(node, ast.ClassDef):
                yield from public_definitions(node, f"{prefix}{node.name}.")


def is_trivial_property(node: Definition) -> bool:
    """Whether a definition is a property: a name is all the documentation that one line needs."""
    return isinstance(node, ast.FunctionDef) and any(
        ast.unparse(decorator) in {"property", "cached_property", "functools.cached_property"} for decorator in node.decorator_list
    )


def undocumented(sources: Sources) -> list[str]:
    found = []
    for path, text in sources.items():
        tree = parsed(text)
        if text.strip() and ast.get_docstring(tree) is None:
            found.append(f"{path}: no docstring")
        for name, node in public_definitions(tree):
            if ast.get_docstring(node) is None and not is_trivial_property(node):
                found.append(f"{path}: {name} has no docstring")
            if not isinstance(node, ast.ClassDef) and node.returns is None:
                found.append(f"{path}: {name} has no return annotation")
    return found


def too_long(sources: Sources) -> list[str]:
    found = []
    for path, text in sources.items():
        n_lines = len(text.splitlines())
        if n_lines > MAX_MODULE:
            found.append(f"{path}: {n_lines} lines, more than {MAX_MODULE}")
        for node in definitions(text):
            n_lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if not isinstance(node, ast.ClassDef) and n_lines > MAX_FUNCTION:
                found.append(f"{path}: {node.name} has {n_lines} lines, more than {MAX_FUNCTION}")
    return found


def badly_named(sources: Sources) -> list[str]:
    found = []
    for path, text in sources.items():
        parts = Path(path).with_suffix("").parts
        names = [*parts, *(node.name for node in definitions(text))]
        for name in names:
            words = {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)}
            if words & VAGUE or re.match(r"_*(get|set|do)_", name):
                found.append(f'{path}: the name "{name}" does not say what it is')
    return found


def definitions_of(name: str, sources: Sources) -> list[str]:
    """Where `name` comes into being: as a function, a property, a variable or an attribute."""
    found = []
    for path, text in sources.items():
        for node in ast.walk(parsed(text)):
            if isinstance(node, Definition):
                here = node.name == name
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                here = any(name == ast.unparse(target).rpartition(".")[2] for target in targets)
            else:
                here = False
            if here:
                found.append(f"{path}:{node.lineno}")  # type: ignore[attr-defined]
    return found


def by_convention(name: str) -> tuple[int, str]:
    """The order of names in `__all__`, the one of isort and ruff: CONSTANTS, Classes, functions."""
    return (0 if name.isupper() and len(name) > 1 else 1 if name[0].isupper() else 2), name


def wrong_exports(names: object, text: str, available: set[str]) -> list[str]:
    """What is wrong with a module's `__all__`, given the module's text and the names it has."""
    if not isinstance(names, list):
        return ["has no list __all__"]
    found = [] if names == sorted(set(names), key=by_convention) else ["__all__ is not sorted, or repeats a name"]
    found += [f"__all__ names {name}, which does not exist" for name in names if name not in available]
    top = {name for name, _ in public_definitions(parsed(text)) if "." not in name}
    found += [f"{name} is public by its name but not in __all__" for name in sorted(top - set(names))]
    return found


def fresh(code: str) -> str:
    """What a new interpreter prints when it runs `code`."""
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def expect_none(violations: list[str], why: str = "") -> None:
    if violations:
        pytest.fail("\n".join([why, *violations]).strip(), pytrace=False)


# Imports


def test_imports_point_one_way() -> None:
    expect_none(forbidden_imports(SOURCES, HOUSE))


def test_the_table_of_rooms_has_no_circle_and_no_empty_row() -> None:
    list(graphlib.TopologicalSorter({room: rooms for room, (rooms, _) in HOUSE.items()}).static_order())  # raises CycleError
    expect_none(sorted(set(HOUSE) - {room_of(path) for path in SOURCES}), "rows for rooms that are gone:")


@pytest.mark.parametrize(
    ("path", "text", "complaint"),
    [
        ("landscape/core/surface.py", "from landscape.core.weights import Weights", "core.surface may not import core.weights"),
        ("landscape/core/surface.py", "import torch.nn as nn", "core.surface may not import torch"),
        ("landscape/measures/basin.py", "def f():\n    from landscape import io", "measures may not import io"),
        ("landscape/viewer/page.py", "from torch import Tensor", "viewer may not import torch"),
        ("landscape/evaluate/engine.py", "from ..sweep import plan", "evaluate may not import sweep"),
        ("landscape/sweep/loop.py", "from mpi4py import MPI", "sweep may not import mpi4py"),
        ("landscape/sweep/loop.py", "import landscape.zoo.models", "sweep may not import zoo"),
        ("landscape/sweep/loop.py", 'import importlib\nimportlib.import_module("landscape.zoo")', "sweep may not import zoo"),
        ("landscape/cli/main.py", "import h5py", "cli may not import h5py"),
        ("landscape/problem/data.py", "from landscape import line", "problem may not import landscape"),
        ("landscape/attic.py", "", "attic: a room without a row"),
    ],
)
def test_a_forbidden_import_is_found(path: str, text: str, complaint: str) -> None:
    rooms = {f"landscape/{room}/__init__.py": "" for room in ("io", "sweep", "core/weights", "zoo")}
    found = forbidden_imports({**rooms, path: text}, HOUSE)
    assert len(found) == 1
    assert complaint in found[0]


def test_an_allowed_import_is_not_found() -> None:
    text = "from __future__ import annotations\nimport os.path\nimport h5py\nfrom landscape.core.grid import Grid\nfrom . import reading"
    assert not forbidden_imports({"landscape/io/writing.py": text, "landscape/core/grid.py": "import numpy as np"}, HOUSE)


def test_import_landscape_loads_no_heavy_library() -> None:
    loaded = fresh("import landscape, sys; print(*sorted({'mpi4py', 'plotly', 'matplotlib', 'h5py'} & set(sys.modules)))")
    assert loaded == "", f"import landscape loads {loaded}; import it where it is used"


# Public names


@pytest.mark.parametrize("name", MODULES)
def test_all_is_what_a_module_offers(name: str) -> None:
    module = importlib.import_module(name)
    text = Path(str(module.__file__)).read_text("utf-8")
    names = getattr(module, "__all__", None)
    expect_none(wrong_exports(names, text, {item for item in names or [] if hasattr(module, item)}))


def test_wrong_exports_are_found() -> None:
    text = "def b(): ...\nclass A: ...\nLIMIT = 3\ndef _private(): ..."
    assert not wrong_exports(["LIMIT", "A", "b"], text, {"A", "b", "LIMIT"})
    assert not wrong_exports(["A", "b"], text, {"A", "b", "LIMIT"})
    assert wrong_exports(None, text, {"A", "b"})
    assert wrong_exports(["b", "A"], text, {"A", "b"})
    assert wrong_exports(["A", "A", "b"], text, {"A", "b"})
    assert wrong_exports(["A"], text, {"A", "b"}) == ["b is public by its name but not in __all__"]
    assert wrong_exports(["A", "b", "c"], text, {"A", "b"}) == ["__all__ names c, which does not exist"]


def test_the_shop_window_shows_its_public_names_and_nothing_else() -> None:
    importlib.import_module("landscape.cli")
    visible = {name for name in dir(landscape) if not name.startswith("_")} - {"TYPE_CHECKING", "Any", "annotations"}
    rooms = {name for name in visible if isinstance(getattr(landscape, name), ModuleType)}
    assert visible - rooms == {name for name in landscape.__all__ if not name.startswith("_")} - rooms
    assert landscape.__all__ == sorted(landscape.__all__, key=by_convention)


def test_no_submodule_hides_a_public_name() -> None:
    """landscape.surface is a function and landscape/core/surface.py a module: importing the second must leave the first."""
    names = [module.name for module in pkgutil.iter_modules([str(PACKAGE)]) if module.name != "__main__"]
    code = f"""
import importlib, landscape
before = {{name: getattr(landscape, name) for name in landscape.__all__}}
for name in {names!r}:
    importlib.import_module("landscape." + name)
print(*[name for name in before if getattr(landscape, name) is not before[name]])
print(callable(landscape.surface), callable(landscape.line))
"""
    *hidden, callable_still = fresh(code).splitlines()
    assert callable_still == "True True"
    assert hidden in ([], [""])


# Documentation, size and names


def test_public_names_are_documented_and_annotated() -> None:
    expect_none(undocumented(LIBRARIES))


def test_undocumented_names_are_found() -> None:
    text = (
        '"""M."""\nclass A:\n    """A."""\n    def f(self): ...\n    def _g(self): ...\n    @property\n    def h(self) -> int: ...'
    )
    assert undocumented({"landscape/m.py": text}) == [
        "landscape/m.py: A.f has no docstring",
        "landscape/m.py: A.f has no return annotation",
    ]
    assert undocumented({"landscape/m.py": "x = 1"}) == ["landscape/m.py: no docstring"]


def test_modules_and_functions_are_short() -> None:
    why = f"Past {MAX_FUNCTION} lines a function does two things, past {MAX_MODULE} a module wants a second room:"
    expect_none(too_long(LIBRARIES), why)


def test_long_ones_are_found() -> None:
    body = "    pass\n"
    assert not too_long({"m.py": "def f():\n" + body * (MAX_FUNCTION - 1)})
    assert too_long({"m.py": "def f():\n" + body * MAX_FUNCTION}) == ["m.py: f has 61 lines, more than 60"]
    assert not too_long({"m.py": "x = 1\n" * MAX_MODULE})
    assert too_long({"m.py": "x = 1\n" * (MAX_MODULE + 1)}) == ["m.py: 301 lines, more than 300"]


def test_names_say_what_things_are() -> None:
    expect_none(badly_named(LIBRARIES))


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("landscape/utils.py", ""),
        ("landscape/io/common.py", ""),
        ("landscape/m.py", "class SweepManager: ..."),
        ("landscape/m.py", "def plot_helpers(): ..."),
        ("landscape/m.py", "class A:\n    def get_weights(self): ..."),
        ("landscape/m.py", "def _set_axis(): ..."),
    ],
)
def test_vague_names_are_found(path: str, text: str) -> None:
    assert len(badly_named({path: text})) == 1
    assert not badly_named({"landscape/m.py": "def settle(): ...\ndef getters(): ...\nclass Domain: ...\ndef commonly(): ..."})


def test_there_is_one_is_root_in_the_house() -> None:
    places = definitions_of("is_root", SOURCES)
    assert len(places) == 1, f"is_root is defined at {places}: let one class define it from its rank and the others inherit it"


def test_every_definition_of_a_name_is_found() -> None:
    text = "def f(): ...\nclass A:\n    f: bool = True\n    def g(self):\n        self.f = 3\n        return self.f == f(f=1)"
    assert definitions_of("f", {"m.py": text}) == ["m.py:1", "m.py:3", "m.py:5"]


# The page that tells the way of one value


def lost_on_the_way(page: str) -> list[str]:
    """Functions and rooms that a page names and the package lacks."""
    found = []
    for name in re.findall(r"^\| \d+ \| `([\w.]+)`", page, re.MULTILINE):
        room = max((m for m in MODULES if f"landscape.{name}".startswith(f"{m}.")), key=len)
        target: object = importlib.import_module(room)
        for attribute in f"landscape.{name}".removeprefix(f"{room}.").split("."):
            target = getattr(target, attribute, None)
        found += [] if target is not None else [name]
    return found + [path for path in re.findall(r"`(\w[\w/]*(?:\.py|/))`", page) if not (PACKAGE / path).exists()]


def test_the_way_of_one_value_is_as_told() -> None:
    page = (PACKAGE / "README.md").read_text("utf-8")
    expect_none(lost_on_the_way(page), "landscape/README.md names what is gone:")
    assert 15 <= len(re.findall(r"^\| \d+ \|", page, re.MULTILINE)) <= 25


def test_a_lost_way_is_found() -> None:
    page = "| 1 | `cli.main.main` | |\n| 2 | `sweep.loop.Sweep.no_such` | |\n| where? | `sweep/no_such.py` and `sweep/` |"
    assert lost_on_the_way(page) == ["sweep.loop.Sweep.no_such", "sweep/no_such.py"]


# Files

# Somebody's home, or a place that exists on one machine only.
MACHINE_PATH = re.compile(rb"(?<![\w.$}{~*-])/(?:home|root|Users|work|opt|tmp)/[\w.]+")


def tracked_files() -> list[Path]:
    try:
        listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"needs git and a checkout: {error}")
    return [path for name in listing.split("\0") if name and (path := ROOT / name).is_file()]


def test_no_file_names_a_path_of_one_machine() -> None:
    expect_none(
        [
            f"{path.relative_to(ROOT)}: {match.group().decode(errors='replace')}"
            for path in tracked_files()
            for match in MACHINE_PATH.finditer(path.read_bytes())
        ]
    )


def test_a_path_of_one_machine_is_found() -> None:
    slash = b"/"
    assert MACHINE_PATH.search(b'open("' + slash + b'home/somebody/x")')
    assert MACHINE_PATH.search(slash + b"tmp/x.h5")
    assert not MACHINE_PATH.search(b"../tmp/x.h5, $HOME/tmp/x, https://example.org/home/x, /usr/bin/env")


def test_every_file_of_the_package_is_installed() -> None:
    """`pip install .` copies Python files and those that pyproject.toml's package-data names; the rest would be missed."""
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    match = re.search(r'^\[tool\.setuptools\.package-data\]\n"\*" = \[(.*)\]', text, re.MULTILINE)
    assert match
    patterns = [pattern.strip(' "') for pattern in match.group(1).split(",")]
    files = [path for path in tracked_files() if path.is_relative_to(PACKAGE) and path.suffix != ".py"]
    expect_none([f"{path}: in no pattern of package-data" for path in files if not any(path.match(p) for p in patterns)])
    folders = sorted({path.parent for path in PACKAGE.rglob("*.py")})
    expect_none([f"{folder}: no __init__.py" for folder in folders if not (folder / "__init__.py").is_file()])
