"""Fork servers, kept warm, and what a grader asks of them."""

import contextlib
import json
import os
import queue
import secrets
import select
import shutil
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from engines.recipe.errors import RecipeError
from engines.sandbox.limits import GUARDS, Guard, Layer, Limits, Outcome, layer_of
from engines.sandbox.server import FRAME
from engines.sandbox.values import NotPlainError, decode, encode

_ROOT = Path(__file__).parents[2]
_BOOT = "import sys; sys.path.insert(0, sys.argv[1]); from engines.sandbox import server; del sys.path[0]; server.main(sys.argv[2])"
_MARGIN = 60.0
"""Seconds beyond the run's own limit after which a silent server is given up."""
DEFAULT = Limits()


class SandboxError(RuntimeError):
    """The sandbox itself failed; says nothing about a submission."""


class Server:
    """One fork server and its pipes. Not for two threads at once."""

    def __init__(self) -> None:
        self.base = tempfile.mkdtemp(prefix="tunedeck-sandbox-")
        if os.geteuid() == 0:  # Without namespaces a submission is nobody, and this is its only directory.
            os.chown(self.base, 65534, 65534)
        # Isolated like `-I`, but that would also ignore the hash seed: sets must come in the same order every time.
        self.process = subprocess.Popen(
            [sys.executable, "-s", "-S", "-B", "-P", "-c", _BOOT, str(_ROOT), self.base],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"PYTHONHASHSEED": "0"},
            cwd="/",
            start_new_session=True,
        )
        self._finalizer = weakref.finalize(self, _stop, self.process, self.base)

    def ask(self, request: dict[str, Any], timeout: float) -> Iterator[dict[str, Any]]:
        """Its answers to a request, up to the last one. Raises SandboxError when it dies or keeps silent."""
        body = json.dumps(request).encode()
        assert self.process.stdin is not None
        ends_at = time.monotonic() + timeout
        try:
            self.process.stdin.write(FRAME.pack(len(body)) + body)
            self.process.stdin.flush()
            while "done" not in (frame := self._frame(ends_at)):
                yield frame
        except (OSError, ValueError) as error:
            self.close()
            raise SandboxError(str(error)) from error

    def close(self) -> None:
        """End it; whatever it runs ends with it."""
        self._finalizer()

    def _frame(self, ends_at: float) -> dict[str, Any]:
        (size,) = FRAME.unpack(self._bytes(FRAME.size, ends_at))
        frame: dict[str, Any] = json.loads(self._bytes(size, ends_at))
        return frame

    def _bytes(self, count: int, ends_at: float) -> bytes:
        assert self.process.stdout is not None
        descriptor, parts = self.process.stdout.fileno(), bytearray()
        while len(parts) < count:
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            if not poll.poll(max(0.0, ends_at - time.monotonic()) * 1000):
                raise TimeoutError("the fork server is silent")
            chunk = os.read(descriptor, count - len(parts))
            if not chunk:
                raise ConnectionError("the fork server has died")
            parts += chunk
        return bytes(parts)


class Sandbox:
    """Runs submissions behind the best wall that this machine allows. Safe to use from several threads."""

    def __init__(self, guards: frozenset[Guard], missing: dict[Guard, str], workers: int) -> None:
        self.guards = guards
        self.layer = layer_of(guards)
        self.missing = missing
        """Guards that are not used, and why."""
        self.workers = workers
        self._idle: queue.LifoQueue[Server | None] = queue.LifoQueue()
        for _ in range(workers):
            self._idle.put(None)

    def call(
        self, code: str, entry: str, inputs: Iterable[Sequence[Any]], limits: Limits = DEFAULT
    ) -> list[Outcome]:
        """Define `code` and call its `entry` on each tuple of positional arguments, in one process.

        `entry` is a function's name or `Class.method`. The values come back as plain data (see `values`), decoded.
        Raises NotPlainError for arguments that are no plain data.
        """
        encoded = [encode(tuple(arguments), limit=1 << 24) for arguments in inputs]
        return [_decoded(outcome) for outcome in self._run("calls", code, entry, encoded, limits)]

    def run_stdin(self, code: str, stdins: Sequence[str], limits: Limits = DEFAULT) -> list[Outcome]:
        """Run `code` as a program on each input, each time in a new process. The values are what it printed."""
        return self._run("program", code, "", list(stdins), limits)

    def close(self) -> None:
        """End all fork servers."""
        for _ in range(self.workers):
            server = self._idle.get()
            if server is not None:
                server.close()
            self._idle.put(None)

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, what: str, code: str, entry: str, inputs: Sequence[str], limits: Limits) -> list[Outcome]:
        request = request_for(what, self.guards, limits, code=code, entry=entry, inputs=inputs)
        outcomes: list[Outcome] = []
        started, trouble = False, ""
        server = self._idle.get()
        try:
            server = server or Server()
            for frame in server.ask(request, limits.run_wall + _MARGIN):
                started = started or "started" in frame
                trouble = frame.get("infra", trouble)
                if "outcome" in frame:
                    _, kind, text, detail = frame["outcome"]
                    outcomes.append(Outcome(kind, text, detail))
        except SandboxError as error:
            server, trouble = None, str(error)
        finally:
            self._idle.put(server)
        # Once its code runs, nothing that happens can take a submission out of the count.
        rest = Outcome("killed" if started else "infra", None, trouble)
        return outcomes + [rest] * (len(inputs) - len(outcomes))


def open_sandbox(
    require: Layer | None = None, *, workers: int | None = None, guards: Iterable[Guard] = GUARDS
) -> Sandbox:
    """A sandbox with those of `guards` that work here; they are tried, not guessed.

    Args:
        require: refuse to run below this layer.
        workers: submissions that may run at the same time; by default one for each processor, at most 8.
        guards: for tests and comparisons: leave out what is not named.

    Raises:
        RecipeError: the machine does not reach the required layer, or cannot run the sandbox at all.
    """
    wanted: frozenset[Guard] = frozenset([*guards, "limits"])
    if not sys.platform.startswith("linux"):
        raise RecipeError("the code sandbox needs Linux", hint="leave the code tasks out of the suite")
    missing: dict[Guard, str] = {guard: "left out" for guard in GUARDS if guard not in wanted}
    with contextlib.closing(Server()) as server:
        for guard in [guard for guard in GUARDS if guard in wanted]:
            if why := _probe(server, frozenset([guard, "limits"])):
                missing[guard] = why
        working = wanted - missing.keys()
        reason = _probe(server, working) or missing.get("limits", "")
    if reason:
        raise RecipeError(
            f"the code sandbox does not start here: {reason}", hint="`tunedeck doctor --sandbox`"
        )
    sandbox = Sandbox(working, missing, workers or min(os.cpu_count() or 1, 8))
    if require is not None and sandbox.layer < require:
        lacking = "; ".join(f"{guard}: {why}" for guard, why in missing.items())
        raise RecipeError(
            f"the code sandbox reaches layer {sandbox.layer.name} here, {require.name} is required ({lacking})",
            hint="`tunedeck doctor --sandbox` shows what is missing; run elsewhere or require less",
        )
    return sandbox


def request_for(
    what: str,
    guards: Iterable[Guard],
    limits: Limits,
    *,
    code: str = "",
    entry: str = "",
    inputs: Sequence[str] = (),
) -> dict[str, Any]:
    """A request as a fork server reads it, with a new nonce."""
    return {
        "what": what, "guards": sorted(guards), "limits": asdict(limits), "code": code, "entry": entry,
        "inputs": list(inputs), "nonce": secrets.token_hex(16),
    }  # fmt: skip


def _probe(server: Server, guards: frozenset[Guard]) -> str:
    """Why a process cannot be shut in this way; empty where it can."""
    try:
        answers = list(server.ask(request_for("probe", guards, DEFAULT), _MARGIN))
    except SandboxError as error:
        return str(error)
    return next((str(answer["infra"]) for answer in answers if "infra" in answer), "")


def _decoded(outcome: Outcome) -> Outcome:
    if outcome.kind != "ok":
        return Outcome(outcome.kind, None, outcome.detail)
    try:
        return Outcome("ok", decode(outcome.value))
    except NotPlainError as error:
        return Outcome("wrong_type", None, str(error))


def _stop(process: subprocess.Popen[bytes], base: str) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    shutil.rmtree(base, ignore_errors=True)
