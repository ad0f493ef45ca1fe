"""Plant faults in a copy of the package, one at a time, and see that each turns at least one test red.

    python tests/plant_faults.py            # all of them
    python tests/plant_faults.py seed bias  # those whose name contains one of the words

The checkout itself is never touched. Exit code 1 when a fault goes unnoticed or does not apply any more.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Fault:
    """A change of one place in one file, and the tests that have to notice."""

    name: str
    file: str
    right: str
    wrong: str
    tests: str


FAULTS = (
    Fault("axes swapped in the record", "sweep/record.py", "arrays[name][index] = number", "arrays[name][index[::-1]] = number", "tests/test_acceptance.py"),
    Fault("axes swapped in the file", "store/recorder.py", "self._file[name][index] = value\n        if", "self._file[name][index[::-1]] = value\n        if", "tests/test_acceptance.py"),
    Fault("wrong filter axis", "directions/roles.py", "return tensor.reshape(tensor.shape[0], -1)", "return tensor.transpose(0, 1).reshape(tensor.shape[1], -1)", "tests/test_directions.py"),
    Fault("groups of transposed convolutions forgotten", "directions/roles.py", "owner.groups if isinstance(owner, _TRANSPOSED)", "0 if isinstance(owner, _TRANSPOSED)", "tests/test_directions.py"),
    Fault("norm layers move", "directions/roles.py", 'not ("norm" in ignore and role.norm)', "True", "tests/test_directions.py"),
    Fault("frozen parameters move", "directions/roles.py", "else role.trainable)", "else True)", "tests/test_directions.py"),
    Fault("seed ignored", "directions/random.py", 'f"{seed}/{axis}/{name}"', 'f"0/{axis}/{name}"', "tests/test_directions.py"),
    Fault("both axes drawn alike", "directions/random.py", 'f"{seed}/{axis}/{name}"', 'f"{seed}/x/{name}"', "tests/test_directions.py"),
    Fault("running statistics stay behind on a line", "directions/direction.py", "for name in buffer_names(module)}", "for name in ()}", "tests/objective tests/sweep tests/test_reference.py"),
    Fault("orthogonalized against the wrong length", "directions/direction.py", "/ against.norm**2", "/ against.norm", "tests/test_directions.py"),
    Fault("a weight dropped", "objective/mover.py", "torch._foreach_copy_(self._targets, self._origin)", "torch._foreach_copy_(self._targets[:-1], self._origin[:-1])", "tests/objective tests/test_acceptance.py"),
    Fault("the user's model itself is computed with", "objective/engine.py", "copy.deepcopy(unwrap(model))", "unwrap(model)", "tests/objective tests/test_acceptance.py"),
    Fault("the model stays in training mode", "objective/engine.py", ".eval().requires_grad_(False)", ".requires_grad_(False)", "tests/objective tests/test_acceptance.py"),
    Fault("batches unweighted", "objective/statistics.py", "torch.stack([s.sum(), w.sum(),", "torch.stack([s.mean(), w.mean(),", "tests/objective"),
    Fault("standard error without the finite population", "objective/statistics.py", "max(0.0, 1 - n / population)", "1.0", "tests/objective"),
    Fault("recalibration keeps the old statistics", "objective/norms.py", "layer.reset_running_stats()", "pass", "tests/objective"),
    Fault("class weights forgotten", "problem/losses.py", "            if class_weights is not None:", "            if False:", "tests/problem"),
    Fault("done mask inverted", "sweep/resume.py", "missing = ~np.logical_and", "missing = np.logical_and", "tests/test_acceptance.py tests/sweep"),
    Fault("a measured NaN counts as missing", "sweep/resume.py", "missing = ~np.logical_and.reduce([surface.done[key] for key in keys])", "missing = np.logical_or.reduce([np.isnan(surface.values[key]) for key in keys])", "tests/test_acceptance.py tests/sweep"),
    Fault("another model's file is resumed", "sweep/resume.py", 'check("model (weights)", ', 'check("", 0, 0), (', "tests/sweep"),
    Fault("old values shifted on a finer axis", "sweep/resume.py", "positions.append(nearest)", "positions.append(np.maximum(nearest - 1, 0))", "tests/sweep tests/test_acceptance.py"),
    Fault("last point of an axis left out", "grid.py", "np.linspace(float(start), float(stop), count)", "np.linspace(float(start), float(stop), count, endpoint=False)", "tests/test_grid.py"),
    Fault("figures not transposed", "plotting/marks.py", "np.ma.masked_invalid(values).T", "np.ma.masked_invalid(values)", "tests/plotting"),
    Fault("import not transposed", "store/goldstein.py", "array = raw.astype(np.float64)[()].T", "array = raw.astype(np.float64)[()]", "tests/store"),
    Fault("percent taken for fractions", "store/goldstein.py", "percent = 100.0 if", "percent = 1.0 if", "tests/store"),
    Fault("basin radius without π", "measures/basin.py", "math.sqrt(size / math.pi)", "math.sqrt(size)", "tests/test_measures.py"),
    Fault("links out of a file followed", "store/untrusted.py", "if not isinstance(link, h5py.HardLink):", "if False:", "tests/misuse tests/store"),
    Fault("code in checkpoints run", "checkpoint.py", '"cpu", weights_only=True', '"cpu", weights_only=False', "tests/test_checkpoint.py"),
    Fault("rank 0 keeps its share of the work to itself", "executors.py", "mine = iter(items[:: self.n_ranks])", "mine = iter(())", "tests/test_executors.py"),
    Fault("existing files overwritten", "atomic.py", "    if not overwrite:", "    if False:", "tests/misuse/test_bad_outputs.py"),
)  # fmt: skip


def plant(fault: Fault, folder: Path) -> str | None:
    """Apply a fault to the copy in `folder`; the original text, or None where the fault does not apply any more."""
    path = folder / "landscape" / fault.file
    text = path.read_text()
    if text.count(fault.right) < 1:
        return None
    path.write_text(text.replace(fault.right, fault.wrong, 1))
    return text


def noticed(fault: Fault, folder: Path) -> bool:
    """Whether the fault's tests fail in the copy."""
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *fault.tests.split()]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode not in (0, 1):
        raise SystemExit(f"pytest could not run for {fault.name}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.returncode == 1


def main(words: list[str]) -> int:
    """Plant, test and revert each fault; the number that went unnoticed decides the exit code."""
    chosen = [fault for fault in FAULTS if not words or any(word in fault.name for word in words)]
    bad = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("landscape", "tests", "pyproject.toml", "README.md", "notebooks"):
            copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
            copy(ROOT / part, folder / part)
        for fault in chosen:
            began = time.perf_counter()
            original = plant(fault, folder)
            red = original is not None and noticed(fault, folder)
            if original is not None:
                (folder / "landscape" / fault.file).write_text(original)
            word = "does not apply" if original is None else "red" if red else "UNNOTICED"
            bad += not red
            print(f"{word:<14} {time.perf_counter() - began:5.0f} s  {fault.name}", flush=True)
    print(f"{len(chosen) - bad} of {len(chosen)} faults turned a test red")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
