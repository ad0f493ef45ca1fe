"""Files of data sets: found under the names they are published by, never read further than they can be long, checked, fetched."""

from __future__ import annotations

import gzip
import hashlib
import importlib
import io
import lzma
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from landscape.errors import InputError

__all__ = ["Published", "fetch", "find", "identify", "read_bytes", "read_content", "require_folder"]

_LONGEST = 256 * 2**20  # bytes; no file that is read whole has more


@dataclass(frozen=True)
class Published:
    """A file as it was published: its name, the SHA-256 of its bytes, where it is to be had."""

    name: str
    sha256: str
    url: str


def require_folder(data_dir: str | os.PathLike[str] | None, title: str, home: str) -> Path:
    """The folder a data set is to be in.

    Raises:
        InputError: when none was named.
    """
    if data_dir is None:
        raise InputError(f"{title} needs --data-dir, the folder with its files; available from {home}")
    return Path(data_dir)


def find(folders: Sequence[Path], names: Sequence[str], title: str, home: str) -> Path:
    """The first file there is of some names in some folders.

    Raises:
        InputError: when there is none.
    """
    for folder in folders:
        for name in names:
            if (folder / name).is_file():
                return folder / name
    raise InputError(f"no {title} in {folders[0]}: {names[0]} is missing; it is available from {home}")


def read_bytes(path: Path, longest: int = _LONGEST) -> bytes:
    """A file's bytes, as they are on disk.

    Raises:
        InputError: when it cannot be read or is longer than `longest`.
    """
    try:
        with path.open("rb") as file:
            content = file.read(longest + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check its name and permissions") from error
    if len(content) > longest:
        raise InputError(f"{path}: has more than {longest:,} bytes, no file of this data set has; fetch it again")
    return content


def read_content(path: Path, longest: int = _LONGEST) -> bytes:
    """A file's content, unpacked where its name ends in .gz or .xz.

    Raises:
        InputError: when it cannot be read, is damaged, or unpacks to more than `longest` bytes.
    """
    if path.suffix not in (".gz", ".xz"):
        return read_bytes(path, longest)
    packed = read_bytes(path)
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(packed)) if path.suffix == ".gz" else lzma.LZMAFile(io.BytesIO(packed)) as file:
            content = file.read(longest + 1)
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise InputError(f"{path}: truncated, damaged, or no {path.suffix} file; fetch it again") from error
    if len(content) > longest:
        raise InputError(f"{path}: unpacks to more than {longest:,} bytes, no file of this data set does; fetch it again")
    return content


def identify(path: Path, content: bytes, name: str, digests: dict[str, str], home: str) -> None:
    """Refuse content that is not the published one.

    Args:
        path: for the message.
        content: what was read.
        name: which of the files it should be.
        digests: file name -> SHA-256 of the published content.
        home: where to fetch it.

    Raises:
        InputError: when the digest differs; where it is another file's, that one is named.
    """
    found = hashlib.sha256(content).hexdigest()
    if found == digests[name]:
        return
    other = next((known for known, digest in digests.items() if digest == found), None)
    if other is not None:
        raise InputError(f"{path}: has the content of {other}; two files were swapped, give each its own name again")
    raise InputError(f"{path}: not the published file (its SHA-256 differs), truncated or changed; fetch it again from {home}")


def fetch(files: Sequence[Published], folder: Path) -> None:
    """Download what is missing; a file whose checksum differs is not kept.

    Raises:
        InputError: when pooch is not installed, there is no network, or a checksum differs.
    """
    missing = [file for file in files if not (folder / file.name).exists()]
    if not missing:
        return
    try:
        pooch = importlib.import_module("pooch")  # only who downloads needs it
    except ImportError as error:
        raise InputError("downloading needs pooch; install torch-landscape[data], or fetch the files yourself") from error
    pooch.get_logger().setLevel("ERROR")
    for file in missing:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            pooch.retrieve(file.url, known_hash=f"sha256:{file.sha256}", fname=file.name, path=folder)
        except ValueError as error:
            raise InputError(f"{file.url}: what came is not the published file (its SHA-256 differs); it was not kept") from error
        except Exception as error:  # whatever library carried the request has errors of its own
            first = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise InputError(f"{file.url}: could not be downloaded into {folder} ({first}); fetch it by hand") from error
