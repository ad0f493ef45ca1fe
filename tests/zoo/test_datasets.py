from __future__ import annotations

import copy
import hashlib
import io
import math
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from landscape.errors import InputError
from landscape.zoo.data import Splits, cifar10, digits, shift_and_mirror
from landscape.zoo.losses import NormalizedCrossEntropy

N = 6  # images a file in these tests, 10,000 in CIFAR-10
TRAIN = [f"data_batch_{i}" for i in range(1, 6)]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("landscape.zoo.data.cifar._N_BATCH", N)


def made_up() -> tuple[np.ndarray, np.ndarray]:
    """All images of a tiny CIFAR-10, `(6 N, 32, 32, 3)` uint8 in the order train, test, and their labels."""
    generator = np.random.default_rng(0)
    return generator.integers(0, 256, (6 * N, 32, 32, 3), dtype=np.uint8), generator.integers(0, 10, 6 * N)


def write_binaries(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    images, labels = made_up()
    for i, name in enumerate([*TRAIN, "test_batch"]):
        with (folder / f"{name}.bin").open("wb") as file:
            for image, label in zip(images[i * N : (i + 1) * N], labels[i * N : (i + 1) * N], strict=True):
                file.write(bytes([label]) + b"".join(image[:, :, channel].tobytes() for channel in range(3)))


def write_pickles(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    images, labels = made_up()
    sums = {}
    for i, name in enumerate([*TRAIN, "test_batch"]):
        planes = np.ascontiguousarray(images[i * N : (i + 1) * N].transpose(0, 3, 1, 2)).reshape(N, 3072)
        content = pickle.dumps({b"data": planes, b"labels": labels[i * N : (i + 1) * N].tolist()}, protocol=2)
        (folder / name).write_bytes(content)
        sums[name] = hashlib.md5(content).hexdigest()
    monkeypatch.setattr("landscape.zoo.data.cifar._CHECKSUMS", sums)


def write_arrays(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    images, labels = made_up()
    np.save(folder / "train_images.npy", images[: 5 * N])
    np.save(folder / "train_labels.npy", labels[: 5 * N].astype(np.uint8))
    np.save(folder / "test_images.npy", images[5 * N :])
    np.save(folder / "test_labels.npy", labels[5 * N :])


def check(splits: Splits) -> None:
    images, labels = made_up()
    for split, rows in (("train", slice(0, 5 * N)), ("test", slice(5 * N, 6 * N))):
        found, targets = splits[split]
        assert found.dtype == torch.uint8
        assert targets.dtype == torch.int64
        assert targets.tolist() == labels[rows].tolist()
        assert np.array_equal(found.permute(0, 2, 3, 1).numpy(), images[rows])
        assert found.is_contiguous(memory_format=torch.channels_last)


def test_binary_version(tmp_path: Path, small: None) -> None:
    write_binaries(tmp_path / "cifar-10-batches-bin")
    check(cifar10(tmp_path))
    check(cifar10(tmp_path / "cifar-10-batches-bin"))


def test_python_version(tmp_path: Path, small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    write_pickles(tmp_path / "cifar-10-batches-py", monkeypatch)
    check(cifar10(tmp_path))
    check(cifar10(str(tmp_path / "cifar-10-batches-py")))


def test_arrays(tmp_path: Path) -> None:
    write_arrays(tmp_path)
    check(cifar10(tmp_path))


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("exploded",)


def test_a_pickle_of_another_checksum_is_never_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [*TRAIN, "test_batch"]:
        (tmp_path / name).write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(InputError, match=r"data_batch_1: not the published file \(its MD5 differs\), so it is not unpickled"):
        cifar10(tmp_path)
    assert not (tmp_path / "exploded").exists()


def test_arrays_of_objects_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_arrays(tmp_path)
    np.save(tmp_path / "train_images.npy", np.array([Bomb()], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match=r"train_images.npy: not a plain .npy array"):
        cifar10(tmp_path)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("train_images.npy", np.zeros((4, 3, 32, 32), np.uint8), r"holds uint8 \(4, 3, 32, 32\), expected uint8 \(n, 32, 32, 3\)"),
        ("train_images.npy", np.zeros((4, 32, 32, 3)), "holds float64"),
        ("train_labels.npy", np.zeros(5 * N - 1, np.int64), rf"expected whole numbers \({5 * N},\)"),
        ("train_labels.npy", np.zeros(5 * N), "holds float64"),
        ("test_labels.npy", np.full(N, 10), "image 0 has the label 10, CIFAR-10 has 0 to 9"),
        ("test_labels.npy", np.full(N, -1), "has the label -1"),
        ("train_images.npy", b"", "not a plain .npy array, or truncated"),
        ("train_images.npy", b"PK\x03\x04 something else", "not a plain .npy array, or truncated"),
    ],
)
def test_foreign_arrays(tmp_path: Path, name: str, content: np.ndarray | bytes, message: str) -> None:
    write_arrays(tmp_path)
    if isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    else:
        np.save(tmp_path / name, content)
    with pytest.raises(InputError, match=message) as caught:
        cifar10(tmp_path)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_truncated_files(tmp_path: Path, small: None) -> None:
    write_arrays(tmp_path / "arrays")
    path = tmp_path / "arrays" / "train_images.npy"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"train_images.npy: not a plain .npy array, or truncated"):
        cifar10(tmp_path / "arrays")
    write_binaries(tmp_path / "bin")
    path = tmp_path / "bin" / "data_batch_3.bin"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"data_batch_3.bin: has 18,437 bytes, not 18,438"):
        cifar10(tmp_path / "bin")


def test_labels_out_of_range_in_a_binary(tmp_path: Path, small: None) -> None:
    write_binaries(tmp_path)
    path = tmp_path / "test_batch.bin"
    content = bytearray(path.read_bytes())
    content[2 * 3073] = 200
    path.write_bytes(bytes(content))
    with pytest.raises(InputError, match="image 2 has the label 200"):
        cifar10(tmp_path)


def test_an_oversized_file_is_not_read_whole(tmp_path: Path, small: None) -> None:
    write_binaries(tmp_path)
    os.truncate(tmp_path / "data_batch_1.bin", 2**40)  # sparse: a tebibyte that takes no room
    with pytest.raises(InputError, match=r"data_batch_1\.bin: has more than 33,554,432 bytes"):
        cifar10(tmp_path)


def test_missing_files_are_named(tmp_path: Path, small: None) -> None:
    with pytest.raises(InputError, match=r"needs --data-dir.*https://www\.cs\.toronto\.edu/~kriz/cifar\.html"):
        cifar10(None)
    with pytest.raises(InputError, match=r"no CIFAR-10 in .*data_batch_1, data_batch_1.bin, train_images.npy.*kriz/cifar\.html"):
        cifar10(tmp_path)
    write_binaries(tmp_path)
    (tmp_path / "data_batch_4.bin").unlink()
    with pytest.raises(InputError, match=r"data_batch_4.bin: missing.*kriz/cifar\.html"):
        cifar10(tmp_path)


def test_digits_are_all_there_once() -> None:
    splits = digits()
    images = torch.cat([splits["train"][0], splits["test"][0]])
    labels = torch.cat([splits["train"][1], splits["test"][1]])
    assert [len(splits[split][1]) for split in ("train", "test")] == [1397, 400]
    assert images.dtype == torch.float32
    assert labels.dtype == torch.int64
    bunch = load_digits()
    original = sorted((int(label), *map(int, image.ravel())) for image, label in zip(bunch.images, bunch.target, strict=True))
    assert sorted((int(label), *map(int, image)) for image, label in zip((images * 16).flatten(1), labels, strict=True)) == original
    assert float(images.max()) == 1


def test_the_split_of_the_digits_never_changes() -> None:
    # golden: whoever compares test accuracies between versions compares the same 400 images
    order = np.random.RandomState(0).permutation(1797)
    assert digits()["test"][1][:12].tolist() == load_digits().target[order[1397:1409]].tolist()
    assert order[:5].tolist() == GOLDEN_ORDER


GOLDEN_ORDER = [1081, 1707, 927, 713, 262]


class Constant(nn.Module):
    """Logits that are the normalized means of the channels."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean(dim=(2, 3)) * self.scale


def test_normalized_cross_entropy_in_closed_form() -> None:
    loss = NormalizedCrossEntropy((10.0, 20.0), (2.0, 4.0))
    images = torch.zeros(2, 2, 3, 3, dtype=torch.uint8)
    images[0, 0], images[0, 1] = 12, 20  # logits 1, 0
    images[1, 0], images[1, 1] = 10, 28  # logits 0, 2
    result = loss(Constant(), (images, torch.tensor([0, 0])))
    expected = [math.log(1 + math.exp(-1)), math.log(1 + math.exp(2))]
    torch.testing.assert_close(result["loss"], torch.tensor(expected))
    assert result["accuracy"].tolist() == [1, 0]


def test_it_computes_in_the_models_type() -> None:
    loss = NormalizedCrossEntropy((0.3,), (0.7,))
    images, labels = torch.full((1, 1, 2, 2), 3, dtype=torch.uint8), torch.tensor([0])
    seen = []
    model = Constant().double()
    model.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].clone()))
    assert loss(model, (images, labels))["loss"].dtype == torch.float64
    assert float(seen[0][0, 0, 0, 0]) == pytest.approx((3 - 0.3) / 0.7, rel=1e-15)  # no detour over float32
    assert loss(Constant().bfloat16(), (images, labels))["loss"].dtype == torch.float32


def test_it_can_be_copied_and_pickled() -> None:
    loss = NormalizedCrossEntropy((10.0,), (2.0,))
    batch = torch.randint(0, 256, (3, 1, 4, 4), dtype=torch.uint8), torch.tensor([0, 0, 0])
    expected = loss(Constant(), batch)["loss"]
    buffer = io.BytesIO(pickle.dumps(loss))
    for twin in (copy.deepcopy(loss), pickle.load(buffer)):
        assert torch.equal(twin(Constant(), batch)["loss"], expected)


def test_shifted_and_mirrored_images_are_windows_of_the_padded_ones() -> None:
    torch.manual_seed(0)
    images = torch.randint(1, 256, (200, 3, 12, 10), dtype=torch.uint8)
    results = shift_and_mirror(images, torch.Generator().manual_seed(3))
    assert results.shape == images.shape
    assert results.dtype == torch.uint8
    offsets, n_mirrored = set(), 0
    for image, result in zip(images, results, strict=True):
        padded = nn.functional.pad(image, (4, 4, 4, 4))
        matches = [
            (top, left, mirrored)
            for top in range(9)
            for left in range(9)
            for mirrored in (False, True)
            if torch.equal(result.flip(2) if mirrored else result, padded[:, top : top + 12, left : left + 10])
        ]
        assert len(matches) == 1
        offsets.add(matches[0][:2])
        n_mirrored += matches[0][2]
    assert {top for top, _ in offsets} == set(range(9)) == {left for _, left in offsets}
    assert 70 <= n_mirrored <= 130  # 100 expected, standard deviation 7
