"""Any life that jobs may lead, drawn at random on the real store: after every step, what is promised must hold."""

import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import select

from store import jobs, lifecycle, machine, metrics, rebuild, results, wishes
from store.database import StoreError, open_database
from store.jobs import Job
from store.lifecycle import NewJob, Outcome
from store.records import record
from store.schema import ACTIVE, FINAL, WAITING, Status, attempts, dependencies, transitions
from store.schema import jobs as job_table

SLOTS = 2
GPUS = ["GPU-a", "GPU-b"]
ENDS = [Status.SUCCEEDED, Status.FAILED, Status.LOST, Status.QUEUED]


class CrashError(Exception):
    """The process dies inside a transaction."""


class Life(RuleBasedStateMachine):
    """Submit, claim, start, report, end, cancel, retry, hold, release, and daemons that die in between."""

    def __init__(self) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp(prefix="life-"))
        self.database = open_database(self.home)
        self.points: dict[int, list[int]] = {}
        self.offsets: dict[int, int] = {}
        self.ended: dict[int, tuple[Status, int | None]] = {}

    def teardown(self) -> None:
        try:
            self._check_that_the_journal_tells_the_same()
        finally:
            self.database.close()
            shutil.rmtree(self.home)

    def some(self, data: Any, *statuses: Status) -> Job | None:
        found = jobs.list_jobs(self.database, statuses=statuses)
        return data.draw(st.sampled_from(found)) if found else None

    @initialize()
    def a_chain_is_there(self) -> None:
        self.submit([0, 1, 0], [0, 0, 0], 1, False)

    @rule(
        gpus=st.lists(st.sampled_from([0, 0, 1, 2, 3, None]), min_size=1, max_size=3),
        priorities=st.lists(st.integers(-1, 1), min_size=3, max_size=3),
        retries=st.integers(0, 2),
        held=st.booleans(),
    )
    def submit(self, gpus: list[int | None], priorities: list[int], retries: int, held: bool) -> None:
        """A chain: each job needs the one before it."""
        new = [
            NewJob(str(i), "command", {"n": i}, ((str(i - 1), "it"),) if i else (), count, priority, retries)
            for i, (count, priority) in enumerate(zip(gpus, priorities, strict=False))
        ]
        _, ids = lifecycle.enqueue(self.database, "life", new, held=held)
        for job_id in ids:
            assert job_id not in self.points
            self.points[job_id], self.offsets[job_id] = [], 0

    @rule()
    def claim(self) -> None:
        if claimed := lifecycle.claim(self.database, SLOTS, GPUS):
            job, devices = claimed
            assert not job.held
            assert all(need.status is Status.SUCCEEDED for need, _ in jobs.needs_of(self.database, job.id))
            wanted = min(1, len(GPUS)) if job.gpus is None else job.gpus
            assert len(devices) == wanted

    @rule(data=st.data())
    def start(self, data: Any) -> None:
        if job := self.some(data, Status.STARTING):
            lifecycle.mark_running(self.database, job.id, {"started_at": 1.0, "supervisor": {}, "worker": {}})

    @rule(data=st.data(), count=st.integers(1, 20), fails=st.booleans())
    def report(self, data: Any, count: int, fails: bool) -> None:
        """A batch of metrics; recorded again, as by a daemon that has forgotten, it is refused."""
        if not (job := self.some(data, Status.RUNNING)):
            return
        offset, steps = self.offsets[job.id], self.points[job.id]
        new = list(range(len(steps), len(steps) + count))
        events = [{"kind": "metrics", "time": 1.0, "step": step, "values": {"loss": 0.5}} for step in new]
        if fails:
            broken = [*events, {"kind": "score", "name": object(), "value": 1.0}]
            with pytest.raises(StoreError):
                record(self.database, job.id, offset, offset + count, broken)
        record(self.database, job.id, offset, offset + count, events)
        steps += new
        self.offsets[job.id] += count
        with pytest.raises(StoreError):
            record(self.database, job.id, offset, offset + count, events)

    @rule(data=st.data(), status=st.sampled_from(ENDS), retry=st.booleans(), code=st.sampled_from([0, 1, -9]))
    def finish(self, data: Any, status: Status, retry: bool, code: int) -> None:
        if job := self.some(data, *ACTIVE):
            new = lifecycle.finish(self.database, job.id, Outcome(status, code, "it ended", retry))
            after = jobs.get_job(self.database, job.id)
            assert (after.status, after.exit_code) == (new, code)
            again = new is Status.QUEUED
            assert not (again and job.cancel_requested)
            assert not (again and status is not Status.QUEUED and job.retries_left == 0)

    @rule(data=st.data())
    def finishing_twice_is_refused(self, data: Any) -> None:
        if job := self.some(data, *FINAL):
            with pytest.raises(StoreError):
                lifecycle.finish(self.database, job.id, Outcome(Status.FAILED, 1, "again"))

    @rule(data=st.data())
    def cancel(self, data: Any) -> None:
        if job := self.some(data, *WAITING, *ACTIVE):
            after = wishes.request_cancel(self.database, job.id)
            assert after.status is (Status.CANCELLED if job.status in WAITING else job.status)

    @rule(data=st.data())
    def retry(self, data: Any) -> None:
        if job := self.some(data, Status.FAILED, Status.CANCELLED, Status.LOST):
            needs = [need.status for need, _ in jobs.needs_of(self.database, job.id)]
            if any(need in FINAL and need is not Status.SUCCEEDED for need in needs):
                with pytest.raises(StoreError, match="would wait for ever"):
                    wishes.retry(self.database, job.id)
                return
            wishes.retry(self.database, job.id)
            self.ended.pop(job.id, None)
            for other in jobs.list_jobs(self.database, statuses=WAITING):
                self.ended.pop(other.id, None)  # those that were given up because of it wait again

    @rule(data=st.data(), held=st.booleans())
    def hold_or_release(self, data: Any, held: bool) -> None:
        if job := self.some(data, *WAITING):
            assert wishes.set_held(self.database, job.id, held).held is held

    @rule()
    def the_daemon_is_killed(self) -> None:
        self.database.close()
        self.database = open_database(self.home)

    @precondition(lambda self: jobs.list_jobs(self.database, statuses=WAITING))
    @rule(data=st.data())
    def the_daemon_is_killed_inside_a_transaction(self, data: Any) -> None:
        before = self._rows()
        job = self.some(data, *WAITING)
        assert job is not None
        with pytest.raises(CrashError), self.database.write() as connection:
            connection.execute(job_table.update().where(job_table.c.id == job.id).values(status="succeeded"))
            raise CrashError
        self.the_daemon_is_killed()
        assert self._rows() == before

    @invariant()
    def no_card_and_no_slot_is_given_out_twice(self) -> None:
        booked = machine.reservations(self.database)
        assert all(len(owners) == 1 for owners in booked.values())
        held = {uuid: owners[0].job_id for uuid, owners in booked.items()}
        active = {job.id: job for job in jobs.list_jobs(self.database, statuses=ACTIVE)}
        assert set(held) <= set(GPUS)
        assert set(held.values()) <= set(active)
        assert len(set(active) - set(held.values())) <= SLOTS
        for job_id, count in Counter(held.values()).items():
            wanted = active[job_id].gpus
            assert count == (1 if wanted is None else wanted)

    @invariant()
    def no_end_is_overwritten_and_no_job_vanishes(self) -> None:
        there = {job.id: job for job in jobs.list_jobs(self.database)}
        assert set(there) == set(self.points)
        for job_id, end in self.ended.items():
            assert (there[job_id].status, there[job_id].exit_code) == end
        self.ended = {job.id: (job.status, job.exit_code) for job in there.values() if job.is_final}

    @invariant()
    def the_audit_log_tells_every_life_without_a_gap(self) -> None:
        for job in jobs.list_jobs(self.database):
            log = results.list_transitions(self.database, job.id)
            assert [line.from_status for line in log] == [None, *(line.to_status for line in log)][:-1]
            assert log[-1].to_status == job.status
            assert len(results.list_attempts(self.database, job.id)) == job.attempt

    @invariant()
    def who_waits_for_others_waits_for_what_can_still_come(self) -> None:
        for job in jobs.list_jobs(self.database):
            needs = [need.status for need, _ in jobs.needs_of(self.database, job.id)]
            if job.status is Status.BLOCKED:
                assert any(need is not Status.SUCCEEDED for need in needs)
                assert not any(need in FINAL and need is not Status.SUCCEEDED for need in needs)
            elif job.status in (Status.QUEUED, *ACTIVE):
                assert all(need is Status.SUCCEEDED for need in needs)

    @invariant()
    def every_metric_is_there_once(self) -> None:
        for job_id, steps in self.points.items():
            if steps:
                stored = [point.step for point in metrics.read_points(self.database, job_id, "loss")]
                assert stored == steps

    def _check_that_the_journal_tells_the_same(self) -> None:
        copy = open_database(self.home, self.home / "copy.db")
        for submission in rebuild.read_submissions(self.home)[0]:
            rebuild.restore(copy, submission)
        original, self.database = self.database, copy
        try:
            told = self._rows()
        finally:
            self.database = original
            copy.close()
            for path in self.home.glob("copy.db*"):
                path.unlink()
        assert told == self._rows()

    def _rows(self) -> dict[str, list[Any]]:
        """The tables of the queue, without what events say."""
        kept = {}
        with self.database.read() as connection:
            for table in (job_table, attempts, dependencies, transitions):
                columns = [
                    column
                    for column in table.c
                    if column.name not in rebuild.UNREAD and (table is not transitions or column.name != "id")
                ]
                kept[table.name] = sorted(map(repr, connection.execute(select(*columns)).all()))
        return kept


BASE = {
    "deadline": None,
    "derandomize": True,
    "phases": (Phase.generate,),
    "suppress_health_check": list(HealthCheck),
}


class TestFew(Life.TestCase):  # type: ignore[misc, name-defined]
    settings = settings(max_examples=15, stateful_step_count=25, **BASE)  # type: ignore[arg-type]


@pytest.mark.slow
class TestMany(Life.TestCase):  # type: ignore[misc, name-defined]
    settings = settings(max_examples=400, stateful_step_count=50, **BASE)  # type: ignore[arg-type]
