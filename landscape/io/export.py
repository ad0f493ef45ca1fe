"""Writing a surface for other programs: tables (.csv), arrays (.npz) and meshes for ParaView (.vtp)."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from landscape.atomic import check_target, replacing
from landscape.core.surface import Surface
from landscape.errors import InputError
from landscape.io.vtk_mesh import encode_vtp

__all__ = ["export"]


def export(
    surface: Surface,
    path: str | os.PathLike[str],
    overwrite: bool = False,
    clip: float | None = None,
    log: bool = False,
) -> Path:
    """Write `surface` as .csv, .npz or .vtp, by the extension of `path`, and return the path.

    - .csv: one row for each point, y faster than x; columns are the axes, then for each metric its value, standard error
      or interval, and done mark (0 or 1), the examples of each split, the seconds. Numbers read back exactly. Lines that begin with # say how
      the surface was made.
    - .npz: arrays named as in our HDF5 files (`x`, `values/train_loss`, `done/train_loss`, ...), and `attributes`, a JSON text.
    - .vtp: a mesh over the axes whose height is the default loss, with every metric as point data; a line becomes polylines.
      Points that are not measured or not finite are left out with the cells that touch them.

    Args:
        surface: what to write; its values are written as measured, whatever the format.
        path: the new file.
        overwrite: whether a file that exists may be replaced.
        clip: .vtp only: heights above it are drawn at it.
        log: .vtp only: the height is the decimal logarithm, as figures draw it; points at or below zero have none and are left out.

    Raises:
        InputError: for an unknown extension, a file that exists, a folder that is missing or not writable, a mesh without a
            single point, or .vtp without the vtk package.
    """
    path = check_target(path, overwrite, (".csv", ".npz", ".vtp"))
    extension = path.suffix.lower()
    if extension != ".vtp" and (clip is not None or log):
        raise InputError(f"{path}: clip and log shape the height of a .vtp; {extension} holds the values as measured")
    if extension == ".csv":
        content = _encode_csv(surface)
    elif extension == ".npz":
        content = _encode_npz(surface)
    else:
        content = encode_vtp(surface, clip, log, _describe(surface))
    with replacing(path) as temporary:
        temporary.write_bytes(content)
    return path


def _plain(value: Any) -> Any:
    """`value` in JSON's terms; NaN and infinities, which JSON has not, as text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _describe(surface: Surface) -> dict[str, Any]:
    """Everything that is known of a surface besides its arrays, ready for JSON."""
    description = {
        "kind": surface.kind,
        **surface.attributes,
        "axes": {axis.name: dict(axis.attributes) for axis in surface.axes},
        "metrics": {key: {"split": m.split, "metric": m.name, "unit": m.unit} for key, m in surface.metrics.items()},
        "data": surface.data,
        "points": [{"name": p.name, "coordinates": p.coordinates, "values": p.values} for p in surface.points],
        "checks": surface.checks,
        "numbers": {name: str(number) for name, number in surface.numbers.items()},
        "runs": surface.runs,
    }
    plain: dict[str, Any] = _plain(description)
    return plain


def _encode_csv(surface: Surface) -> bytes:
    places = np.meshgrid(*(axis.values for axis in surface.axes), indexing="ij")
    columns = [(axis.name, place) for axis, place in zip(surface.axes, places, strict=True)]
    for key in surface.metrics:
        columns.append((key, surface.values[key]))
        columns += surface.errors(key).items()
        columns.append((f"{key}_done", surface.done[key].astype(np.int64)))
    columns += [(f"{split}_examples", counts) for split, counts in surface.examples.items()]
    if surface.seconds is not None:
        columns.append(("seconds", surface.seconds))
    text = io.StringIO()
    for key, value in _describe(surface).items():
        # JSON escapes line breaks in values, joining the words removes them from keys: a comment stays one line.
        text.write(f"# {' '.join(key.split())}: {json.dumps(value)}\n")
    table = csv.writer(text, lineterminator="\n")
    table.writerow([name for name, _ in columns])
    # tolist gives Python numbers, and csv writes these with repr: the shortest text that reads back exactly.
    table.writerows(zip(*(array.ravel().tolist() for _, array in columns), strict=True))
    return text.getvalue().encode("utf-8")


def _encode_npz(surface: Surface) -> bytes:
    arrays: dict[str, np.ndarray] = {axis.name: axis.values for axis in surface.axes}
    arrays |= {f"values/{key}": values for key, values in surface.values.items()}
    arrays |= {f"values/{name}": errors for key in surface.metrics for name, errors in surface.errors(key).items()}
    arrays |= {f"effective/{key}": counts for key, counts in surface.effective.items()}
    arrays |= {f"done/{key}": mask.astype(bool) for key, mask in surface.done.items()}
    arrays |= {f"examples/{split}": counts for split, counts in surface.examples.items()}
    if surface.seconds is not None:
        arrays["seconds"] = surface.seconds
    arrays["attributes"] = np.array(json.dumps(_describe(surface)))
    content = io.BytesIO()
    np.savez_compressed(content, allow_pickle=False, **arrays)
    return content.getvalue()
