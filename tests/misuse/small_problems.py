"""Small problems, most of them wrong in one way: the command line names them small_problems:NAME."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import time

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset, TensorDataset

from landscape import Problem

N_EXAMPLES, N_FEATURES, N_CLASSES = 96, 4, 3
seen: list[int] = []  # the size of every batch that a Net was applied to

not_callable = 7


class Net(nn.Module):
    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.first = nn.Linear(N_FEATURES, width)
        self.norm = nn.BatchNorm1d(width)
        self.last = nn.Linear(width, N_CLASSES)

    def forward(self, inputs: Tensor) -> Tensor:
        seen.append(len(inputs))
        return self.last(torch.relu(self.norm(self.first(inputs))))


def make_net(seed: int = 0, width: int = 8) -> Net:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Net(width)


def make_data(seed: int = 0, n: int = N_EXAMPLES, largest_label: int = N_CLASSES - 1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(n, N_FEATURES, generator=generator)
    labels = torch.randint(0, N_CLASSES, (n,), generator=generator)
    if n:
        labels[n // 2] = largest_label
    return inputs, labels


def net() -> Problem:
    return Problem(make_net(), nn.CrossEntropyLoss(), {"train": make_data(), "test": make_data(1, 50)})


def other_data() -> Problem:
    return Problem(make_net(), nn.CrossEntropyLoss(), {"train": make_data(2), "test": make_data(1, 50)})


def wider() -> Problem:
    return Problem(make_net(width=9), nn.CrossEntropyLoss(), {"train": make_data()})


def deeper() -> Problem:
    return Problem(nn.Sequential(make_net(), nn.Linear(N_CLASSES, N_CLASSES)), nn.CrossEntropyLoss(), {"train": make_data()})


def all_zero() -> Problem:
    model = make_net()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    return Problem(model, nn.CrossEntropyLoss(), {"train": make_data()})


def few() -> Problem:
    return Problem(make_net(), nn.CrossEntropyLoss(), {"train": make_data(n=63)})


def empty() -> Problem:
    return Problem(make_net(), nn.CrossEntropyLoss(), {"train": TensorDataset(*make_data(n=0))})


def no_splits() -> Problem:
    return Problem(make_net(), nn.CrossEntropyLoss(), {})


def labels_too_large() -> Problem:
    return Problem(make_net(), nn.CrossEntropyLoss(), {"train": make_data(largest_label=N_CLASSES)})


def labels_negative() -> Problem:
    return Problem(make_net(), nn.CrossEntropyLoss(), {"train": make_data(largest_label=-1)})


def ragged() -> Problem:
    return Problem(make_net(), nn.CrossEntropyLoss(), {"train": (make_data()[0], make_data(n=5)[1])})


def wrong_inputs() -> Problem:
    return Problem(make_net(), nn.CrossEntropyLoss(), {"train": (torch.zeros(9, 7), torch.zeros(9, dtype=torch.int64))})


class Unreadable(Dataset):
    def __len__(self) -> int:
        return 5

    def __getitem__(self, index: int) -> Tensor:
        raise OSError("the archive is gone\nand more")


def unreadable_data() -> Problem:
    return Problem(make_net(), nn.CrossEntropyLoss(), {"train": Unreadable()})


def _with_loss(loss: object) -> Problem:
    return Problem(make_net(), loss, {"train": make_data()})


def scalar_loss() -> Problem:
    return _with_loss(lambda model, batch: nn.functional.cross_entropy(model(batch[0]), batch[1]))


def wrong_shape_loss() -> Problem:
    return _with_loss(lambda model, batch: model(batch[0]))


def nameless_loss() -> Problem:
    return _with_loss(lambda model, batch: {"los": model(batch[0])[:, 0]})


def number_loss() -> Problem:
    return _with_loss(lambda model, batch: 0.5)


def chatty() -> Problem:
    def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        print("a batch")
        return nn.functional.cross_entropy(model(batch[0]), batch[1], reduction="none")

    print("files already downloaded and verified")
    return _with_loss(loss)


def no_loss() -> Problem:
    return _with_loss(lambda model, batch: None)


def no_metric() -> Problem:
    return _with_loss(lambda model, batch: {"loss": model(batch[0])[:, 0], "top5": None})


def no_sums() -> Problem:
    return _with_loss(lambda model, batch: (None, model(batch[0])[:, 0]))


def raising_loss() -> Problem:
    def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        raise ZeroDivisionError("in the loss\nand more")

    return _with_loss(loss)


def random_loss() -> Problem:
    return _with_loss(lambda model, batch: model(batch[0])[:, 0] + torch.rand(len(batch[0])))


def fails_away_from_origin() -> Problem:
    origin = make_net().first.weight.detach().clone()

    def loss(model: Net, batch: tuple[Tensor, Tensor]) -> Tensor:
        if not torch.equal(model.first.weight, origin):
            raise ArithmeticError("too far out\nand more")
        return model(batch[0])[:, 0]

    return _with_loss(loss)


def slow() -> Problem:
    """As quick as the others unless SECONDS_A_BATCH says how long a batch takes."""
    pause = float(os.environ.get("SECONDS_A_BATCH", "0"))

    def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        time.sleep(pause)
        return nn.functional.cross_entropy(model(batch[0]), batch[1], reduction="none")

    return _with_loss(loss)


def raises() -> Problem:
    raise LookupError("no such experiment\nand a second line")


def returns_model() -> Net:
    return make_net()


def returns_nothing() -> None:
    return None


def wants_argument(width: int) -> Problem:
    return wider()


def leaves() -> Problem:
    raise SystemExit("good bye")


def stubborn() -> Problem:
    """A loss that from its twentieth batch on swallows whatever ends a process, for ever, or once for each batch, as STUBBORN says."""
    how, calls = os.environ.get("STUBBORN", ""), []

    def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        calls.append(1)
        while len(calls) >= 20:
            open("stubborn", "w").close()
            with contextlib.suppress(BaseException):
                time.sleep(0.05)
            if how == "again":
                break
        return nn.functional.cross_entropy(model(batch[0]), batch[1], reduction="none")

    return _with_loss(loss)


def stubborn_factory() -> Problem:
    open("stubborn", "w").close()
    while True:
        try:
            time.sleep(0.05)
        except BaseException:
            continue


def helped() -> Problem:
    """Made with the help of a process that was forked off, as a data set's workers are, and is ended by SIGTERM."""
    context = multiprocessing.get_context("fork")
    ready, told = context.Pipe(duplex=False)
    worker = context.Process(target=lambda: (told.send(1), time.sleep(60)))
    worker.start()
    ready.recv()
    worker.terminate()
    worker.join()
    assert worker.exitcode == -signal.SIGTERM, worker.exitcode  # and not by an exception of ours
    return net()
