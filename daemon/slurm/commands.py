"""Slurm's own commands, started and left alone: the daemon's round never waits for a Slurm that does not answer.

Each runs under `timeout`, in a session of its own, with little of our environment. How it ended is in what it has
written, never in an exit code, for which the daemon does not ask.
"""

import contextlib
import fcntl
import os
import select
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from daemon.environment import passed_on

QUERY_SECONDS = 30
SUBMIT_SECONDS = 180
ANSWERED = "#answered"
"""The last line of an answer that is whole."""

_SLURMS_OWN = ("SLURM_CONF", "SLURM_CONF_SERVER", "SLURM_CLUSTERS")
_BOUND_TO_A_HOST = frozenset(
    ["TMPDIR", "TEMP", "TMP", "HOSTNAME", "PWD", "DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR"]
)
_SLURMS_TO_SET = frozenset(["CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES"])


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """What the commands get, and with `--export=ALL` the job: no secrets, and nothing that is about this host."""
    unwanted = _BOUND_TO_A_HOST | _SLURMS_TO_SET
    kept = {name: value for name, value in passed_on(environ)[0].items() if name not in unwanted}
    return kept | {name: environ[name] for name in _SLURMS_OWN if name in environ}


class Question:
    """A command whose answer is waited for, but not here."""

    def __init__(self, argv: Sequence[str]) -> None:
        self.begun_at = time.monotonic()
        self._out, self._err = os.memfd_create("answer"), os.memfd_create("errors")
        script = f'timeout -k 5 {QUERY_SECONDS} "$@" && echo "{ANSWERED}"'
        pid = spawn(["sh", "-c", script, "sh", *argv], [(self._out, 1), (self._err, 2)])
        # By its handle: it is reaped elsewhere, and its number may be somebody else's by then.
        self._handle = os.pidfd_open(pid)

    def is_done(self) -> bool:
        return bool(select.select([self._handle], [], [], 0)[0])

    def answer(self) -> tuple[list[str] | None, str]:
        """The lines of a whole answer, else None; and what was said on stderr. Once."""
        said = [_content(file) for file in (self._out, self._err)]
        for file in (self._out, self._err, self._handle):
            os.close(file)
        lines = said[0].splitlines()
        whole = bool(lines) and lines[-1] == ANSWERED
        return (lines[:-1] if whole else None), said[1].strip()


def submit(script: Path) -> None:
    """Has sbatch take a script. Its words go to files beside it; `is_submitting` says when it is done."""
    lock = _lock(script)
    out, err = (os.open(_said(script, kind), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600) for kind in ("out", "err"))  # fmt: skip
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.set_inheritable(lock, True)
        argv = ["timeout", "-k", "5", str(SUBMIT_SECONDS), "sbatch", "--parsable", str(script)]
        spawn(argv, [(out, 1), (err, 2)])
    finally:
        for file in (lock, out, err):
            os.close(file)  # the command's copy keeps the lock


def is_submitting(script: Path) -> bool:
    """Whether sbatch is still at it, whoever has started it: a daemon that was killed leaves it running."""
    lock = _lock(script)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def submitted(script: Path) -> tuple[str | None, str]:
    """The number that Slurm has given to a script, if sbatch has said one, and its words on stderr."""
    said = ["", ""]
    for index, kind in enumerate(("out", "err")):
        with contextlib.suppress(OSError):
            said[index] = _said(script, kind).read_text(errors="replace").strip()
    number = said[0].partition(";")[0]  # `id` or `id;cluster`
    return (number if number.isdigit() else None), said[1]


def spawn(argv: list[str], outputs: Sequence[tuple[int, int]] = ()) -> int:
    """Starts a command that nobody waits for; `outputs` pairs a file of ours with its descriptor there."""
    nowhere = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in range(3)]
    copies = [(os.POSIX_SPAWN_DUP2, ours, theirs) for ours, theirs in outputs]
    env = environment(os.environ)
    return os.posix_spawnp(argv[0], argv, env, setsid=True, file_actions=[*nowhere, *copies])


def _lock(script: Path) -> int:
    return os.open(script.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)


def _said(script: Path, kind: str) -> Path:
    return script.with_suffix(f".{kind}")


def _content(file: int) -> str:
    return os.pread(file, os.fstat(file).st_size, 0).decode("utf-8", "replace")
