"""What an attempt's exit record is taken for."""

import time
from dataclasses import replace
from typing import Any

from daemon.endings import outcome_of
from store import jobs
from store.database import Database
from store.schema import Status


def killed(database: Database, job_id: int, kernel_kills: int, rule: dict[str, Any]) -> Any:
    job = jobs.get_job(database, job_id)
    now = time.time()
    ending = {"reason": "exited", "exit_code": -9, "kernel_kills": kernel_kills}
    record = ending | {"started_at": now, "ended_at": now, "cpu_seconds": 1.0, "peak_memory_bytes": 1}
    return outcome_of(database, replace(job, recipe=job.recipe | {"retry": rule}), True, record)


def test_a_job_that_died_while_the_kernel_freed_memory_runs_again_with_less(
    database: Database, submit: Any
) -> None:
    rule = {"on_oom": [{"env": {"BATCH": "4"}}]}
    outcome = killed(database, submit("true"), 2, rule)

    assert (outcome.status, outcome.fallback) == (Status.FAILED, True)
    assert outcome.reason == "killed by SIGKILL; the kernel ended 2 processes for want of memory while it ran"


def test_a_job_that_somebody_killed_has_not_run_out_of_memory(database: Database, submit: Any) -> None:
    outcome = killed(database, submit("true"), 0, {"on_oom": [{"env": {"BATCH": "4"}}]})

    assert (outcome.reason, outcome.fallback) == ("killed by SIGKILL", False)
