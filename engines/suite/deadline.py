"""Processes that answer within a deadline, for libraries that may compute for ever on what a model wrote.

Each is spawned when first needed; one that overruns or dies is killed and replaced. The deadline is kept on this side, so
that it holds in any thread and whatever the library does with signals.
"""

import atexit
import multiprocessing
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from queue import SimpleQueue
from typing import Any

_START = 120.0
"""Seconds for a process to import what it needs, on a loaded machine."""


class Pool:
    """A few processes that all do the same; questions wait until one of them is free."""

    def __init__(self, serve: Callable[[Connection], None], what: str, size: int = 2) -> None:
        """`serve` runs in each process: it sends "ready", then one reply to each question until its pipe closes."""
        self._serve, self._what, self._size = serve, what, size
        self._idle: SimpleQueue[_Worker] = SimpleQueue()
        self._made: list[_Worker] = []
        self._making = threading.Lock()
        atexit.register(self.stop)

    def ask(self, question: Any, deadline: float) -> Any:
        """The reply; None where there is none within `deadline` seconds, or where the process died of the question.

        Raises RuntimeError where no process can be started.
        """
        worker = self._take()
        try:
            return worker.ask(question, deadline)
        finally:
            self._idle.put(worker)

    def stop(self) -> None:
        """Ends the processes; the next question starts one again."""
        for worker in self._made:
            worker.stop()

    def _take(self) -> "_Worker":
        with self._making:
            if self._idle.empty() and len(self._made) < self._size:
                self._made.append(_Worker(self._serve, self._what))
                return self._made[-1]
        return self._idle.get()


class _Worker:
    """One process, started when first needed and again after each deadline that it missed."""

    def __init__(self, serve: Callable[[Connection], None], what: str) -> None:
        self._serve, self._what = serve, what
        self._process: SpawnProcess | None = None
        self._pipe: Connection | None = None

    def ask(self, question: Any, deadline: float) -> Any:
        pipe = self._started()
        try:
            pipe.send(question)
            if pipe.poll(deadline):
                return pipe.recv()
        except (EOFError, OSError):  # it ran out of memory or stack
            pass
        self.stop()
        return None

    def _started(self) -> Connection:
        if self._pipe is not None and self._process is not None and self._process.is_alive():
            return self._pipe
        self.stop()
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        process = context.Process(target=self._serve, args=(theirs,), daemon=True)
        process.start()
        self._process = process
        theirs.close()
        try:
            ready = self._pipe.poll(_START) and self._pipe.recv() == "ready"
        except (EOFError, OSError):  # it ended while it imported
            ready = False
        if not ready:
            self.stop()
            raise RuntimeError(f"the process that {self._what} did not start")
        return self._pipe

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None
