"""Two hosts on one machine: namespaces with a host name, a network and shared memory of their own, a cable between them, an sshd in each."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from cluster import PATIENCE, search_path, until

PROGRAMS = ("ip", "sshd", "ssh", "ssh-keygen", "unshare", "nsenter")
PACKAGES = "openssh-server openssh-client iproute2 util-linux"
NAMES = ("host-a", "host-b")
ADDRESSES = ("192.0.2.1", "192.0.2.2")  # of the block that is kept for examples, so nobody's

SPACES = ("--net", "--uts", "--ipc", "--mount")
KEEPER = "mount -t sysfs sysfs /sys && exec sleep infinity"  # /sys lists the network's devices, of the network it was mounted in

# The environment of a session holds nothing of ours; mpiexec hands on what the ranks need.
SSHD = """
ListenAddress {address}:22
HostKey {folder}/host_key
PidFile {folder}/sshd-{name}.pid
AuthorizedKeysFile {folder}/key.pub
PermitRootLogin yes
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
UseDNS no
PrintMotd no
"""


def lacking() -> str:
    """Why no namespaces can be made here; empty where they can."""
    if not sys.platform.startswith("linux"):
        return "namespaces want Linux"
    if os.geteuid() != 0:
        return "namespaces and an sshd want root, and this is another user"
    missing = [name for name in PROGRAMS if shutil.which(name, path=search_path()) is None]
    if missing:
        return f"{', '.join(missing)} not found; on Debian or Ubuntu: apt-get install {PACKAGES}"
    tried = subprocess.run(
        ["unshare", *SPACES, "ip", "link", "add", "landscape-a", "type", "veth", "peer", "name", "landscape-b"],
        capture_output=True, text=True, env={**os.environ, "PATH": search_path()}, check=False,
    )  # fmt: skip
    return f"no network namespace with a veth pair can be made: {tried.stderr.strip()}" if tried.returncode else ""


@dataclass(frozen=True)
class Hosts:
    """Two running hosts: `keepers` are the processes that their namespaces hang on."""

    folder: Path
    keepers: tuple[int, int]

    def inside(self, host: int, *words: str) -> list[str]:
        """A command as one of the hosts runs it."""
        return ["nsenter", "--target", str(self.keepers[host]), *SPACES, *words]

    def call(self, host: int, *words: str) -> str:
        """What a command prints on one of the hosts."""
        return _call(*self.inside(host, *words))

    def received(self, host: int) -> int:
        """Bytes that came to a host over the cable."""
        return int(self.call(host, "cat", "/proc/net/dev").partition("cable:")[2].split()[0])


@contextmanager
def running(folder: Path) -> Iterator[Hosts]:
    """Two hosts that reach each other by `folder/ssh`; at the end they are gone, whatever happened.

    The namespaces have no names in the file system: they go with the last process in them.
    """
    started: list[subprocess.Popen[bytes]] = []
    made = _folder_for_sshd()
    for name in ("host_key", "key"):
        _call("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name))
    wrapper = folder / "ssh"
    wrapper.write_text(
        f'#!/bin/sh\nexec ssh -F none -i "{folder}/key" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR "$@"\n'
    )
    wrapper.chmod(0o755)
    try:
        keepers = [_start(started, ["unshare", *SPACES, "sh", "-c", KEEPER], folder / f"{name}.log") for name in NAMES]
        hosts = Hosts(folder, (keepers[0], keepers[1]))
        _lay_cable(hosts)
        for host, (name, address) in enumerate(zip(NAMES, ADDRESSES, strict=True)):
            configuration = folder / f"sshd-{name}.conf"
            configuration.write_text(SSHD.format(folder=folder, name=name, address=address).lstrip())
            sshd = str(shutil.which("sshd", path=search_path()))  # it wants to be called by its whole path
            _start(started, hosts.inside(host, sshd, "-D", "-e", "-f", str(configuration)), folder / f"sshd-{name}.log")
        for host, address in enumerate(reversed(ADDRESSES)):
            until(lambda host=host, address=address: _answers(hosts, host, address), f"the sshd at {address}", 20)
        yield hosts
    finally:
        _stop(folder, started)
        if made:
            with suppress(OSError):
                made.rmdir()


def _folder_for_sshd() -> Path | None:
    """The folder that Debian's sshd wants to find; returned where it was not there."""
    folder = Path("/run/sshd")
    if folder.exists():
        return None
    folder.mkdir(mode=0o755)
    return folder


def _call(*words: str) -> str:
    done = subprocess.run(
        words, env={**os.environ, "PATH": search_path()}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{words}: {done.stdout}"
    return done.stdout.strip()


def _start(started: list[subprocess.Popen[bytes]], words: list[str], log: Path) -> int:
    environment = {**os.environ, "PATH": search_path(), "LANDSCAPE_TEST_HOSTS": str(log.parent)}
    with log.open("wb") as file:
        process = subprocess.Popen(
            words, env=environment, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True
        )
    started.append(process)
    return process.pid


def _lay_cable(hosts: Hosts) -> None:
    for host, name in enumerate(NAMES):  # unshare begins in our namespaces, and becomes sleep when it has left them
        comm = Path(f"/proc/{hosts.keepers[host]}/comm")
        until(lambda comm=comm: comm.read_text().strip() == "sleep", f"the namespaces of {name}", 10)
        hosts.call(host, "hostname", name)
    ends = [f"land{secrets.token_hex(3)}{letter}" for letter in "ab"]
    hosts.call(0, "ip", "link", "add", ends[0], "type", "veth", "peer", "name", ends[1], "netns", str(hosts.keepers[1]))
    for host, (end, address) in enumerate(zip(ends, ADDRESSES, strict=True)):
        hosts.call(host, "ip", "link", "set", end, "name", "cable")
        hosts.call(host, "ip", "address", "add", f"{address}/30", "dev", "cable")
        hosts.call(host, "ip", "link", "set", "cable", "up")
        hosts.call(host, "ip", "link", "set", "lo", "up")


def _answers(hosts: Hosts, host: int, address: str) -> bool:
    try:
        return hosts.call(host, str(hosts.folder / "ssh"), address, "hostname") == NAMES[1 - host]
    except AssertionError:
        return False


def _stop(folder: Path, started: list[subprocess.Popen[bytes]]) -> None:
    inside = {f"/proc/{process.pid}/ns/net" for process in started if process.poll() is None}
    spaces = set()
    for path in inside:
        with suppress(OSError):
            spaces.add(os.readlink(path))
    spaces.discard(os.readlink("/proc/self/ns/net"))

    def gone() -> bool:
        left = [pid for pid in _pids() if _namespace(pid) in spaces]
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not left and all([process.poll() is not None for process in started])  # a list, so that all are waited for

    for process in started:
        process.kill()
    until(gone, "the hosts to end", 20)


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").glob("[0-9]*")]


def _namespace(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/ns/net")
    except OSError:
        return ""
