"""Whatever jobs go through: what was seen live at a moment is what the past shows of it later."""

import math
import time
from contextlib import closing, suppress
from dataclasses import asdict
from random import Random
from typing import Any
from unittest import mock

import pytest

from store import groups, jobs, lifecycle, machine, metrics, queue, records, results, slurm, tree, wishes
from store.database import Database, StoreError, open_database
from store.experiments import NewJob
from store.filter_language import parse
from store.lifecycle import Outcome
from store.past import Past
from store.past_views import VIEWS
from store.queue import JobRow, Sort
from store.schema import ACTIVE, FINAL, WAITING, Status, metadata

START = 1_790_000_000.0
NAMES = ("loss", "reward")
WHOLE_RECORD = {"events_offset", "unreadable_lines"}


class Clock:
    """Seconds pass when somebody lets them."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


def look(database: Database) -> dict[str, Any]:
    """All that a person may see of the store, by the functions with which it is read."""
    _, rows = queue.read_rows(database)
    ids = sorted(row.id for row in rows)
    series = metrics.list_series(database, ids)
    return {
        "rows": rows,
        "by loss": [row.id for row in queue.read_rows(database, sort=Sort("loss"))[1]],
        "old": [row.id for row in queue.read_rows(database, where=parse("age>90s"))[1]],
        "ran long": queue.read_ids(database, parse("took>60s")),
        "tree": tree.read_tree(database),
        "counts": jobs.count_by_status(database),
        "jobs": [jobs.get_job(database, job_id) for job_id in ids],
        "needs": [(job.id, job.status, alias) for i in ids for job, alias in jobs.needs_of(database, i)],
        "series": series,
        "charts": [metrics.chart(database, one.job_id, one.name, 3) for one in series],
        "zoomed": [metrics.chart(database, one.job_id, one.name, 3, 5, 40) for one in series],
        "points": [list(metrics.read_points(database, one.job_id, one.name)) for one in series],
        "times": [metrics.step_times(database, one.job_id, one.name, 4) for one in series],
        "retracted": [list(metrics.read_points(database, s.job_id, s.name, retracted=True)) for s in series],
        "log": [results.list_transitions(database, job_id) for job_id in ids],
        "messages": [results.list_messages(database, job_id) for job_id in ids],
        "attempts": [results.list_attempts(database, job_id) for job_id in ids],
        "artifacts": [results.list_artifacts(database, job_id) for job_id in ids],
        "scores": {job_id: results.list_scores(database, [job_id]) for job_id in ids},
        "examples": {job_id: results.list_examples(database, job_id) for job_id in ids},
        "cards": machine.reservations(database),
    }


def known(seen: dict[str, Any], unsettled: set[int]) -> dict[str, Any]:
    """What the past can know of it: without what the docstring of `store/past.py` says that it cannot."""
    told = dict(seen)
    for name in ("scores", "examples"):
        told[name] = {job_id: found for job_id, found in seen[name].items() if job_id not in unsettled}
    told["jobs"] = [_known_of(asdict(job)) for job in seen["jobs"]]
    told["rows"] = [_known_of(asdict(row), row.id in unsettled) for row in seen["rows"]]
    if unsettled:
        del told["tree"]
    return told


def _known_of(row: dict[str, Any], unsettled: bool = False) -> dict[str, Any]:
    hidden = {
        "events_offset",
        "unreadable_lines",
        "not_before",
        "progress_done",
        "progress_total",
        "progress_unit",
        "progress_at",
    }
    if row["status"] not in (Status.CANCELLED, *WAITING):
        hidden |= {"cancel_requested"}
    if unsettled:
        hidden |= {"accuracy"}
    return {name: value for name, value in row.items() if name not in hidden}


class Bench:
    """Does to jobs what people, the daemon and workers do, at random, a while apart."""

    def __init__(self, database: Database, clock: Clock, random: Random) -> None:
        self.database, self.clock, self.random = database, clock, random
        self.steps: dict[int, int] = {}

    def some(self, *statuses: Status) -> jobs.Job | None:
        found = jobs.list_jobs(self.database, statuses=statuses)
        return self.random.choice(found) if found else None

    def submit(self) -> None:
        count = self.random.randint(1, 3)
        held, retries = self.random.random() < 0.5, self.random.randint(0, 2)
        new = [
            NewJob(str(i), "sft", {"priority": 2}, ((str(i - 1), "it"),) if i else (), i % 2, 2, retries)
            for i in range(count)
        ]
        rule = {"failures": 1, "seconds": 1000} if self.random.random() < 0.5 else None
        lifecycle.enqueue(self.database, "demo", new, held=held, hold_after=rule)

    def claim(self) -> None:
        lifecycle.claim(self.database, 2, ["GPU-a", "GPU-b"])

    def start(self) -> None:
        if job := self.some(Status.STARTING):
            lifecycle.mark_running(self.database, job.id, {"started_at": self.clock.now - 0.5})
            self.clock.now += 0.25
            last = self.steps.get(job.id)
            resume = self.random.randint(0, last) if last is not None and self.random.random() < 0.5 else None
            self.steps[job.id] = resume or 0
            self.record(job.id, {"kind": "started", "attempt": job.attempt, "resume_step": resume})

    def train(self) -> None:
        if job := self.some(Status.RUNNING):
            first, count = self.steps.get(job.id, 0) + 1, self.random.randint(1, 30)
            for step in range(first, first + count):
                self.clock.now += 0.25
                value = self.random.choice((0.5, 1.5, math.nan))
                values = {"loss": value, "reward": step / 7} if step % 3 else {"loss": value}
                self.record(
                    job.id,
                    {"kind": "metrics", "step": step, "values": values},
                    {"kind": "progress", "done": step, "total": 200, "unit": "step"},
                )
            self.steps[job.id] = first + count - 1

    def observe(self) -> None:
        if job := self.some(Status.RUNNING):
            with self.database.write() as connection:
                step = int(self.clock.now - START)
                metrics.append(connection, job.id, job.attempt, [("gpu/0/util", step, 50.0, self.clock.now)])

    def report(self) -> None:
        if job := self.some(Status.RUNNING):
            score = {"kind": "score", "name": "strict", "value": self.random.choice((0.25, 0.5))}
            fields = {"example_id": "q", "sample": 0, "strict": True, "robust": True}
            example = {"kind": "example", "key": "q/0", "fields": fields}
            path = {"kind": "checkpoint", "path": f"c-{self.clock.now}", "step": 1}
            self.record(
                job.id, score, example, path, {"kind": "message", "text": "so far", "level": "warning"}
            )

    def grade_again(self) -> None:
        if job := self.some(*FINAL):
            score = {"kind": "score", "name": "strict", "value": 0.75, "time": self.clock.now}
            at = job.events_offset
            records.record(self.database, job.id, at, at + 1, [score], amendment="graded again")

    def finish(self) -> None:
        if job := self.some(*ACTIVE):
            ending = self.random.choice((Status.SUCCEEDED, Status.FAILED, Status.LOST, Status.QUEUED))
            code, again = self.random.choice((0, 1, -9)), self.random.random() < 0.5
            fallback = self.random.random() < 0.5
            lifecycle.finish(
                self.database, job.id, Outcome(ending, code, "it ended", again, fallback=fallback)
            )

    def come_back(self) -> None:
        """A job is lost, and goes on from a checkpoint, as often as not before it has got as far again."""
        if job := self.some(Status.RUNNING):
            for _ in range(self.random.randint(1, 2)):
                if jobs.get_job(self.database, job.id).status in ACTIVE:
                    lifecycle.finish(self.database, job.id, Outcome(Status.QUEUED, None, "stopped"))
                self.clock.now += 5.0
                if self.random.random() < 0.5:
                    self.claim()
                    self.start()
                    self.train()

    def cancel(self) -> None:
        if job := self.some(*WAITING, *ACTIVE):
            wishes.request_cancel(self.database, job.id)

    def undo(self) -> None:
        if job := self.some(Status.CANCELLED):
            self.unless_refused(wishes.undo_cancel, job.id)

    def retry(self) -> None:
        if job := self.some(Status.FAILED, Status.CANCELLED, Status.LOST):
            self.unless_refused(wishes.retry, job.id)

    def hold(self) -> None:
        if job := self.some(*WAITING):
            wishes.set_held(self.database, job.id, not job.held)

    def release(self) -> None:
        if job := self.some(*WAITING):
            wishes.set_priority(self.database, job.id, self.random.randint(-3, 3))

    def unless_refused(self, wish: Any, job_id: int) -> None:
        with suppress(StoreError):
            wish(self.database, job_id)

    def record(self, job_id: int, *events: dict[str, Any]) -> None:
        at = jobs.get_job(self.database, job_id).events_offset
        records.record(self.database, job_id, at, at + 1, [{"time": self.clock.now} | e for e in events])


DEEDS = (
    *(
        "submit",
        "claim",
        "claim",
        "start",
        "start",
        "train",
        "train",
        "observe",
        "report",
        "grade_again",
        "come_back",
        "come_back",
    ),
    *("finish", "finish", "cancel", "undo", "retry", "hold", "release"),
)


def unsettled_at(database: Database, moment: float, ids: list[int]) -> set[int]:
    """Jobs whose scores at a moment have no time that tells: they ran then, or reported anew later."""
    found = set()
    for job_id in ids:
        log = results.list_transitions(database, job_id)
        status = [line.to_status for line in log if line.time <= moment][-1]
        anew = [
            x for x in log if x.time > moment and (x.to_status == "starting" or x.reason == "graded again")
        ]
        if status in ACTIVE or anew:
            found.add(job_id)
    return found


@pytest.mark.parametrize("seed", range(10))
def test_what_was_seen_live_is_what_the_past_shows(seed, home):
    random, clock = Random(seed), Clock()
    with mock.patch.object(time, "time", clock), closing(open_database(home)) as database:
        bench, album = Bench(database, clock, random), []
        for deed in ("submit", "claim", *random.choices(DEEDS, k=45)):
            clock.now += random.choice((1.0, 40.0, 4000.0))
            getattr(bench, deed)()
            clock.now += 1.0
            album.append((clock.now, look(database)))
        clock.now += 100
        random.shuffle(album)
        with closing(Past(database, clock.now)) as past:
            for moment, seen in album:
                past.seek(moment)
                unsettled = unsettled_at(database, moment, [job.id for job in seen["jobs"]])
                found = look(past)
                assert not any(found["scores"].get(one) for one in unsettled)
                live, then = known(seen, unsettled), known(found, unsettled)
                for part in live:
                    assert repr(then[part]) == repr(live[part]), (part, moment)
                for before, after in zip(seen["rows"], found["rows"], strict=True):
                    assert _may_be_seen(before, after)


def _may_be_seen(live: JobRow, then: JobRow) -> bool:
    """Progress is right, or not known; or it is that of the checkpoint, from which a job has just gone on."""
    told = (then.progress_done, then.progress_total, then.progress_at)
    was = (live.progress_done, live.progress_total, live.progress_at)
    return told in (was, (None, None, None)) or live.attempt > 1


def test_every_table_of_the_store_has_a_past():
    assert set(VIEWS) == set(metadata.tables)


def test_every_column_of_the_past_is_one_of_the_store(database):
    with closing(Past(database, START)) as past, past.read() as connection:
        for table in metadata.tables.values():
            assert set(connection.execute(table.select()).keys()) == set(table.c.keys()), table.name


def test_the_past_is_not_written_to(database):
    ids = lifecycle.enqueue(database, "demo", [NewJob("a", "sft", {})])[1]
    with closing(Past(database, time.time())) as past:
        with pytest.raises(StoreError, match="the past cannot be changed"):
            wishes.request_cancel(past, ids[0])
        with pytest.raises(StoreError, match="readonly"), past.read() as connection:
            connection.exec_driver_sql("UPDATE main.jobs SET priority = 7")
    assert jobs.get_job(database, ids[0]).priority == 0


def test_a_search_for_the_moment_reads_few_points_and_never_all_of_them(database):
    """Of a large series, the rows that are read grow with the logarithm of its length."""
    lifecycle.enqueue(database, "demo", [NewJob("a", "sft", {})])
    with database.write() as connection:
        metrics.append(connection, 1, 1, [("loss", step, 1.0, START + step) for step in range(20_000)])
    with closing(Past(database, START + 12_345.5)) as past, past.read() as connection:
        plan = connection.exec_driver_sql(
            "EXPLAIN QUERY PLAN SELECT * FROM points WHERE series_id = 1 AND ordinal >= 5 AND ordinal < 9"
        ).all()
    assert not [row for row in plan if row[3].startswith(("SCAN s", "SCAN p ", "SCAN main"))]


def test_a_job_of_which_nothing_was_logged_by_then_is_not_shown_as_it_is_today(database):
    lifecycle.enqueue(database, "demo", [NewJob("a", "sft", {})])
    now = time.time()
    with database.write() as connection:
        connection.exec_driver_sql("UPDATE transitions SET time = time + 1000")
        connection.exec_driver_sql("UPDATE jobs SET status = 'failed', exit_code = 3")
    with closing(Past(database, now)) as past:
        job = jobs.get_job(past, 1)
    assert (job.status, job.exit_code) == (Status.QUEUED, None)
    assert "not on record" in job.reason


def test_a_second_connection_sees_the_moment_that_was_sought_last(database):
    lifecycle.enqueue(database, "demo", [NewJob("a", "sft", {})])
    with closing(Past(database, START)) as past, past.read():
        past.seek(time.time())
        assert len(queue.read_rows(past)[1]) == 1
        past.seek(START)
        assert queue.read_rows(past)[1] == []


def test_points_that_were_retracted_by_two_resumes_come_back_in_the_order_logged(database, monkeypatch):
    """The second resume goes back behind the first: what it takes back was logged before what the first took back."""
    clock = Clock()
    monkeypatch.setattr(time, "time", clock)
    lifecycle.enqueue(database, "demo", [NewJob("a", "sft", {})])
    bench, album = Bench(database, clock, Random(0)), []
    for resume, last in ((None, 100), (60, 80), (40, 50)):
        lifecycle.claim(database, 1, [])
        lifecycle.mark_running(database, 1, {"started_at": clock.now})
        clock.now += 1
        bench.record(1, {"kind": "started", "resume_step": resume})
        for step in range((resume or 0) + 1, last + 1):
            clock.now += 1
            bench.record(1, {"kind": "metrics", "step": step, "values": {"loss": clock.now - START}})
            album.append((clock.now, look(database)))
        clock.now += 1
        lifecycle.finish(database, 1, Outcome(Status.QUEUED, None, "stopped"))
    with closing(Past(database, START)) as past:
        for moment, seen in album:
            past.seek(moment)
            found = look(past)
            for part in ("series", "charts", "zoomed", "points", "times", "retracted"):
                assert repr(found[part]) == repr(seen[part]), (part, moment - START)


def test_a_moment_that_is_looked_at_stays_what_it_was_while_jobs_go_on(database, monkeypatch):
    """A resume takes points back, and a grading changes scores, of a moment that somebody has open."""
    clock = Clock()
    monkeypatch.setattr(time, "time", clock)
    lifecycle.enqueue(database, "demo", [NewJob("a", "sft", {}), NewJob("b", "eval", {})])
    bench = Bench(database, clock, Random(0))
    lifecycle.claim(database, 2, [])
    lifecycle.mark_running(database, 1, {"started_at": clock.now})
    bench.record(1, {"kind": "metrics", "step": 1, "values": {"loss": 2.0}})
    bench.record(1, {"kind": "metrics", "step": 2, "values": {"loss": 1.0}})
    lifecycle.claim(database, 2, [])
    bench.record(2, {"kind": "score", "name": "strict", "value": 0.5, "fields": {}})
    lifecycle.finish(database, 2, Outcome(Status.SUCCEEDED, 0, None))
    with closing(Past(database, clock.now)) as past:
        before = look(past)
        assert [point.step for point in before["points"][0]] == [1, 2]
        clock.now += 10
        bench.record(1, {"kind": "started", "resume_step": 1})
        records.record(database, 2, 1, 2, [{"kind": "score", "name": "strict", "value": 0.9, "fields": {}}], amendment="graded again")  # fmt: skip
        after = look(past)
        assert after["points"] == before["points"]
        assert after["retracted"] == before["retracted"]
        assert [score.value for score in after["scores"][2]] != [0.9]


def test_a_read_that_fails_leaves_no_half_told_past(database):
    lifecycle.enqueue(database, "demo", [NewJob("a", "sft", {})])
    with closing(Past(database, time.time())) as past:
        with pytest.raises(ZeroDivisionError), past.read():
            raise ZeroDivisionError
        assert len(queue.read_rows(past)[1]) == 1


def test_what_slurm_said_last_is_not_said_of_before(database, monkeypatch):
    clock = Clock()
    monkeypatch.setattr(time, "time", clock)
    lifecycle.enqueue(database, "demo", [NewJob("a", "sft", {}, slurm="a100")])
    claimed = lifecycle.claim(database, 1, [], slurm={"a100": 1})
    assert claimed
    clock.now += 10
    slurm.note(database, claimed[0], id=77, state="RUNNING")
    slurm.say(database, claimed[0], "runs on node 3")
    lifecycle.mark_running(database, 1, {"started_at": clock.now})
    with closing(Past(database, START + 5)) as past:
        (attempt,) = results.list_attempts(past, 1)
        assert attempt.slurm["profile"] == "a100"
        assert set(attempt.slurm) == {"profile", "name"}
        assert jobs.get_job(past, 1).reason == "claimed"
        past.seek(clock.now + 1)
        assert jobs.get_job(past, 1).reason is None


def test_the_daemon_is_known_from_its_start_on_and_without_what_blocked_its_cards(database, monkeypatch):
    clock = Clock()
    monkeypatch.setattr(time, "time", clock)
    machine.announce(database, 3, [{"uuid": "GPU-a", "name": "H200", "blocked": "somebody computes on it"}])
    groups.set_group(database, "big", slots=2)
    clock.now += 100
    machine.take_leave(database)
    with closing(Past(database, START - 1)) as past:
        assert machine.get_daemon(past) is None
        past.seek(START + 50)
        daemon = machine.get_daemon(past)
        assert (daemon.cpu_slots, daemon.gpus) == (3, [{"uuid": "GPU-a", "name": "H200"}])
        assert daemon.stopped_at is None
        assert groups.list_groups(past) == []
        past.seek(START + 100)
        assert machine.get_daemon(past).stopped_at == START + 100
