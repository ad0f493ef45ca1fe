"""Placement: which device and how many threads each rank computes with."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from landscape.errors import InputError, did_you_mean
from landscape.parallel import Executor, usable_cores

__all__ = ["Placement", "choose_device", "choose_threads", "describe_places", "n_sharing"]

_MOST_HOSTS = 8  # hosts named one by one


@dataclass(frozen=True)
class Placement:
    """Where a rank computes.

    `device` is its name in that process, `hardware` what is the same for processes that share it, `model` a name for people.
    """

    host: str
    device: str
    hardware: str
    model: str
    threads: int

    @classmethod
    def of(cls, device: torch.device) -> Placement:
        """The place of this process."""
        host, threads = socket.gethostname(), torch.get_num_threads()
        if device.type != "cuda":
            return cls(host, str(device), str(device), "", threads)
        properties = torch.cuda.get_device_properties(device)
        # Launchers that show each rank one GPU alone call them all cuda:0.
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
        hardware = str(getattr(properties, "uuid", f"{visible}/{device}"))
        return cls(host, str(device), hardware, properties.name, threads)


def n_sharing(mine: Placement, places: Sequence[Placement]) -> int:
    """How many ranks compute on the very device of one of them."""
    return sum((place.host, place.hardware) == (mine.host, mine.hardware) for place in places)


def describe_places(places: Sequence[Placement]) -> str:
    """Where the ranks of a job compute, as one line: hosts, ranks, devices, threads.

    >>> place = Placement("node1", "cpu", "cpu", "", 2)
    >>> describe_places([place, place])
    '2 ranks on node1: cpu, 2 threads each'
    """
    hosts: dict[str, list[Placement]] = {}
    for place in places:
        hosts.setdefault(place.host, []).append(place)
    texts: dict[tuple[int, str], list[str]] = {}
    for host, there in hosts.items():
        texts.setdefault((len(there), _devices(there)), []).append(host)
    threads = sorted({place.threads for place in places})
    each = f"{threads[0]} thread{'s' * (threads[0] > 1)}" if len(threads) == 1 else f"{threads[0]} to {threads[-1]} threads"
    if len({devices for _, devices in texts}) == 1:
        devices, names = next(iter(texts))[1], list(hosts)
        where = names[0] if len(names) == 1 else f"{len(names)} hosts ({_named(names)})"
        return f"{len(places)} ranks on {where}: {devices}, {each} each"
    parts = [f"{_named(names)}: {n} rank{'s' * (n > 1)}, {devices}" for (n, devices), names in texts.items()]
    return f"{len(places)} ranks on {len(hosts)} hosts, {each} each; " + "; ".join(parts)


def _named(hosts: Sequence[str]) -> str:
    return ", ".join(hosts[:_MOST_HOSTS]) + (", …" if len(hosts) > _MOST_HOSTS else "")


def _devices(places: Sequence[Placement]) -> str:
    """The devices of a host's ranks."""
    if all(place.device == "cpu" for place in places):
        return "cpu"
    hardware = {place.hardware for place in places}
    models = ", ".join(sorted({place.model for place in places}))
    shared = f", {len(places) / len(hardware):g} ranks on each" if len(places) > len(hardware) else ""
    return f"{len(hardware)} GPU{'s' * (len(hardware) > 1)} ({models}){shared}"


def choose_device(wanted: str, executor: Executor | None = None) -> torch.device:
    """The device of this process: "auto" takes a GPU where there is one, and ranks of one host spread over its GPUs.

    Raises:
        InputError: for an unknown device, or CUDA where there is none.
    """
    kind, _, number = wanted.partition(":")
    if kind not in ("auto", "cpu", "cuda") or (number and not (kind == "cuda" and re.fullmatch("[0-9]{1,4}", number))):
        raise InputError(f'unknown device "{wanted}": {did_you_mean(kind.lower(), ["auto", "cpu", "cuda", "cuda:0"])}')
    if kind == "cpu" or (kind == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise InputError(
            f'device "{wanted}" was asked for, but torch {torch.__version__} sees no CUDA device here; use --device cpu'
        )
    n_devices = torch.cuda.device_count()
    if number and int(number) >= n_devices:
        raise InputError(f'device "{wanted}" was asked for, but there are {n_devices} CUDA devices, cuda:0 to cuda:{n_devices - 1}')
    return torch.device("cuda", int(number) if number else executor.local_rank % n_devices if executor else 0)


def choose_threads(wanted: int | None, executor: Executor) -> int:
    """The threads of every rank: those asked for, else the cores of a host shared out among its ranks.

    All ranks get the same number, the smallest that one of them has cores for: values may depend on it in their last digits.
    OMP_NUM_THREADS is the most that is taken.
    """
    if wanted is not None:
        return wanted
    cores, most = executor.cores(), float(torch.get_num_threads())
    if "OMP_NUM_THREADS" not in os.environ:  # then it is all of the process's cores, perhaps one for two hardware threads
        most *= cores / len(usable_cores())
    return min(executor.gather(max(1, int(min(most, cores) + 1e-9))))
