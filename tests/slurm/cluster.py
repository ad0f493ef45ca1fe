"""A real Slurm on this machine, from Debian's packages: munged, slurmctld and two slurmd as plain processes that leave nothing behind.

Two slurmd on one host are two nodes to Slurm and to MPI's start-up, so scripts for several nodes run as they are. What they
cannot show is a network: test_two_hosts.py does.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts" / "slurm"
PROGRAMS = ("munged", "slurmctld", "slurmd", "srun", "sbatch", "squeue", "scontrol", "scancel")
PACKAGES = "slurmctld slurmd slurm-client munge"
PATIENCE = 120  # seconds until something counts as hanging; on an idle machine nothing takes more than fifteen
CPUS = 16  # claimed of each node, so that the jobs of the tests fit whatever machine this is

Answer = TypeVar("Answer")

# FirstJobId: MPICH names shared memory after the job, and must not meet what an earlier cluster's killed job left.
# cred_expire: how long a job that is queued again has to wait: 120 s by default, 5 s at least.
CONFIGURATION = """
ClusterName=landscape
FirstJobId={first}
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
SlurmctldPort={ports[0]}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmdLogFile={folder}/slurmd-%n.log
SlurmdSpoolDir={folder}/spool-%n
StateSaveLocation={folder}/state
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0,bf_interval=1
GresTypes=gpu
NodeName=one NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs={cpus} Gres=gpu:2 State=UNKNOWN
NodeName=two NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs={cpus} Gres=gpu:2 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def lacking() -> str:
    """Why no Slurm can be started here; empty where one can."""
    if not sys.platform.startswith("linux"):
        return "Slurm's daemons want Linux"
    if os.geteuid() != 0:
        return "Slurm's daemons are started as root, and this is another user"
    missing = [name for name in PROGRAMS if shutil.which(name, path=search_path()) is None]
    return f"{', '.join(missing)} not found; on Debian or Ubuntu: apt-get install {PACKAGES}" if missing else ""


def search_path() -> str:
    """PATH with this Python's programs first and the daemons' folders last."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])


def until(condition: Callable[[], Answer], what: str, patience: float = PATIENCE) -> Answer:
    """Wait until a condition is true, and return what it said.

    Raises:
        TimeoutError: when it never is.
    """
    end = time.monotonic() + patience
    while not (answer := condition()):
        if time.monotonic() > end:
            raise TimeoutError(f"waited {patience} s for {what}")
        time.sleep(0.05)
    return answer


@dataclass(frozen=True)
class Cluster:
    """A running Slurm: `folder` holds its configuration, keys, sockets and logs."""

    folder: Path

    def environment(self, **more: str) -> dict[str, str]:
        """What the clients of this cluster run with; nothing of a Slurm or MPI around the tests themselves."""
        strange = ("PMI_", "PMIX_", "OMPI_", "SLURM_", "SBATCH_", "SRUN_", "SQUEUE_")
        clean = {name: value for name, value in os.environ.items() if not name.startswith(strange)}
        return {**clean, "PATH": search_path(), "SLURM_CONF": str(self.folder / "slurm.conf"), **more}

    def call(self, *words: str, check: bool = True, cwd: Path | None = None, **environment: str) -> str:
        """What a client program prints, standard error included."""
        done = subprocess.run(
            words, cwd=cwd, env=self.environment(**environment), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            timeout=PATIENCE, check=False,
        )  # fmt: skip
        assert done.returncode == 0 or not check, f"{words}: {done.stdout}"
        return done.stdout.strip()

    def state(self, job: str) -> dict[str, str]:
        """Everything Slurm says of a job, such as JobState and ExitCode."""
        said = self.call("scontrol", "--oneliner", "show", "job", job).splitlines()[-1]
        return dict(word.split("=", 1) for word in said.split() if "=" in word)

    def end(self, job: str) -> dict[str, str]:
        """Wait until a job has ended and will not run again; the same as `state`."""
        until(lambda: self.has_ended(job), f"the end of job {job}")
        return self.state(job)

    def has_ended(self, job: str) -> bool:
        """Whether a job is over and will not run again."""
        going = {"PENDING", "RUNNING", "COMPLETING", "CONFIGURING", "REQUEUED", "SUSPENDED"}
        return self.state(job)["JobState"] not in going


@contextmanager
def running(folder: Path) -> Iterator[Cluster]:
    """A Slurm whose files are all in `folder`; at the end its jobs and daemons are gone, whatever happened."""
    cluster = Cluster(folder)
    daemons: list[subprocess.Popen[bytes]] = []
    _write_configuration(folder)
    try:
        _start(cluster, daemons)
        yield cluster
    finally:
        _stop(cluster, daemons)


def _write_configuration(folder: Path) -> None:
    for name in ("state", "spool-one", "spool-two"):
        (folder / name).mkdir()
    (folder / "munge.key").write_bytes(os.urandom(128))
    (folder / "munge.key").chmod(0o600)
    for number in (0, 1):  # stand for the GPUs' device files
        (folder / f"nvidia{number}").touch()
    (folder / "gres.conf").write_text(f"Name=gpu File={folder}/nvidia[0-1]\n")
    (folder / "cgroup.conf").touch()
    host = socket.gethostname().partition(".")[0]
    text = CONFIGURATION.format(host=host, folder=folder, ports=_free_ports(3), cpus=CPUS, first=secrets.randbelow(60_000_000) + 1)
    (folder / "slurm.conf").write_text(text.lstrip())


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def _start(cluster: Cluster, daemons: list[subprocess.Popen[bytes]]) -> None:
    folder = cluster.folder

    def start(*words: str) -> None:
        with (folder / f"{len(daemons)}-{words[0]}.log").open("wb") as log:
            daemons.append(
                subprocess.Popen(
                    words, env=cluster.environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
                )
            )

    files = [f"--{name}={folder}/munge.{file}" for name, file in (
        ("socket", "socket"), ("key-file", "key"), ("pid-file", "pid"), ("log-file", "log"), ("seed-file", "seed"),
    )]  # fmt: skip
    start("munged", "--foreground", "--force", *files)
    until((folder / "munge.socket").exists, "munged's socket", 20)
    start("slurmctld", "-D", "-f", str(folder / "slurm.conf"))
    for node in ("one", "two"):
        start("slurmd", "-D", "-N", node, "-f", str(folder / "slurm.conf"))

    def idle() -> bool:
        dead = [daemon.args for daemon in daemons if daemon.poll() is not None]
        assert not dead, f"{dead} ended: {''.join(log.read_text(errors='replace')[-1500:] for log in sorted(folder.glob('*.log')))}"
        return cluster.call("sinfo", "--noheader", "--format", "%T %D", check=False) == "idle 2"

    until(idle, "both nodes to be idle", 60)


def _stop(cluster: Cluster, daemons: list[subprocess.Popen[bytes]]) -> None:
    """Kill everything: nothing of the state is wanted any more, and a job may be deaf to milder signals."""

    def gone() -> bool:
        left = processes_of(cluster.folder)
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not left and all([daemon.poll() is not None for daemon in daemons])  # a list, so that all are waited for

    until(gone, "the daemons and jobs to end", 20)
    _remove_shared_memory(cluster)


def _remove_shared_memory(cluster: Cluster) -> None:
    """What MPICH left of ranks that were killed since the cluster began: what nobody uses, and nobody is about to."""
    began, settled = (cluster.folder / "slurm.conf").stat().st_mtime, time.time() - 3
    used = ""
    for maps in Path("/proc").glob("[0-9]*/maps"):
        with suppress(OSError):
            used += maps.read_text()
    for file in Path("/dev/shm").glob("mpich_shm_*"):
        with suppress(OSError):
            if began <= file.stat().st_mtime < settled and str(file) not in used:
                file.unlink()


def processes_of(folder: Path) -> dict[int, str]:
    """The processes of a cluster, its daemons, steps and jobs, and their names; they all have its configuration."""
    mark = f"SLURM_CONF={folder}/slurm.conf".encode()
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                found[int(entry.name)] = (entry / "comm").read_text().strip()
        except OSError:  # it has just ended
            continue
    return found
