"""What an engine is given beside its recipe: where to write, what to resume from, and whether to stop."""

import json
import re
import signal
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType

from engines.events import EventWriter


@dataclass
class StopFlag:
    """Whether a job was asked to stop; its parts share one."""

    raised: bool = False


@dataclass
class Run:
    """One attempt at a job, as its engine sees it."""

    dir: Path
    """The run directory; the engine writes only below it."""
    events: EventWriter
    """The only way out: metrics, progress, examples, artifacts."""
    seed: int
    attempt: int = 1
    name: str = ""
    """The job's name within its experiment; used in the names of output files."""
    cache: Path | None = None
    """Directory that all runs share, for what is expensive to make again. None: below the run's own."""
    inputs: dict[str, Path] = field(default_factory=dict)
    """Run directories of the jobs that this one starts from, by the name the recipe gives them."""
    stop: StopFlag = field(default_factory=StopFlag)
    stopped_early: bool = False
    """Set by an engine that returns with work left to do. One that was asked to stop too late just ends."""

    @property
    def stop_requested(self) -> bool:
        """Set by SIGTERM. A training loop looks at it at every step, saves a checkpoint and returns."""
        return self.stop.raised

    @stop_requested.setter
    def stop_requested(self, value: bool) -> None:
        self.stop.raised = value

    def part(self, directory: Path, events: EventWriter) -> "Run":
        """A part of this job in a directory of its own: with the same inputs, and asked to stop when the job is."""
        directory.mkdir(exist_ok=True)
        return replace(self, dir=directory, events=events, stopped_early=False)

    @property
    def file_stem(self) -> str:
        """The name as part of a file name: jobs of a matrix or after a training have `[`, `=` and `/` in theirs."""
        return re.sub(r"[^A-Za-z0-9._-]+", "-", self.name).strip("-") or "run"

    @property
    def checkpoints(self) -> Path:
        return self.dir / "checkpoints"

    @property
    def model(self) -> Path:
        """Where a training engine leaves its result and where `{from: job}` looks for it."""
        return self.dir / "model"

    @property
    def resume_from(self) -> Path | None:
        """The newest complete checkpoint of an earlier attempt, or None on a fresh start."""
        complete = [
            path.parent for path in self.checkpoints.glob("checkpoint-*/trainer_state.json") if _is_json(path)
        ]
        return max(complete, key=lambda path: int(path.name.rpartition("-")[2]), default=None)

    def stop_on_sigterm(self) -> None:
        def request_stop(_signal: int, _frame: FrameType | None) -> None:
            self.stop_requested = True

        signal.signal(signal.SIGTERM, request_stop)


def write_whole(path: Path, text: str) -> None:
    """Write a file that is either not there or complete, whenever the writer is killed."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def checkpoint_step(run: Run) -> int | None:
    """The step that the next attempt goes on from. An engine with another measure of progress has its own `resume_step`."""
    checkpoint = run.resume_from
    return int(checkpoint.name.rpartition("-")[2]) if checkpoint else None


def _is_json(path: Path) -> bool:
    """The trainer writes its state file last, so a checkpoint without one, or with half of one, was cut short."""
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return True
