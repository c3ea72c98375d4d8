"""What a submission may use, and how each of its runs ended."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Literal

Kind = Literal["ok", "wrong_type", "exception", "timeout", "oom", "killed", "infra"]
"""`infra` alone says nothing about the submission: it ended before a line of it ran."""

Guard = Literal["limits", "namespaces", "landlock", "seccomp"]
GUARDS: tuple[Guard, ...] = ("limits", "namespaces", "landlock", "seccomp")


class Layer(IntEnum):
    """How well a submission is shut in. Each layer holds everything below it."""

    L0 = 0
    """Resource limits, a session and a directory of its own, an empty environment, nobody's rights where we are root:
    a guard against accidents, no boundary against hostile code."""
    L1 = 1
    """And namespaces of its own: a file tree with Python and nothing else, no network, no other process in sight."""
    L2 = 2
    """And Landlock and a seccomp filter: no new process, no program, no socket, even if a namespace leaked."""


@dataclass(frozen=True)
class Limits:
    """Limits of one `call` or `run_stdin`. Seconds and bytes."""

    wall: float = 6.0
    """For each input."""
    run_wall: float = 60.0
    """For all inputs together."""
    memory: int = 1 << 30
    """Address space of each process."""
    output: int = 64 << 10
    """Of stdout and of stderr, for each process. What a function prints above it is dropped; a program ends there."""
    result: int = 1 << 20
    """For each returned value, in its transport form."""
    disk: int = 32 << 20
    """Of the private directory; without namespaces, of each single file."""
    deaths: int = 1
    """So many processes may die (timeout, kill) before the remaining inputs share the last one's end unrun."""


@dataclass(frozen=True)
class Outcome:
    """How one input ended. `value` counts only where `kind` is `ok`: plain builtin data, or the text on stdout."""

    kind: Kind
    value: Any = None
    detail: str = ""


def layer_of(guards: frozenset[Guard]) -> Layer:
    """The layer that a set of working guards amounts to."""
    if "namespaces" not in guards:
        return Layer.L0
    return Layer.L2 if {"landlock", "seccomp"} <= guards else Layer.L1
