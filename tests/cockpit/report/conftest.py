"""Experiments as their jobs report them: real recipes, real events, read in by the daemon's own code."""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from cockpit.submission import submit
from daemon.ingest import ingest
from engines.events import EventWriter
from engines.tasks.grading import VERSION
from store import jobs, lifecycle
from store.database import Database, open_database
from store.jobs import Job
from store.lifecycle import NewJob, Outcome
from store.schema import Status

PROTOCOL: dict[str, Any] = {
    "task": "pocket-math",
    "split": "test",
    "data_hash": "d",
    "prompt_hash": "p",
    "sampling": {"temperature": 0.0, "num_samples": 1},
    "grading": VERSION,
}
SWEEP = """
name: {name}
defaults: {{model: {{base: pocket}}, task: pocket-math}}
jobs:
  base: {{engine: eval}}
  prep: {{engine: sft, stage: prep, eval: true}}
  full: {{engine: sft, model: {{from: prep}}, eval: true, matrix: {{train_samples: {budgets}, seed: {seeds}}}}}
  other: {{engine: sft, model: {{from: prep}}, eval: true, matrix: {{train_samples: {budgets}, seed: {seeds}}}}}
"""


class Lab:
    """Does what workers and daemon do, without training anything."""

    protocol = PROTOCOL

    def __init__(self, database: Database, folder: Path) -> None:
        self.database, self.folder = database, folder

    @staticmethod
    def score(name: str, value: float, **fields: Any) -> dict[str, Any]:
        return score(name, value, **fields)

    def submit(self, recipe: str) -> list[Job]:
        path = self.folder / "recipe.yaml"
        path.write_text(recipe)
        return jobs.list_jobs(self.database, ids=submit(self.database, path)[1])

    def sweep(
        self, name: str = "sweep", budgets: Sequence[int] = (64, 128, 256), seeds: Sequence[int] = (1, 2, 3)
    ) -> list[Job]:
        return self.submit(SWEEP.format(name=name, budgets=list(budgets), seeds=list(seeds)))

    def enqueue(self, name: str, *new: NewJob) -> list[Job]:
        return jobs.list_jobs(self.database, ids=lifecycle.enqueue(self.database, name, new)[1])

    def report(self, job: Job, *events: dict[str, Any]) -> None:
        """Appends events to the run directory, and reads them in."""
        run_dir = self.database.run_dir(job.id)
        run_dir.mkdir(parents=True, exist_ok=True)
        writer = EventWriter(run_dir)
        for event in events:
            writer.emit(**event)
        writer.close()
        ingest(self.database, jobs.get_job(self.database, job.id))

    def end(self, job: Job, status: Status = Status.SUCCEEDED, reason: str | None = None) -> None:
        while jobs.get_job(self.database, job.id).status is Status.QUEUED:
            assert lifecycle.claim(self.database, 9999, [])
        lifecycle.mark_running(self.database, job.id, {"started_at": time.time()})
        lifecycle.finish(self.database, job.id, Outcome(status, int(status is not Status.SUCCEEDED), reason))

    def spend(self, job: Job, **costs: float) -> None:
        self.report(job, *(score(f"budget/{name}", value) for name, value in costs.items()))

    def evaluate(
        self,
        job: Job,
        strict: Sequence[bool],
        robust: Sequence[bool] | None = None,
        protocol: dict[str, Any] = PROTOCOL,
        text: str = "",
    ) -> None:
        """One completion a question, and the scores. `robust` is like `strict` where it is left out."""
        robust = strict if robust is None else robust
        events = []
        for index, (is_strict, is_robust) in enumerate(zip(strict, robust, strict=True)):
            fields = {"example_id": f"q{index:04d}", "sample": 0, "strict": is_strict, "robust": is_robust}
            fields["completion"] = text
            events.append({"kind": "example", "key": f"q{index:04d}/0", "fields": fields})
        for name, right in (("strict", strict), ("robust", robust)):
            events.append(
                score(name, sum(right) / len(right), n=len(right), low=0.0, high=1.0, protocol=protocol)
            )
        self.report(job, *events, score("truncated", 0.05))


def score(name: str, value: float, **fields: Any) -> dict[str, Any]:
    return {"kind": "score", "name": name, "value": value, "fields": fields}


def run_sweep(lab: Lab, skip: Callable[[Job], bool] = lambda job: False, n: int = 200) -> list[Job]:
    """Two methods at three budgets with three seeds; `full` gains much and `other` little."""
    mine = lab.sweep()
    prep = answers(0.3, n)
    gains = {64: 0.05, 128: 0.2, 256: 0.5}
    for job in mine:
        if skip(job):
            continue
        budget = job.recipe.get("train_samples") or 0
        if job.engine == "sft":
            made = 0 if "full" in job.name else budget
            lab.spend(
                job,
                prompts=budget or 128,
                completions=4 * made,
                generated_tokens=100 * made,
                trained_tokens=50 * budget,
                steps=budget / 4,
                seconds=budget / 2,
            )
        elif job.name == "base":
            lab.evaluate(job, [False] * n, answers(0.1, n))
        elif job.name == "prep/eval":
            lab.evaluate(job, prep, either(prep, answers(0.05, n)))
        else:
            trained = next(j for j in mine if j.name == job.name.removesuffix("/eval"))
            gain = gains[trained.recipe["train_samples"]] * (1.0 if "full" in job.name else 0.3)
            right = either(prep, answers(gain, n, job.name))
            lab.evaluate(job, right, either(right, answers(0.03, n, trained.recipe["seed"])))
        lab.end(job)
    return mine


def answers(share: float, n: int, seed: object = 0) -> list[bool]:
    """Right answers to about that share of the questions."""
    generator = random.Random(f"{share} {seed}")
    return [generator.random() < share for _ in range(n)]


def either(first: Sequence[bool], second: Sequence[bool]) -> list[bool]:
    return [a or b for a, b in zip(first, second, strict=True)]


@pytest.fixture
def lab(database: Database, tmp_path: Path) -> Lab:
    return Lab(database, tmp_path)


@pytest.fixture
def finished_sweep(lab: Lab) -> Callable[..., list[Job]]:
    return lambda **how: run_sweep(lab, **how)


@pytest.fixture(scope="session")
def swept_database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    folder = tmp_path_factory.mktemp("swept")
    database = open_database(folder / "home")
    run_sweep(Lab(database, folder))
    yield database
    database.close()


@pytest.fixture
def swept(swept_database: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    """A finished sweep to look at, not to change."""
    monkeypatch.setenv("TUNEDECK_HOME", str(swept_database.home))
    return swept_database
