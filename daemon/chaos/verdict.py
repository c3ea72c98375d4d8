"""What must hold after any number of kills, checked from the outside: from diaries, event files and the store."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path

from engines import events
from store import jobs, machine, metrics, results
from store.database import Database
from store.jobs import Job
from store.results import Attempt
from store.schema import FINAL, Status

Point = tuple[int, float]


@dataclass
class Verdict:
    """How often each promise was broken. All zero is the only good verdict; `findings` says what was seen."""

    lost_jobs: int = 0
    """Jobs without a row, without an end, or with an end after which something happened to them."""
    lost_rows: int = 0
    doubled_rows: int = 0
    wrong_exit_codes: int = 0
    double_bookings: int = 0
    """Two processes of one job, on one GPU, or more than there are slots."""
    findings: list[str] = field(default_factory=list)

    @property
    def broken(self) -> int:
        return sum(getattr(self, one.name) for one in fields(self) if one.name != "findings")

    def add(self, other: "Verdict") -> None:
        for one in fields(self):
            setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))


@dataclass(frozen=True)
class Kills:
    """Whom the trials have killed: (job, attempt) of supervisors and workers."""

    supervisors: set[tuple[int, int]] = field(default_factory=set)
    workers: set[tuple[int, int]] = field(default_factory=set)


def judge(database: Database, job_ids: list[int], witness: Path, kills: Kills) -> Verdict:
    """Looks at every job, once all ought to have ended."""
    verdict = Verdict()
    there = {job.id: job for job in jobs.list_jobs(database, ids=job_ids)} if job_ids else {}
    for job_id in job_ids:
        job = there.get(job_id)
        if job is None:
            verdict.lost_jobs += 1
            verdict.findings.append(f"job {job_id}: has no row")
            continue
        _judge_life(database, job, verdict)
        _judge_rows(database, job, verdict)
        _judge_exit_codes(database, job, kills, verdict)
    meetings = witness / "meetings"
    seen = meetings.read_text().splitlines() if meetings.exists() else []
    seen += [
        f"{uuid} is still booked by job {owner.job_id}"
        for uuid, owners in machine.reservations(database).items()
        for owner in owners
    ]
    verdict.double_bookings += len(seen)
    verdict.findings += seen
    return verdict


def _judge_life(database: Database, job: Job, verdict: Verdict) -> None:
    log = results.list_transitions(database, job.id)
    wrong = []
    if not job.is_final:
        wrong.append(f"is {job.status} for ever: {job.reason}")
    if job.status is Status.LOST:
        wrong.append(f"was given up: {job.reason}")
    if any(Status(line.from_status) in FINAL for line in log if line.from_status):
        wrong.append("an end was overwritten")
    if [line.to_status for line in log][:-1] != [line.from_status for line in log][1:]:
        wrong.append("its audit log has gaps")
    verdict.lost_jobs += bool(wrong)
    verdict.findings += [f"job {job.id}: {text}" for text in wrong]


def _judge_rows(database: Database, job: Job, verdict: Verdict) -> None:
    expected = dict(_expected(database.run_dir(job.id) / events.FILE_NAME))
    # What the daemon samples of the job's GPUs is no event of the worker.
    named = {s.name for s in metrics.list_series(database, [job.id]) if not s.name.startswith("gpu/")}
    for name in named | set(expected):
        known = name in named
        stored = Counter(
            (point.step, point.value)
            for point in (metrics.read_points(database, job.id, name) if known else ())
        )
        wanted = Counter(expected.get(name, []))
        lost, doubled = (wanted - stored).total(), (stored - wanted).total()
        verdict.lost_rows += lost
        verdict.doubled_rows += doubled
        if lost or doubled:
            verdict.findings.append(f"job {job.id}: metric {name}: {lost} rows lost, {doubled} too many")


def _expected(path: Path) -> Iterator[tuple[str, list[Point]]]:
    """The points that the event file leaves in each series, worked out without the store: a resume takes back what follows."""
    series: dict[str, list[Point]] = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        event = json.loads(line)
        if event["kind"] == "started":
            for name, points in series.items():
                series[name] = [point for point in points if point[0] <= (event["resume_step"] or 0)]
        elif event["kind"] == "metrics":
            for name, value in event["values"].items():
                series.setdefault(name, []).append((event["step"], float(value)))
    yield from series.items()


def _judge_exit_codes(database: Database, job: Job, kills: Kills, verdict: Verdict) -> None:
    diary_file = database.run_dir(job.id) / "diary"
    diary = [line.split() for line in diary_file.read_text().splitlines()] if diary_file.exists() else []
    said = {int(line[1]): int(line[2]) for line in diary if line[0] == "end"}
    started = Counter(int(line[1]) for line in diary if line[0] == "start")
    attempts = results.list_attempts(database, job.id)
    wrong = [text for attempt in attempts if (text := _wrong_code(job.id, attempt, said, started, kills))]
    wrong += [f"attempt {number} ran {times} times" for number, times in started.items() if times > 1]
    if job.is_final and attempts and job.exit_code != attempts[-1].exit_code:
        wrong.append(f"its exit code is {job.exit_code}, that of its last attempt {attempts[-1].exit_code}")
    verdict.wrong_exit_codes += len(wrong)
    verdict.findings += [f"job {job.id}: {text}" for text in wrong]


def _wrong_code(
    job_id: int, attempt: Attempt, said: dict[int, int], started: Counter[int], kills: Kills
) -> str | None:
    """What is wrong with the code of an attempt. Only a killed supervisor may leave none, only a killed worker -9."""
    who = (job_id, attempt.number)
    if attempt.exit_code is None:
        excused = who in kills.supervisors or not started[attempt.number]
        return None if excused else f"attempt {attempt.number} ran and has no exit code"
    killed = attempt.exit_code == -9 and who in kills.workers
    if killed or attempt.exit_code == said.get(attempt.number):
        return None
    return f"attempt {attempt.number} has exit code {attempt.exit_code}, its worker said {said.get(attempt.number)}"
