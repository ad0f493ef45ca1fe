"""Files of data sets: read as they are meant, and refused in one line where they are truncated, swapped, foreign or changed."""

from __future__ import annotations

import gzip
import hashlib
import io
import lzma
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from landscape.errors import InputError
from landscape.zoo.data import cifar10, idx_images, membranes, moons, penn_treebank, python_topics, turn_and_mirror
from landscape.zoo.data.files import Published, fetch, read_content
from landscape.zoo.data.text import Corpus, words_of
from landscape.zoo.problems import problem

N_TRAIN, N_TEST = 7, 4
TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"


def one_line(read: Callable[[], object], *says: str) -> None:
    with pytest.raises(InputError) as caught:
        read()
    for text in says:
        assert text in str(caught.value), str(caught.value)
    assert "\n" not in str(caught.value)


# idx


def pack(values: np.ndarray) -> bytes:
    header = bytes([0, 0, 8, values.ndim]) + b"".join(size.to_bytes(4, "big") for size in values.shape)
    return header + values.astype(np.uint8).tobytes()


@pytest.fixture
def idx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """A tiny MNIST: the content of its four files, unpacked, which lie packed in `tmp_path`, their digests being known."""
    generator, contents = np.random.default_rng(0), {}
    for part, n in (("train", N_TRAIN), ("t10k", N_TEST)):
        contents[f"{part}-images-idx3-ubyte.gz"] = pack(generator.integers(0, 256, (n, 28, 28)))
        contents[f"{part}-labels-idx1-ubyte.gz"] = pack(generator.integers(0, 10, n))
    packed = {name: gzip.compress(content, mtime=0) for name, content in contents.items()}
    for name, content in packed.items():
        (tmp_path / name).write_bytes(content)
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in packed.items()}
    unpacked = {name[:-3]: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    monkeypatch.setattr("landscape.zoo.data.idx._DIGESTS", {"mnist": digests, "fashion": digests})
    monkeypatch.setattr("landscape.zoo.data.idx._UNPACKED", unpacked)
    monkeypatch.setattr("landscape.zoo.data.idx._SIZES", {"train": N_TRAIN, "t10k": N_TEST})
    return contents


def test_idx_files_packed_and_unpacked(tmp_path: Path, idx: dict[str, bytes]) -> None:
    packed = idx_images("mnist", tmp_path)
    inner = tmp_path / "other" / "mnist"
    inner.mkdir(parents=True)
    for name, content in idx.items():
        (inner / name[:-3]).write_bytes(content)
    for splits in (packed, idx_images("mnist", tmp_path / "other")):
        images, labels = splits["train"]
        assert (images.shape, images.dtype, labels.dtype) == ((N_TRAIN, 1, 28, 28), torch.uint8, torch.int64)
        assert bytes(images.flatten().tolist()) == idx[TRAIN_IMAGES][16:]
        assert bytes(labels.tolist()) == idx[TRAIN_LABELS][8:]
        assert len(splits["test"][0]) == N_TEST


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda c: c[:-1], "truncated"),
        (lambda c: c[:3], "no idx file of images"),
        (lambda c: b"", "no idx file of images"),
        (lambda c: c[:7] + b"\x09" + c[8:], "says it holds (9, 28, 28)"),
        (lambda c: c[:-1] + bytes([c[-1] ^ 1]), "SHA-256 differs"),
        (lambda c: c + b"more", "truncated or changed"),
        (lambda c: bytes(10**8), "unpacks to more than"),
    ],
)
def test_damaged_idx_files(tmp_path: Path, idx: dict[str, bytes], change: Callable[[bytes], bytes], says: str) -> None:
    (tmp_path / TRAIN_IMAGES).write_bytes(gzip.compress(change(idx[TRAIN_IMAGES])))
    one_line(lambda: idx_images("mnist", tmp_path), TRAIN_IMAGES, says)


def test_idx_files_of_another_kind(tmp_path: Path, idx: dict[str, bytes]) -> None:
    path = tmp_path / TRAIN_IMAGES
    content = path.read_bytes()
    path.write_bytes(content[:-9])
    one_line(lambda: idx_images("mnist", tmp_path), TRAIN_IMAGES, "truncated")
    path.write_bytes(b"<html>404</html>")
    one_line(lambda: idx_images("mnist", tmp_path), TRAIN_IMAGES, "no .gz file")
    path.write_bytes((tmp_path / TRAIN_LABELS).read_bytes())
    one_line(lambda: idx_images("mnist", tmp_path), TRAIN_IMAGES, "holds labels", "swapped")
    (tmp_path / TRAIN_LABELS).write_bytes(content)
    path.write_bytes(content)
    one_line(lambda: idx_images("mnist", tmp_path), TRAIN_LABELS, "holds images", "swapped")
    (tmp_path / TRAIN_LABELS).unlink()
    one_line(lambda: idx_images("mnist", tmp_path), TRAIN_LABELS, "missing")
    one_line(lambda: idx_images("fashion", None), "Fashion-MNIST needs --data-dir", "https://")


def test_swapped_halves_are_named(tmp_path: Path, idx: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of equal shape, as those of MNIST and its imitations: only their digests tell them apart."""
    monkeypatch.setattr("landscape.zoo.data.idx._SIZES", {"train": N_TRAIN, "t10k": N_TRAIN})
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes((tmp_path / TRAIN_IMAGES).read_bytes())
    one_line(lambda: idx_images("mnist", tmp_path), "t10k-images-idx3-ubyte.gz", f"content of {TRAIN_IMAGES}", "swapped")


def test_mnist_is_not_taken_for_its_imitation(tmp_path: Path, idx: dict[str, bytes]) -> None:
    folder = tmp_path / "fashion"
    folder.mkdir()
    for name, content in idx.items():
        (folder / name[:-3]).write_bytes(content)
    one_line(lambda: idx_images("fashion", folder), "train-images-idx3-ubyte: is MNIST's file")
    for name, content in idx.items():
        (folder / name[:-3]).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))  # another clothing, another digit
    assert len(idx_images("fashion", tmp_path)["train"][1]) == N_TRAIN


def test_the_real_mnist(shared: Path) -> None:
    splits = idx_images("mnist", shared / "data" / "mnist")
    assert [len(splits[split][1]) for split in ("train", "test")] == [60_000, 10_000]
    assert splits["train"][1][:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]  # as every tutorial shows them
    assert float(splits["train"][0].double().mean() / 255) == pytest.approx(0.1307, abs=5e-5)  # the constant everybody uses


# Packed files


def test_a_bomb_is_not_unpacked_whole(tmp_path: Path) -> None:
    for name, pack_up in (("a.gz", gzip.compress), ("a.xz", lzma.compress)):
        (tmp_path / name).write_bytes(pack_up(bytes(10**7)))
        one_line(lambda name=name: read_content(tmp_path / name, 10**6), "unpacks to more than 1,000,000 bytes")
        (tmp_path / name).write_bytes(pack_up(b"text")[:-3])
        one_line(lambda name=name: read_content(tmp_path / name, 10**6), "truncated")


# Text

WORDS = {"train": "a b a c\nb a a\n", "valid": "c a d\n", "test": "a\nb\n"}


@pytest.fixture
def treebank(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    digests = {}
    for split, text in WORDS.items():
        (tmp_path / f"ptb.{split}.txt").write_text(text)
        digests[f"ptb.{split}.txt"] = hashlib.sha256(text.encode()).hexdigest()
    monkeypatch.setattr("landscape.zoo.data.text._DIGESTS", digests)
    return tmp_path


def test_the_treebank_as_numbers(treebank: Path) -> None:
    corpus = penn_treebank(treebank)
    assert corpus.vocabulary == ["a", "<eos>", "b", "c", "<unk>"]  # by frequency, then by the alphabet; d occurs in valid alone
    assert corpus.tokens("train").tolist() == [0, 2, 0, 3, 1, 2, 0, 0, 1]
    assert corpus.tokens("valid").tolist() == [3, 0, 4, 1]
    packed = treebank / "packed" / "ptb"
    packed.mkdir(parents=True)
    for split, text in WORDS.items():
        (packed / f"ptb.{split}.txt.xz").write_bytes(lzma.compress(text.encode()))
    assert penn_treebank(treebank / "packed").tokens("train").tolist() == corpus.tokens("train").tolist()


def test_streams_are_the_text_in_parts() -> None:
    corpus = Corpus({"train": words_of(["a b c d e f g"])})
    assert corpus.vocabulary[0] == "<eos>"
    inputs, targets = corpus.streams(2)["train"]  # 8 tokens, 7 of them are followed by one: two streams of 3
    tokens = corpus.tokens("train").tolist()
    assert inputs.tolist() == [tokens[0:3], tokens[3:6]]
    assert targets.tolist() == [tokens[1:4], tokens[4:7]]
    assert corpus.blocks(2)["train"][0].tolist() == [tokens[0:2], tokens[2:4], tokens[4:6]]
    one_line(lambda: corpus.streams(8), "8 tokens", "fewer")
    inputs, targets = corpus.streams(2, longest=2)["train"]  # the beginnings of those two streams
    assert inputs.tolist() == [row[:2] for row in corpus.streams(2)["train"][0].tolist()]
    assert targets.tolist() == [row[:2] for row in corpus.streams(2)["train"][1].tolist()]
    one_line(lambda: corpus.blocks(8), "8 tokens", "less")


def test_a_shorter_training_text_leaves_the_others_whole() -> None:
    whole, part = problem("text-lstm-1x4", vocabulary=20), problem("text-lstm-1x4", vocabulary=20, length=7)
    assert part.name == "text-lstm-1x4 length=7 vocabulary=20"
    for held, first in zip(whole.examples("train").tensors, part.examples("train").tensors, strict=True):
        assert held.shape[1] > 7
        assert torch.equal(held[:, :7], first)
    assert whole.examples("valid").sha256 == part.examples("valid").sha256


def test_treebank_files_swapped_truncated_or_foreign(treebank: Path) -> None:
    path, text = treebank / "ptb.valid.txt", (treebank / "ptb.train.txt").read_text()
    path.write_text(text)
    one_line(lambda: penn_treebank(treebank), "ptb.valid.txt", "content of ptb.train.txt", "swapped")
    path.write_text("c a")
    one_line(lambda: penn_treebank(treebank), "ptb.valid.txt", "SHA-256 differs")
    path.write_bytes(b"\xff\xfe")
    one_line(lambda: penn_treebank(treebank), "ptb.valid.txt", "SHA-256 differs")
    path.unlink()
    one_line(lambda: penn_treebank(treebank), "ptb.valid.txt is missing")
    one_line(lambda: penn_treebank(None), "--data-dir")


def test_the_real_treebank(shared: Path) -> None:
    corpus = penn_treebank(shared / "data")
    assert len(corpus.vocabulary) == 10_000
    assert [len(corpus.tokens(split)) for split in ("train", "valid", "test")] == [929_589, 73_760, 82_430]
    assert {split: tuple(part[0].shape) for split, part in corpus.streams(20).items()} == {
        "train": (20, 46_479), "valid": (20, 3_687), "test": (20, 4_121)
    }  # fmt: skip


def test_pythons_own_text() -> None:
    corpus = python_topics(500)
    assert len(corpus.vocabulary) == 500
    assert {"<eos>", "<unk>", "the", "N"} <= set(corpus.vocabulary)
    sizes = {split: len(corpus.tokens(split)) for split in ("train", "valid", "test")}
    assert sizes["train"] > 50_000
    assert min(sizes.values()) > 2_000
    assert corpus.tokens("test").max() < 500


# Membranes


def write_membranes(folder: Path, side: int = 8) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (30, side, side), dtype=np.uint8)
    masks = (generator.integers(0, 2, (30, side, side)) * 255).astype(np.uint8)
    for part, arrays in (("image", images), ("label", masks)):
        (folder / part).mkdir(parents=True)
        for i, array in enumerate(arrays):
            Image.fromarray(array).save(folder / part / f"{i}.png")
    return images, masks


def write_stacks(folder: Path, images: np.ndarray, masks: np.ndarray) -> None:
    for name, arrays in (("train-volume.tif", images), ("train-labels.tif", masks)):
        first, *rest = (Image.fromarray(array) for array in arrays)
        first.save(folder / name, save_all=True, append_images=rest)


def test_membranes_from_images_and_from_stacks(tmp_path: Path) -> None:
    images, masks = write_membranes(tmp_path / "membrane" / "train")
    (tmp_path / "stacks").mkdir()
    write_stacks(tmp_path / "stacks", images, masks)
    for folder in (tmp_path, tmp_path / "membrane", tmp_path / "stacks"):
        splits = membranes(folder)
        assert [len(splits[split][0]) for split in ("train", "test")] == [24, 6]
        assert np.array_equal(splits["test"][0][:, 0].numpy(), images[24:])
        assert np.array_equal(splits["train"][1].numpy(), masks[:24] == 0)


def test_damaged_membranes(tmp_path: Path) -> None:
    images, masks = write_membranes(tmp_path)
    path = tmp_path / "image" / "3.png"
    content = path.read_bytes()
    for damaged in (content[:40], b"", b"GIF89a"):
        path.write_bytes(damaged)
        one_line(lambda: membranes(tmp_path), "3.png", "damaged, or no TIFF or PNG image")
    Image.fromarray(images[0][:4]).save(path)
    one_line(lambda: membranes(tmp_path), "differ in size")
    Image.new("RGB", (8, 8)).save(path)
    one_line(lambda: membranes(tmp_path), "3.png", "mode RGB")
    Image.new("L", (4096, 2)).save(path)
    one_line(lambda: membranes(tmp_path), "3.png", "4096 x 2")
    path.unlink()
    one_line(lambda: membranes(tmp_path), "3.png", "missing")
    one_line(lambda: membranes(tmp_path / "nowhere"), "no membranes", "https://")
    write_stacks(tmp_path, masks, images)
    one_line(lambda: membranes(tmp_path), "mask 0 has other values", "swapped")
    write_stacks(tmp_path, images[:29], masks)
    one_line(lambda: membranes(tmp_path), "train-volume.tif", "29 images")


def test_the_real_membranes(shared: Path) -> None:
    splits = membranes(shared / "data")
    assert splits["train"][0].shape == (24, 1, 512, 512)
    assert 0.1 < float(splits["train"][1].float().mean()) < 0.4  # a fifth of the pixels are membrane


def test_images_and_masks_turn_together() -> None:
    images = torch.arange(40 * 16).reshape(40, 1, 4, 4)
    turned, masks = turn_and_mirror(images, images[:, 0].clone(), torch.Generator().manual_seed(0))
    assert torch.equal(turned[:, 0], masks)
    kinds = set()
    for image, result in zip(images[:, 0], masks, strict=True):
        ways = [(k, m) for k in range(4) for m in (0, 1) if torch.equal(result, image.rot90(k).flip(-1) if m else image.rot90(k))]
        assert len(ways) == 1
        kinds.add(ways[0])
    assert len(kinds) == 8  # of 40 draws each way is missed with probability 0.005


def test_moons_lie_where_they_should() -> None:
    points, labels = moons(noise=0.0)["train"]
    assert points.dtype == torch.float32
    centre = torch.tensor([[0.0, 0.0], [1.0, 0.5]])[labels]
    torch.testing.assert_close((points - centre).norm(dim=1), torch.ones(400), rtol=0, atol=1e-6)  # float32
    assert bool(((points[:, 1] >= 0) == (labels == 0))[points[:, 1].abs() > 0.5].all())
    assert labels.bincount().tolist() == [200, 200]
    assert torch.equal(moons()["test"][0], moons()["test"][0])
    assert not torch.equal(moons()["test"][0], moons()["train"][0])


# Downloads, from a server of our own


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    pytest.importorskip("pooch", reason="needs the extra [data]")
    folder = tmp_path / "server"
    folder.mkdir()
    quiet = type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(quiet, directory=str(folder))) as serving:
        thread = threading.Thread(target=serving.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{serving.server_address[1]}", folder
        serving.shutdown()
        thread.join()


def test_what_is_fetched_has_its_checksum(server: tuple[str, Path], tmp_path: Path) -> None:
    address, folder = server
    (folder / "a.txt").write_bytes(b"published")
    right = Published("a.txt", hashlib.sha256(b"published").hexdigest(), f"{address}/a.txt")
    fetch([right], tmp_path / "data")
    assert (tmp_path / "data" / "a.txt").read_bytes() == b"published"
    (folder / "a.txt").unlink()
    fetch([right], tmp_path / "data")  # what is there is not asked for
    wrong = Published("b.txt", right.sha256, f"{address}/b.txt")
    (folder / "b.txt").write_bytes(b"published?")
    one_line(lambda: fetch([wrong], tmp_path / "data"), "b.txt", "SHA-256 differs", "not kept")
    gone = Published("c.txt", right.sha256, f"{address}/c.txt")
    one_line(lambda: fetch([gone], tmp_path / "data"), "c.txt", "could not be downloaded")
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["a.txt"]


def test_the_treebank_is_fetched(server: tuple[str, Path], treebank: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    address, folder = server
    for split in WORDS:
        (treebank / f"ptb.{split}.txt").rename(folder / f"ptb.{split}.txt")
    monkeypatch.setattr("landscape.zoo.data.text._ADDRESS", f"{address}/")
    assert len(penn_treebank(treebank / "new", download=True).tokens("train")) == 9
    assert len(penn_treebank(treebank / "new").tokens("train")) == 9


def test_cifar10_is_fetched_as_an_archive(server: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    address, folder = server
    names = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]
    with tarfile.open(folder / "cifar-10-binary.tar.gz", "w:gz") as archive:
        for name in [*(f"cifar-10-batches-bin/{name}" for name in names), "../outside"]:
            info = tarfile.TarInfo(name)
            info.size = 2 * 3073
            archive.addfile(info, io.BytesIO(bytes(2 * 3073)))
    digest = hashlib.sha256((folder / "cifar-10-binary.tar.gz").read_bytes()).hexdigest()
    published = Published("cifar-10-binary.tar.gz", digest, f"{address}/cifar-10-binary.tar.gz")
    monkeypatch.setattr("landscape.zoo.data.cifar._ARCHIVE", published)
    monkeypatch.setattr("landscape.zoo.data.cifar._N_BATCH", 2)
    assert len(cifar10(tmp_path / "data", download=True)["train"][1]) == 10
    assert sorted(path.name for path in (tmp_path / "data" / "cifar-10-batches-bin").iterdir()) == names
    assert not (tmp_path / "outside").exists()


def test_without_pooch_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pooch", None)
    one_line(lambda: fetch([Published("a", "0", "http://127.0.0.1/a")], tmp_path), "torch-landscape[data]")
