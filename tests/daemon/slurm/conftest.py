"""A real Slurm of one node on loopback: munge, controller and node daemon of our own, in a temporary directory.

Every process is a child of the test run and is ended by its handle. Nothing of a Slurm or munge that the machine may
have is touched: keys, sockets, ports and state are this one's own.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from store import machine, paths
from store.database import Database
from store.lifecycle import NewJob, enqueue
from store.slurm import attempts_of

NEEDED = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol")
BIN = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])

CONF = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={root}/munge.socket
CredType=cred/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_min_interval=0,batch_sched_delay=0
ReturnToService=2
KillWait=5
SlurmctldPidFile={root}/slurmctld.pid
SlurmdPidFile={root}/slurmd.pid
StateSaveLocation={root}/state
SlurmdSpoolDir={root}/spool
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=1000 Gres=gpu:a100:1 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO PriorityTier=1
PartitionName=urgent Nodes={host} MaxTime=INFINITE State=UP OverSubscribe=NO PriorityTier=2
"""


class Slurm:
    """The three daemons, and Slurm's own view of its jobs."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.conf = root / "slurm.conf"
        self.environ = os.environ | {"SLURM_CONF": str(self.conf), "PATH": BIN}
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        for name in ("state", "spool"):
            (self.root / name).mkdir()
        controller, node = _free_ports(2)
        host = socket.gethostname().partition(".")[0]
        self.conf.write_text(CONF.format(host=host, controller=controller, node=node, root=self.root))
        (self.root / "gres.conf").write_text("Name=gpu Type=a100 File=/dev/zero\n")  # no card, but a file
        key = self.root / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        munge = {name: f"{self.root}/munge.{name}" for name in ("socket", "pid", "log", "seed")}
        self._spawn(
            "munged", "--foreground", "--force", f"--key-file={key}", f"--socket={munge['socket']}",
            f"--pid-file={munge['pid']}", f"--log-file={munge['log']}", f"--seed-file={munge['seed']}",
        )  # fmt: skip
        _until(lambda: Path(munge["socket"]).exists(), self.log)
        self.start_controller()
        self._spawn("slurmd", "-D")
        _until(lambda: "idle" in self.say("sinfo", "-h", "-o", "%T"), self.log)

    def start_controller(self) -> None:
        self._spawn("slurmctld", "-D")
        _until(lambda: "UP" in self.say("scontrol", "ping"), self.log)

    def kill_controller(self) -> None:
        controller = self._running.pop("slurmctld")
        controller.kill()
        controller.wait()

    def stop(self) -> None:
        for name in ("slurmd", "slurmctld", "munged"):
            if daemon := self._running.pop(name, None):
                daemon.send_signal(signal.SIGTERM)
                try:
                    daemon.wait(timeout=20)
                except subprocess.TimeoutExpired:
                    daemon.kill()
                    daemon.wait()

    def say(self, *argv: str) -> str:
        """What a command of Slurm's says, on either stream."""
        done = subprocess.run(
            argv, env=self.environ, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        return done.stdout

    def jobs(self) -> list[list[str]]:
        """Slurm's jobs: number, state, name."""
        return [
            line.split("|") for line in self.say("squeue", "-h", "-t", "all", "-o", "%i|%T|%j").splitlines()
        ]

    def state(self, number: str) -> str:
        return next((state for known, state, _ in self.jobs() if known == number), "")

    def number_of(self, database: Database, job_id: int) -> str:
        """Slurm's number of the last attempt at a job of ours."""
        return str(attempts_of(database, job_id)[-1].get("id"))

    def clear(self) -> None:
        """Ends what a test has left."""
        left = [number for number, state, _ in self.jobs() if state in ("PENDING", "RUNNING", "COMPLETING")]
        if left:
            self.say("scancel", *left)
            _until(lambda: all(self.state(number) not in ("PENDING", "RUNNING") for number in left), self.log)
        _until(lambda: "idle" in self.say("sinfo", "-h", "-o", "%T"), self.log)

    def log(self) -> str:
        return "\n".join(
            f"== {path.name}\n{path.read_text()[-3000:]}" for path in sorted(self.root.glob("*.out"))
        )

    def _spawn(self, name: str, *arguments: str) -> None:
        program = shutil.which(name, path=BIN)
        assert program is not None
        with (self.root / f"{name}.out").open("ab") as log:
            self._running[name] = subprocess.Popen(
                [program, *arguments], env=self.environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )


def _until(condition: Callable[[], object], explain: Callable[[], str], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"the condition did not come true in time\n{explain()}"
        time.sleep(0.1)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@pytest.fixture(scope="session")
def running_slurm() -> Iterator[Slurm]:
    missing = [name for name in NEEDED if shutil.which(name, path=BIN) is None]
    if missing:
        pytest.skip(f"Slurm is not installed: no {', '.join(missing)} (Debian: slurm-wlm and munge)")
    if os.geteuid() != 0:
        pytest.skip("a Slurm whose jobs may be of any user needs root")
    root = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))  # munge wants every folder above it to be safe
    slurm = Slurm(root)
    try:
        slurm.start()
        yield slurm
    finally:
        slurm.stop()
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def slurm(running_slurm: Slurm, monkeypatch: pytest.MonkeyPatch) -> Iterator[Slurm]:
    """The cluster, empty, and in the environment of the daemons that the test starts."""
    monkeypatch.setenv("SLURM_CONF", str(running_slurm.conf))
    running_slurm.clear()
    yield running_slurm
    if "slurmctld" not in running_slurm._running:
        running_slurm.start_controller()
    running_slurm.clear()


@pytest.fixture
def profiles(home: Path) -> Callable[..., None]:
    """Writes config.yaml; the profile `main` is there always."""

    def write(patience_seconds: float = 2.0, **profiles: dict[str, Any]) -> None:
        known = {"main": {"partition": "main", "time": "10m"}} | profiles
        slurm = {"poll_seconds": 0.3, "patience_seconds": patience_seconds, "profiles": known}
        paths.create(home)
        paths.config(home).write_text(yaml.safe_dump({"slurm": slurm}))

    return write


@pytest.fixture
def through_slurm(database: Database) -> Callable[..., int]:
    """Queues one `command` job for Slurm and wakes the daemon. Returns its id."""
    from engines.command import Recipe

    def submit(
        *argv: str, profile: str = "main", time: str | None = None, gpus: int | str = 0, **fields: Any
    ) -> int:
        resources = {"slurm": profile, "time": time, "gpus": gpus}
        body = {"engine": "command", "argv": list(argv), "resources": resources, **fields}
        recipe = Recipe.model_validate(body).model_dump(mode="json", by_alias=True)
        retries = recipe["retry"]["times"]
        new = NewJob("job", "command", recipe, gpus=0, slurm=profile, retries=retries)
        _, [job_id] = enqueue(database, "test", [new])
        machine.nudge(database.home)
        return job_id

    return submit
