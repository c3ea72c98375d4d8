"""The other side of the fork: between the server and a submission, and the last steps before its code runs.

A namespace of pids holds only children of the process that made it, so there is a gate process in between:
server -> gate -> first process of the namespace, which runs the submission. Once that one is killed, the kernel kills
all others in it.
"""

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from engines.sandbox import confine, linux, submission
from engines.sandbox.limits import Guard, Limits

_RESULT = 3
"""The descriptor on which results leave."""


@dataclass(frozen=True)
class Job:
    """What a process is to run, and shut in how."""

    what: Literal["calls", "program", "probe"]
    code: str
    entry: str
    inputs: Sequence[str]
    nonce: bytes
    limits: Limits
    guards: frozenset[Guard]
    base: str
    tasks: int
    """Processes of the same user, outside."""


def pass_through(job: Job, first: int, control: socket.socket, ends: list[int]) -> None:
    """Fork the submission's process and report on `control`: `R` shut in, `E...` why not, `S...` its wait status.

    `ends` are the writing ends of its result, stdout and stderr.
    """
    try:
        linux.die_with_parent()
        linux.hide_memory(False)  # Else /proc/self/uid_map belongs to root.
        if "namespaces" in job.guards:
            confine.enter_namespaces()
        inside = os.fork()
    except OSError as error:
        control.send(b"E" + str(error).encode())
        return
    if inside == 0:
        try:
            _inside(job, first, control, ends)
        finally:
            os._exit(1)
    for descriptor in ends:
        os.close(descriptor)
    _, status = os.waitpid(inside, 0)
    control.send(b"S%d" % status)
    os._exit(0)


def _inside(job: Job, first: int, control: socket.socket, ends: list[int]) -> None:
    try:
        _shut_in(job, first, control.fileno(), ends)
    except Exception as error:
        control.send(b"E" + str(error).encode())
        return
    control.send(b"R")
    if control.recv(1) != b"G":
        return
    control.close()
    if job.what == "program":
        os._exit(submission.run_program(job.code))

    def tell(line: bytes, write: Any = os.write) -> None:
        rest = memoryview(job.nonce + line)
        while rest:
            rest = rest[write(_RESULT, rest) :]

    submission.call_on_each(job.code, job.entry, job.inputs[first:], first, job.limits.result, tell)
    os._exit(0)


def _shut_in(job: Job, first: int, control: int, ends: list[int]) -> None:
    os.setsid()
    given = os.memfd_create("stdin")
    if job.what == "program":
        os.write(given, job.inputs[first].encode("utf-8", "surrogateescape"))
        os.lseek(given, 0, os.SEEK_SET)
    held = os.dup(control)  # Out of the way of the numbers below.
    high = [os.dup(descriptor) for descriptor in (given, ends[1], ends[2], ends[0])]
    for place, descriptor in enumerate(high):
        os.dup2(descriptor, place)
    os.dup2(held, control, inheritable=False)
    os.closerange(_RESULT + 1, control)
    os.closerange(control + 1, 4096)
    scratch = job.base
    if "namespaces" in job.guards:
        scratch = confine.build_root(job.base, job.limits.disk)
    else:
        confine.become_nobody()
    os.chdir(scratch)
    linux.die_with_parent()  # After the change of user, which takes it back.
    confine.limit_resources(job.limits, job.tasks)
    confine.give_up_rights(job.guards, scratch)
