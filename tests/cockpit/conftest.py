"""A real store to look at, filled as the daemon would fill it, and a cockpit driven by keys."""

import asyncio
import fcntl
import math
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.notifications import Notification
from textual.pilot import Pilot
from textual.widgets import Input

from cockpit import cleanup, library, machine_facts
from cockpit.app import Cockpit
from cockpit.machine_facts import Load
from store import jobs, lifecycle, machine, paths, records
from store.database import Database
from store.lifecycle import NewJob, Outcome
from store.schema import Status

WAIT_SECONDS = 20.0


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests do not depend on the terminal they are started from."""
    for name in ("NO_COLOR", "TUNEDECK_ASCII", "LC_ALL", "LC_CTYPE", "TEXTUAL_THEME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "C.UTF-8")


class Bench:
    """Does to jobs what the daemon does, step by step."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def enqueue(self, *names: str, experiment: str = "demo", engine: str = "sft", **more: Any) -> list[int]:
        recipe = {"engine": engine, "seed": 42, "model": {"base": "pocket"}}
        new = [NewJob(name, engine, recipe, **more) for name in names]
        return lifecycle.enqueue(self.database, experiment, new)[1]

    def start(self) -> int:
        claimed = lifecycle.claim(self.database, 1000, [])
        assert claimed is not None
        job_id = claimed[0].id
        lifecycle.mark_running(self.database, job_id, {"started_at": time.time() - 60, "pid": 1})
        return job_id

    def record(self, job_id: int, *events: dict[str, Any]) -> None:
        offset = jobs.get_job(self.database, job_id).events_offset
        stamped = [{"time": time.time()} | event for event in events]
        records.record(self.database, job_id, offset, offset + 1, stamped)

    def train(self, job_id: int, first: int, last: int, total: int = 100) -> None:
        for step in range(first, last + 1):
            values = {"loss": 2 * math.exp(-step / 30) + 0.1}
            self.record(job_id, {"kind": "metrics", "step": step, "values": values})
        self.record(job_id, {"kind": "progress", "done": last, "total": total, "unit": "step"})

    def score(self, job_id: int, outcomes: list[bool], **fields: Any) -> None:
        """An evaluation's report: one example a question, then the scores."""
        for index, right in enumerate(outcomes):
            example = {
                "example_id": f"test-{index}", "sample": 0, "question": f"What is {index} + 1?", "gold": str(index + 1),
                "completion": f"It is {index + 1 if right else index}.", "extracted": str(index + right), "method": "tag",
                "strict": right, "robust": right, "terminated": True, "tokens": 7,
            } | fields  # fmt: skip
            self.record(job_id, {"kind": "example", "key": f"test-{index}/0", "fields": example})
        share = sum(outcomes) / len(outcomes)
        interval = {"n": len(outcomes), "low": max(share - 0.1, 0), "high": min(share + 0.1, 1)}
        for name in ("strict", "robust"):
            self.record(job_id, {"kind": "score", "name": name, "value": share, "fields": interval})

    def finish(self, job_id: int, status: Status = Status.SUCCEEDED, reason: str | None = None) -> None:
        lifecycle.finish(
            self.database, job_id, Outcome(status, 0 if status is Status.SUCCEEDED else 1, reason)
        )


@pytest.fixture
def bench(database: Database) -> Bench:
    return Bench(database)


class Visit:
    """A person at the cockpit: presses keys, and looks until something is there."""

    def __init__(self, pilot: Pilot[None]) -> None:
        self.pilot = pilot
        self.app = pilot.app

    @property
    def text(self) -> str:
        """What is on the screen."""
        return "\n".join(strip.text for strip in self.app.screen._compositor.render_strips())

    def line(self, part: str) -> str:
        """The first line of the screen that has this in it."""
        return next(line for line in self.text.splitlines() if part in line)

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def until(self, condition: Callable[[], Any], what: str = "") -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while not condition():
            await self.pilot.pause(0.01)
            assert time.monotonic() < deadline, f"waited in vain for {what or condition}\n{self.text}"

    async def sees(self, *parts: str) -> None:
        await self.until(lambda: all(part in self.text for part in parts), f"{parts}")

    async def no_longer_sees(self, part: str) -> None:
        await self.until(lambda: part not in self.text, f"the end of {part}")


@pytest.fixture
def visit(database: Database) -> Callable[..., None]:
    """Runs a scenario in a cockpit of a given size."""

    def run(
        scenario: Callable[[Visit], Awaitable[None]], size: tuple[int, int] = (80, 24), **options: Any
    ) -> None:
        async def session() -> None:
            app = Cockpit(database, poll_seconds=0.02, **options)
            async with app.run_test(size=size, notifications=True) as pilot:
                await scenario(Visit(pilot))

        asyncio.run(session())

    return run


NOON = 1_794_916_800.0
"""The moment at which the cockpit looks: 2026-11-17 12:00:00 UTC."""


class Clock:
    """The time as store and cockpit see it. A test that fills the store sets it back first."""

    def __init__(self) -> None:
        self.now = NOON

    def ago(self, minutes: float) -> None:
        self.now = NOON - 60 * minutes


@pytest.fixture
def clock() -> Iterator[Clock]:
    """Stands still, in UTC. Nothing waits by it: what waits has the monotonic clock."""
    still, localtime = Clock(), time.localtime
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        patch.setattr(time, "time", lambda: still.now)
        patch.setattr(time, "localtime", lambda at=None: localtime(still.now if at is None else at))
        yield still
    time.tzset()


@pytest.fixture
def same_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What would differ from one machine to the next, and what blinks or goes away by itself."""
    load = Load(3.2, 2.8, 16, 41.5, 125.6, 310.4, 880.0)
    monkeypatch.setattr(machine_facts, "read_load", lambda home: load)
    monkeypatch.setattr(machine_facts, "_resident", lambda pid: 96)
    size_of = cleanup.size_of
    monkeypatch.setattr(cleanup, "size_of", lambda path: 1 << 20 if ".db" in path.name else size_of(path))
    monkeypatch.setattr(library, "_FOLDER", tmp_path / "bundled")
    monkeypatch.setattr(Notification, "has_expired", False)
    monkeypatch.setattr(Notification, "time_left", 3600.0)
    monkeypatch.setattr(Input, "cursor_blink", False)


@pytest.fixture
def daemon(database: Database, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Iterator[None]:
    """The traces of a daemon that runs: its lock, and what it says of itself. Nothing is ever started by it."""
    cards = [{"uuid": f"GPU-{one}", "name": "H200", "memory_bytes": 140 << 30} for one in "ab"]
    cards.append(cards[0] | {"uuid": "GPU-c", "blocked": "in use by ollama (pid 7)"})
    clock.ago(300)
    with monkeypatch.context() as process:
        process.setattr(os, "getpid", lambda: 4321)
        machine.announce(database, 4, cards)
    with paths.daemon_lock(database.home).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
