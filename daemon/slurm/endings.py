"""How an attempt in Slurm ended: from the supervisor's record where there is one, and Slurm's own word for the rest."""

import re
from dataclasses import replace
from typing import Any

from daemon.endings import STOPPED_EXIT_CODE, outcome_of, pause
from daemon.launch import process_file
from store import jobs, results, slurm
from store.database import Database
from store.jobs import Job
from store.lifecycle import Outcome
from store.schema import Status

STALLED = 2
"""So many attempts in a row may reach the time limit without getting further; then the job has failed."""
_PASSING = re.compile(
    r"unable to contact|timed out|connection|communication|temporarily|try again|zero bytes|authentication|^$",
    re.IGNORECASE,
)
"""What sbatch says, if anything, when it is not the job's fault."""


def speaks_for_itself(job: Job, ending: dict[str, Any]) -> bool:
    """Whether the record tells all. One of a worker that was stopped or killed does not say on whose behalf."""
    code = ending["exit_code"]
    if code == 0 and job.engine != "command":
        return True
    return code >= 0 and code != STOPPED_EXIT_CODE and ending["reason"] not in ("stopped", "limit")


def not_taken(words: str) -> Outcome:
    """sbatch has not handed it to Slurm."""
    if _PASSING.search(words):
        return Outcome(Status.QUEUED, None, f"Slurm did not take it ({words or 'no answer'}); is tried again")
    return Outcome(Status.FAILED, None, f"Slurm refused it: {words}")


def conclude(
    database: Database,
    job: Job,
    state: str | None,
    ending: dict[str, Any] | None,
    *,
    limit: str,
    again: bool = False,
) -> Outcome:
    """The outcome of an attempt that is over.

    `state` is Slurm's last word (None: it has forgotten the job), `limit` the time limit in words, `again` whether
    Slurm has started the attempt a second time.
    """
    facts = slurm.note(database, job, state=state)
    if ending is None:
        base = _without_record(database, job, facts, again)
        interrupted = True
    else:
        base = outcome_of(database, job, True, ending)
        interrupted = base.status is Status.QUEUED or ending["exit_code"] < 0
    if base.status is Status.SUCCEEDED or not interrupted:
        return base
    if state == "CANCELLED" and not facts.get("asked") and not job.cancel_requested:
        text = f"was cancelled in Slurm, where it was {facts.get('id')}, and not through Tunedeck"
        return replace(base, status=Status.CANCELLED, reason=text, retry=False)
    if state == "PREEMPTED":
        return replace(base, status=Status.QUEUED, reason="was pre-empted in Slurm; goes on", retry=False)
    if state in ("TIMEOUT", "DEADLINE") or (ending is not None and ending["reason"] == "limit"):
        return _after_limit(database, job, base, limit)
    if state == "OUT_OF_MEMORY" and base.status is not Status.QUEUED:
        return _out_of_memory(job, base)
    return base


def _without_record(database: Database, job: Job, facts: dict[str, Any], again: bool) -> Outcome:
    """Of an attempt that has left nothing: Slurm's word is all there is."""
    retried = job.recipe.get("retry", {}).get("on", [])
    state, number = facts.get("state"), facts.get("id")
    known = results.list_attempts(database, job.id)[-1].process
    began = known is not None or process_file(database.run_dir(job.id), job.attempt).exists()
    if job.cancel_requested:
        text = "cancelled while it ran" if began else "cancelled while it waited in Slurm"
        return Outcome(Status.CANCELLED, None, text)
    if facts.get("asked"):
        return Outcome(Status.QUEUED, None, "was taken back from Slurm; goes on from its last checkpoint")
    if again:
        return Outcome(Status.QUEUED, None, "Slurm had lost track of it and started it twice; goes on")
    if state in ("FAILED", "COMPLETED") and not began:
        text = f"its batch script ended before the job began (Slurm's {number}: {state}): see its log, and whether the node sees {database.home}"
        return Outcome(Status.FAILED, None, text, retry="failed" in retried, delay=pause(job))
    how = state if state else "Slurm knows it no more"
    text = f"it left no record of its end (Slurm's {number}: {how})"
    return Outcome(Status.LOST, None, text, retry="lost" in retried, delay=pause(job))


def _after_limit(database: Database, job: Job, base: Outcome, limit: str) -> Outcome:
    """Goes on from its checkpoint, unless it has got no further in attempts that follow each other."""
    steps = [a.step or 0 for a in results.list_artifacts(database, job.id) if a.name == "checkpoint"]
    done = jobs.get_job(database, job.id).progress_done or 0.0
    earlier = [facts for facts in slurm.attempts_of(database, job.id)[:-1] if "reached" in facts]
    furthest = [max((facts["reached"][i] for facts in earlier), default=0) for i in (0, 1)]
    reached = [max(steps, default=0), done]
    moved = any(now > then for now, then in zip(reached, furthest, strict=True))
    stalled = 0 if moved else 1 + (earlier[-1]["stalled"] if earlier else 0)
    slurm.note(database, job, reached=reached, stalled=stalled)
    if stalled < STALLED:
        how = "stopped at a checkpoint" if base.status is Status.QUEUED else "ended"
        text = f"{how} at Slurm's {limit}; goes on from its last checkpoint"
        return replace(base, status=Status.QUEUED, reason=text, retry=False)
    text = f"{STALLED} attempts in a row reached Slurm's {limit} and got no further; give it more `resources.time`"
    retried = "timeout" in job.recipe.get("retry", {}).get("on", [])
    return replace(base, status=Status.FAILED, reason=text, retry=retried, delay=pause(job))


def _out_of_memory(job: Job, base: Outcome) -> Outcome:
    """Slurm has killed it for taking more than it was given, which the worker could not say any more."""
    rule = job.recipe.get("retry", {})
    fallback = job.fallbacks < len(rule.get("on_oom") or [])
    text = "ran out of the memory that Slurm gave it"
    return replace(
        base, status=Status.FAILED, reason=text, retry="failed" in rule.get("on", []), fallback=fallback
    )
