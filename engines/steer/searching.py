"""The search itself, by this process and its helpers: every study until all of its trials are told."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from engines.steer.items import Item
from engines.steer.journal import write_json
from engines.steer.leases import Leases
from engines.steer.sources import Sources
from engines.steer.studies import Space, open_storage, spaces
from engines.steer.subject import Subject
from engines.steer.trials import Trials

WORKER = "worker.json"
_PAUSE = 0.1
"""Seconds between looks at what others hold."""


def open_trials(
    subject: Subject,
    sources: Sources,
    cells: Mapping[str, Sequence[tuple[int, float]]],
    unsteered: Sequence[Item],
) -> list[Trials]:
    """All studies of the job."""
    leases = Leases(subject.run.dir / "leases")
    with leases.alone(
        "database"
    ):  # Optuna makes its tables one by one, and fails where another process is at it
        storage = open_storage(subject.run)
    return [
        Trials(subject, sources, space, cells[space.direction], unsteered, storage, leases)
        for space in spaces(subject, sources)
    ]


def search(
    studies: Sequence[Trials], tick: Callable[[float], None], on_told: Callable[[Space, Any], None]
) -> None:
    """Work on the first study that has something for us, until all are done."""
    total = sum(trials.subject.recipe.search.trials for trials in studies)

    def on_batch() -> None:
        tick(
            sum(min(len(trials.finished()), trials.subject.recipe.search.trials) for trials in studies)
            / total
        )

    while left := [trials for trials in studies if not trials.done]:
        for trials in left:
            if trials.work(on_batch, partial(on_told, trials.space)):
                break
        else:
            time.sleep(_PAUSE)
        on_batch()


class Helpers:
    """Further processes that work on the same studies. They end with us, and what they leave is taken over."""

    def __init__(self, subject: Subject, count: int) -> None:
        run = subject.run
        self._processes: list[subprocess.Popen[bytes]] = []
        if not count:
            return
        write_json(
            run.dir / WORKER,
            {
                "recipe": subject.recipe.model_dump(mode="json", by_alias=True),
                "cache": None if run.cache is None else str(run.cache),
                "inputs": {name: str(path) for name, path in run.inputs.items()},
                "name": run.name,
                "parent": os.getpid(),
            },
        )
        with (run.dir / "helpers.log").open("ab") as log:
            for _ in range(count):
                command = [sys.executable, "-P", "-m", "engines.steer.worker", str(run.dir)]
                self._processes.append(subprocess.Popen(command, stdout=log, stderr=log))

    def __enter__(self) -> "Helpers":
        return self

    def __exit__(self, *_: object) -> None:
        """Where we end before the search does, they are told to."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.wait()

    def failed(self) -> list[int]:
        """Exit codes of those that ended otherwise than by having nothing left to do."""
        return [process.returncode for process in self._processes if process.poll()]


def read_worker(run_dir: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run_dir / WORKER).read_text(encoding="utf-8"))
    return found
