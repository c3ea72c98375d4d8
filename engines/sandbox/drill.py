"""Try every attack against a sandbox of this machine and say which ones it holds."""

import contextlib
import os
import secrets
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from engines.sandbox.attacks import ATTACKS, Attack
from engines.sandbox.compare import matches
from engines.sandbox.limits import Layer, Limits
from engines.sandbox.pool import Sandbox

LIMITS = Limits(wall=1.0, run_wall=4.0, memory=256 << 20, output=1 << 16, disk=16 << 20)
_HONEST = "def solve(n):\n    return n + 1\n"


@dataclass(frozen=True)
class Drill:
    """How one attack went."""

    attack: str
    family: str
    tries: str
    result: Literal["held", "not held", "not tried"]
    detail: str


def run_drill(sandbox: Sandbox, attacks: tuple[Attack, ...] = ATTACKS) -> Iterator[Drill]:
    """Each attack's result, in order. An attack that could harm this machine at its layer is not tried."""
    for attack in attacks:
        filtered = "seccomp" in sandbox.guards
        if not attack.spares and sandbox.layer < Layer.L1 and not filtered:
            yield Drill(
                attack.name, attack.family, attack.tries, "not tried", "would hit this machine at layer L0"
            )
            continue
        gains, seen = try_attack(sandbox, attack)
        result: Literal["held", "not held"] = "not held" if gains else "held"
        yield Drill(attack.name, attack.family, attack.tries, result, "; ".join(gains) or seen)


def try_attack(sandbox: Sandbox, attack: Attack) -> tuple[list[str], str]:
    """What the attack gained, nothing if it was held; and how its first input ended."""
    tokens = [f"token-{secrets.token_hex(16)}" for _ in range(3)]
    mark = f"td{secrets.token_hex(5)}"
    with tempfile.TemporaryDirectory() as name, _giving_away(tokens, mark) as (port, callers):
        outside = Path(name, "outside")
        outside.mkdir(mode=0o777)
        Path(name).chmod(0o755)  # The walls have to hold, not the mode bits.
        outside.chmod(0o777)
        secret = Path(name, "tests.txt")
        secret.write_text(" ".join(tokens))
        code = attack.code
        for word, held in (("SECRET", secret), ("OUTSIDE", outside), ("PORT", port), ("MARK", mark)):
            code = code.replace(f"@{word}@", str(held))
        began = time.monotonic()
        outcomes = sandbox.call(code, "solve", [(number,) for number in range(3)], LIMITS)
        took = time.monotonic() - began
        right = [
            outcome.kind == "ok" and matches(token, outcome.value)
            for token, outcome in zip(tokens, outcomes, strict=True)
        ]
        found = [
            ("it returned the expected tokens", any(right)),
            ("it was taken out of the count", any(outcome.kind == "infra" for outcome in outcomes)),
            ("it wrote outside", any(outside.iterdir())),
            ("it reached a server", bool(callers)),
            ("a process of it is still there", bool(processes_named(mark))),
            (f"it took {took:.0f} s", took > LIMITS.run_wall + 10),
            ("the sandbox does not work any more", not _works(sandbox)),
        ]
    first = outcomes[0]
    return [
        gain for gain, true in found if true
    ], f"{first.kind}: {first.detail}" if first.detail else first.kind


def processes_named(mark: str) -> list[int]:
    """Processes of this name that are more than zombies."""
    found = []
    for name in os.listdir("/proc"):  # noqa: PTH208
        with contextlib.suppress(OSError):
            if name.isdigit() and Path(f"/proc/{name}/comm").read_text().strip() == mark:
                found.append(int(name))
    return found


def _works(sandbox: Sandbox) -> bool:
    outcomes = sandbox.call(_HONEST, "solve", [(1,), (2,)])
    return [outcome.value for outcome in outcomes] == [2, 3]


@contextlib.contextmanager
def _giving_away(tokens: list[str], mark: str) -> Iterator[tuple[int, list[str]]]:
    """Two local servers that give the tokens to whoever connects, and the list of who did."""
    callers: list[str] = []
    servers = [socket.socket(socket.AF_INET), socket.socket(socket.AF_UNIX)]
    servers[0].bind(("127.0.0.1", 0))
    servers[1].bind(f"\0{mark}")
    for server in servers:
        server.listen()
        threading.Thread(target=_give, args=(server, tokens, callers), daemon=True).start()
    try:
        yield servers[0].getsockname()[1], callers
    finally:
        for server in servers:
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
            server.close()


def _give(server: socket.socket, tokens: list[str], callers: list[str]) -> None:
    with contextlib.suppress(OSError):
        while True:
            line, _ = server.accept()
            callers.append(server.family.name)
            with line:
                line.sendall(" ".join(tokens).encode())
