"""The ISBI 2012 challenge: membranes of cells in electron micrographs, from its TIFF stacks or from single images."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch

from landscape.errors import InputError
from landscape.zoo.data.files import require_folder
from landscape.zoo.data.splits import Splits

__all__ = ["membranes"]

_HOME = "https://imagej.net/events/isbi-2012-segmentation-challenge"
_N_IMAGES, _N_TRAIN = 30, 24  # the first 24 to train, the last 6 to test: the challenge keeps the masks of its own test images
_LARGEST = 2048  # pixels on a side; the challenge's images have 512
_WHITE = 255


def membranes(data_dir: str | os.PathLike[str] | None) -> Splits:
    """The 30 images with masks: images uint8 `(n, 1, height, width)`, targets uint8 `(n, height, width)`, 1 on a membrane.

    Args:
        data_dir: a folder with `train-volume.tif` and `train-labels.tif`, or with `image/0.png` … and `label/0.png` … up to 29; or the
            folder around one named `train`, `membrane` or `membrane/train`.

    Raises:
        InputError: when files are missing, swapped, or no such images.
    """
    folder = require_folder(data_dir, "the membrane data set", _HOME)
    for place in (folder, folder / "train", folder / "membrane", folder / "membrane" / "train"):
        if (place / "train-volume.tif").is_file():
            return _pair(_read(place / "train-volume.tif", _N_IMAGES), _read(place / "train-labels.tif", _N_IMAGES), place)
        if (place / "image" / "0.png").is_file():
            numbers = range(_N_IMAGES)
            parts = ([_read(place / part / f"{i}.png", 1) for i in numbers] for part in ("image", "label"))
            images, masks = ([image for one in part for image in one] for part in parts)
            return _pair(images, masks, place)
    raise InputError(f"no membranes in {folder}: train-volume.tif or image/0.png is missing; they are available from {_HOME}")


def _pair(images: list[np.ndarray], masks: list[np.ndarray], place: Path) -> Splits:
    if len({image.shape for image in [*images, *masks]}) > 1:
        raise InputError(f"{place}: its images differ in size; all of them and their masks have to have one")
    labels = np.stack(masks)
    grey = np.flatnonzero(((labels != 0) & (labels != _WHITE)).any(axis=(1, 2)))
    if grey.size:
        raise InputError(f"{place}: mask {grey[0]} has other values than 0 and {_WHITE}; were images and masks swapped?")
    pictures, targets = torch.from_numpy(np.stack(images)).unsqueeze(1), torch.from_numpy((labels == 0).astype(np.uint8))
    return {"train": (pictures[:_N_TRAIN], targets[:_N_TRAIN]), "test": (pictures[_N_TRAIN:], targets[_N_TRAIN:])}


def _read(path: Path, n_images: int) -> list[np.ndarray]:
    """The images of a file, each uint8 `(height, width)`; size and number are judged before anything is unpacked."""
    from PIL import Image  # comes with matplotlib

    if not path.is_file():
        raise InputError(f"{path}: missing, and the membranes are not complete without it; they are available from {_HOME}")
    try:
        with Image.open(path, formats=("TIFF", "PNG")) as image:
            opened: Any = image
            _judge(path, opened, n_images)
            found = []
            for number in range(n_images):
                opened.seek(number)
                _judge(path, opened, n_images)  # each page of a stack has a header of its own
                found.append(np.array(opened.convert("L"), dtype=np.uint8))
            return found
    except InputError:
        raise
    except Exception as error:  # Pillow raises a dozen kinds of error for damaged files
        raise InputError(f"{path}: damaged, or no TIFF or PNG image; fetch it again from {_HOME}") from error


def _judge(path: Path, image: Any, n_images: int) -> None:
    if max(image.size) > _LARGEST or image.mode not in ("L", "1") or getattr(image, "n_frames", 1) != n_images:
        size = f"{getattr(image, 'n_frames', 1)} images of {image.size[0]} x {image.size[1]} in mode {image.mode}"
        raise InputError(f"{path}: holds {size}, expected {n_images} of 8 bits and at most {_LARGEST} on a side")
