"""The executor beside this machine: hands attempts to sbatch, follows them by squeue, stops them by scancel.

    claimed -> sbatch-N.sh -> sbatch (out, err, lock beside the script) -> Slurm's number -> squeue ... -> exit-N.json

Nothing here waits for Slurm, and nothing is concluded from its silence: as long as squeue does not answer, what it said
last holds. Before a script is handed over its name there is on record, so that a daemon that comes back after a crash
finds what the last one has submitted, and submits nothing twice.
"""

import logging
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from daemon.launch import Machine, exit_file, prepare
from daemon.records import read_record
from daemon.slurm import commands, endings, script
from daemon.slurm.answers import OVER, SACCT, SQUEUE, Answer, Seen, read_sacct, read_squeue, refusal
from daemon.slurm.commands import Question
from daemon.slurm.node import AGAIN_NAME
from daemon.slurm.settings import SlurmSettings
from store import faults, slurm
from store.database import Database
from store.jobs import Job
from store.lifecycle import Outcome
from store.schema import Status

SUBMISSIONS_AT_ONCE = 4
RESEND_SECONDS = 5.0
"""After which a job that was asked to stop, and has not, is asked again: Slurm may not have heard it."""

log = logging.getLogger(__name__)


@dataclass
class _Followed:
    """What one daemon has seen of an attempt. All of it can be seen again."""

    name: str = ""
    """By which Slurm knows it. Its numbers may come again, when its controller has lost its state."""
    number: str | None = None
    """Slurm's, once it is known."""
    known_at: float = 0.0
    """When it was; or, before that, when sbatch was seen to be done."""
    outcome: Outcome | None = None
    """Of a submission that has come to nothing."""
    over_since: float | None = None
    state: str | None = None
    accounting: Question | None = None
    asked_first: float | None = None
    asked_last: float = float("-inf")


class Cluster:
    """Slurm, as one daemon deals with it. Without a job there it costs nothing."""

    def __init__(self, database: Database, settings: SlurmSettings, dropped: list[str]) -> None:
        """`dropped` are the names of the daemon's variables that no job gets."""
        self.database = database
        self._dropped = dropped
        self.settings = settings
        self._followed: dict[tuple[int, int], _Followed] = {}
        self._answer: Answer | None = None
        self._question: Question | None = None
        self._asked_at = float("-inf")
        self._paused_until = float("-inf")
        self._trouble: str | None = None

    def announce(self) -> None:
        """Tells the cockpit which profiles there are, and what is wrong."""
        if self.settings.profiles:
            missing = [name for name in ("sbatch", "squeue", "scancel") if shutil.which(name) is None]
            if missing:
                self._trouble = f"not on the daemon's PATH: {', '.join(missing)}"
            self._publish()

    def _publish(self) -> None:
        if self.settings.profiles:
            slots = {name: profile.slots for name, profile in self.settings.profiles.items()}
            slurm.publish(self.database, slots, self._trouble)

    def look(self, active: Sequence[Job]) -> None:
        """Once a round: takes in what squeue has answered, and asks again when that is due."""
        keys = [(job.id, job.attempt) for job in active if job.slurm]
        self._followed = {key: self._followed.get(key) or _Followed() for key in keys}
        if self._question is not None and self._question.is_done():
            lines, words = self._question.answer()
            if lines is not None:
                self._answer = read_squeue(lines, self._question.begun_at)
            self._question = None
            self._set_trouble(None if lines is not None else refusal(words) or "squeue does not answer")
        wanted = bool(keys) or self._trouble is not None
        if wanted and self._question is None and time.monotonic() >= self._asked_at + self.settings.poll_seconds:  # fmt: skip
            self._asked_at = time.monotonic()
            self._question = Question([*SQUEUE, f"--user={os.getuid()}"])

    def room(self) -> dict[str, int]:
        """How many more jobs each profile takes now. None while Slurm does not answer."""
        profiles = self.settings.profiles
        if not profiles or self._trouble or time.monotonic() < self._paused_until:
            return {}
        underway = sum(it.number is None for it in self._followed.values())
        if underway >= SUBMISSIONS_AT_ONCE:
            return {}
        taken = slurm.count_active(self.database)
        return {name: profile.slots - taken.get(name, 0) for name, profile in profiles.items()}

    def start(self, job: Job) -> None:
        """Has sbatch take a claimed job's current attempt. Returns at once."""
        profile = self.settings.profiles[job.slurm or ""]
        resources = job.recipe["resources"]
        self._followed[job.id, job.attempt] = _Followed()
        machine = Machine(0, profile.cpus, self._dropped)
        run_dir = prepare(self.database, machine, job, None, script.grace_seconds(profile, resources))
        name = slurm.attempts_of(self.database, job.id)[-1]["name"]
        path = script.path_of(run_dir, job.attempt)
        script.write(path, script.text_of(profile, resources, name, run_dir, job.attempt))
        os.close(os.open(run_dir / "worker.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
        faults.point("slurm.frozen")
        commands.submit(path)
        faults.point("slurm.submitting")

    def holds(self, job: Job) -> bool:
        """Whether an attempt goes on, or whether nothing can be said of it yet."""
        it = self._followed.setdefault((job.id, job.attempt), _Followed())
        if it.number is None:
            self._identify(job, it)
        if it.number is None:
            return it.outcome is None
        run_dir = self.database.run_dir(job.id)
        ending = read_record(exit_file(run_dir, job.attempt))
        if ending and (job.cancel_requested or endings.speaks_for_itself(job, ending)):
            return False
        if self._answer is None or self._answer.begun_at <= it.known_at:
            return True
        seen = self._seen(it)
        if seen is not None and seen.state not in OVER:
            it.over_since = None
            if job.reason != seen.words():
                slurm.say(self.database, job, seen.words())
            return True
        return not self._is_over(it, seen, ending is not None or _again(run_dir, job))

    def conclude(self, job: Job) -> Outcome:
        """The outcome of an attempt that `holds` no longer."""
        it = self._followed[job.id, job.attempt]
        if it.outcome is not None:
            return it.outcome
        run_dir = self.database.run_dir(job.id)
        profile = self.settings.profiles.get(job.slurm or "")
        return endings.conclude(
            self.database,
            job,
            it.state,
            read_record(exit_file(run_dir, job.attempt)),
            limit=script.limit_of(profile, job.recipe["resources"]),
            again=_again(run_dir, job),
        )

    def stop(self, job: Job) -> None:
        """Asks Slurm to end a job: one that waits is taken back, one that runs is to stop at a checkpoint."""
        it = self._followed.get((job.id, job.attempt))
        now = time.monotonic()
        if it is None or it.number is None or now < it.asked_last + RESEND_SECONDS:
            return
        if it.asked_first is None:
            it.asked_first = now
            slurm.note(self.database, job, asked=True)
        it.asked_last = now
        self._asked_at = float("-inf")
        seen = self._seen(it)
        profile = self.settings.profiles.get(job.slurm or "")
        grace = script.grace_seconds(profile, job.recipe["resources"]) if profile else 0.0
        how = ["--state=PENDING"]
        if seen is not None and seen.state != "PENDING":
            # The supervisor stops the worker and gives it time; only one that is gone leaves that to Slurm.
            late = now > it.asked_first + grace + 2 * self.settings.patience_seconds
            how = [] if late else ["--signal=TERM", "--batch"]
        named = [f"--name={it.name}"] if it.name else []
        limit = str(commands.QUERY_SECONDS)
        commands.spawn(["timeout", "-k", "5", limit, "scancel", *how, *named, it.number])

    def _identify(self, job: Job, it: _Followed) -> None:
        """Finds out which of Slurm's jobs an attempt is, or that it is none."""
        facts = slurm.attempts_of(self.database, job.id)[-1]
        it.name = facts.get("name", "")
        number = facts.get("id")
        if number is None:
            number = self._handed_over(job, it)
            if number is None:
                return
            faults.point("slurm.known")
            slurm.note(self.database, job, id=number)
            log.info("job %d (%s): is %s in Slurm", job.id, job.name, number)
        it.number, it.known_at = number, time.monotonic()

    def _handed_over(self, job: Job, it: _Followed) -> str | None:
        """The number of what sbatch was given; None while it is at it, or where it came to nothing (`outcome`)."""
        path = script.path_of(self.database.run_dir(job.id), job.attempt)
        if not path.exists():
            it.outcome = Outcome(
                Status.QUEUED, None, "the daemon was killed before it could give it to Slurm"
            )
            return None
        if commands.is_submitting(path):
            return None
        it.known_at = it.known_at or time.monotonic()
        number, words = commands.submitted(path)
        if number is not None:
            return number
        failed = endings.not_taken(refusal(words))
        if failed.status is Status.QUEUED:
            # It may have been taken and not told us: Slurm is asked for the name before anything is made of that.
            if self._answer is None or self._answer.begun_at <= it.known_at:
                self._asked_at = min(self._asked_at, it.known_at - self.settings.poll_seconds)
                text = f"was given to Slurm, which does not answer: {self._trouble}"
                if self._trouble and job.reason != text:
                    slurm.say(self.database, job, text)
                return None
            if number := self._answer.numbers.get(it.name):
                return number
            self._paused_until = time.monotonic() + 2 * self.settings.poll_seconds
        it.outcome = failed
        return None

    def _seen(self, it: _Followed) -> Seen | None:
        """What squeue has said last of an attempt."""
        seen = self._answer.jobs.get(it.number or "") if self._answer else None
        return seen if seen is not None and it.name in ("", seen.name) else None

    def _is_over(self, it: _Followed, seen: Seen | None, has_record: bool) -> bool:
        """Whether all is known that ever will be about an attempt that Slurm has ended or forgotten."""
        assert self._answer is not None
        assert it.number is not None
        it.over_since = it.over_since or self._answer.begun_at
        it.state = seen.state if seen else it.state
        if has_record:
            return True
        # What Slurm has ended stays so; what it does not know must be unknown again in a later answer.
        until = time.monotonic() if seen else self._answer.begun_at
        if until - it.over_since < self.settings.patience_seconds:
            return False
        if seen is None and it.state is None:
            it.accounting = it.accounting or Question([*SACCT, f"--jobs={it.number}"])
            if not it.accounting.is_done():
                return False
            lines, _ = it.accounting.answer()
            it.state, it.accounting = read_sacct(lines or [], it.number), None
        return True

    def _set_trouble(self, trouble: str | None) -> None:
        if trouble != self._trouble:
            self._trouble = trouble
            self._publish()
            log.warning("Slurm: %s", trouble or "answers again")


def _again(run_dir: Path, job: Job) -> bool:
    return (run_dir / AGAIN_NAME.format(job.attempt)).exists()
