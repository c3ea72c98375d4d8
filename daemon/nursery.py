"""Where supervisors come from: one small process that has loaded all they need, and forks one for each attempt.

    python -P -m daemon.nursery CHANNEL

A Python of its own for each would take longer to start than many a job takes to run. CHANNEL is a socket from the
daemon; each request on it names a run directory and an attempt, and carries the lock that the supervisor is to hold.
The nursery goes when the daemon goes, by the end of that socket; the supervisors, each in a session of its own, stay.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import sys
import traceback
from pathlib import Path

from daemon.supervisor import main as supervise

REQUEST_BYTES = 65536


class Nursery:
    """The daemon's end of the channel. Starts the process when it is first needed, and again when it is gone."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment
        self._channel: socket.socket | None = None

    def fork(self, run_dir: Path, attempt: int, lock: int) -> None:
        """A supervisor for an attempt, which holds `lock` from its first moment.

        OSError where none could be started; ConnectionError where the nursery died over it, and only the lock knows.
        """
        request = json.dumps([str(run_dir), attempt]).encode()
        try:
            socket.send_fds(self._opened(), [request], [lock])
        except ConnectionError:  # it was killed since the last time, and has seen nothing of this
            self.close()
            socket.send_fds(self._opened(), [request], [lock])
        answer = json.loads(self._opened().recv(REQUEST_BYTES) or "null")
        if answer is None:
            self.close()
            raise ConnectionResetError("the process that starts supervisors was killed")
        if "error" in answer:
            raise OSError(answer["errno"], answer["error"])

    def close(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def _opened(self) -> socket.socket:
        if self._channel is None:
            self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                os.set_inheritable(theirs.fileno(), True)
                argv = [sys.executable, "-P", "-m", "daemon.nursery", str(theirs.fileno())]
                os.posix_spawn(
                    sys.executable,
                    argv,
                    self._environment,
                    setsid=True,
                    file_actions=[(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)],
                )
        return self._channel


def main(channel: socket.socket) -> None:
    """Serves until the daemon is gone."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps supervisors that end before the daemon
    gc.freeze()  # what is shared with the supervisors is not to be written to
    while True:
        request, locks, _, _ = socket.recv_fds(channel, REQUEST_BYTES, 1)
        if not request:
            return
        try:
            if os.fork() == 0:
                _become_supervisor(channel, *json.loads(request), *locks)
            answer: dict[str, str | int | None] = {}
        except OSError as error:
            answer = {"errno": error.errno, "error": error.strerror}
        os.close(locks[0])
        channel.send(json.dumps(answer).encode())


def _become_supervisor(channel: socket.socket, run_dir: str, attempt: int, lock: int) -> None:
    code = 1
    try:
        os.setsid()
        channel.close()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        log = os.open(f"{run_dir}/worker.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.close(log)
        supervise(run_dir, attempt, lock)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))
