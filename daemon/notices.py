"""`on_end:` in `config.yaml`: whom to tell when a job has ended.

on_end:
  - command: [notify-send, Tunedeck]           # gets the message as JSON on stdin, and TUNEDECK_* variables
    statuses: [failed, lost]
  - webhook: https://hooks.example.com/T0/B0   # gets the message in a POST; `text` is what Slack and its like show
    experiments: ["night-*"]

Only this file can name a command; a recipe cannot. What is due is derived from the audit log, so that no kill loses it:
see `store/outbox.py`. Delivery is `daemon/messenger.py`'s, a process of its own.
"""

import hashlib
import json
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from engines.recipe.blocks import Block
from store import outbox
from store.database import Database
from store.outbox import Ending

Ended = Literal["succeeded", "failed", "cancelled", "lost"]
REASON_LENGTH = 300


class Notice(Block):
    """One way to be told, and of what."""

    command: Annotated[list[str], Field(min_length=1)] | None = None
    """Program and arguments; no shell."""
    webhook: Annotated[str, Field(pattern=r"^https?://[^\s]+$")] | None = None
    """Address that takes a POST of JSON."""
    statuses: list[Ended] = ["succeeded", "failed", "cancelled", "lost"]
    """Only of jobs that ended so."""
    experiments: list[str] = ["*"]
    """Only of experiments with one of these names; `*` stands for anything."""
    timeout: float = Field(30.0, gt=0, le=600)
    """Seconds after which a try counts as failed."""

    @model_validator(mode="after")
    def _has_one_way(self) -> Self:
        if (self.command is None) == (self.webhook is None):
            raise ValueError("give a `command` or a `webhook`, one of the two")
        return self

    @property
    def key(self) -> str:
        """Names this notice in messages, without its address, which may be a secret."""
        return hashlib.sha256(json.dumps(self.model_dump(mode="json")).encode()).hexdigest()[:8]

    def is_meant(self, ending: Ending) -> bool:
        named = any(fnmatchcase(ending.experiment, pattern) for pattern in self.experiments)
        return named and ending.status in self.statuses


def _as_list(value: object) -> object:
    return [value] if isinstance(value, dict) else value


Notices = Annotated[list[Notice], BeforeValidator(_as_list)]


def begin(database: Database, notices: Sequence[Notice]) -> None:
    """The daemon starts. Who is told for the first time is told of what ends from now on."""
    if not notices:
        (outbox.directory(database.home) / outbox.CURSOR).unlink(missing_ok=True)
    elif outbox.read_cursor(database) is None:
        newest, at, _ = outbox.endings_after(database, 0)
        outbox.write_cursor(database.home, newest, at)


def collect(database: Database, notices: Sequence[Notice], line: int) -> int:
    """Posts a message for each end of a job behind a line of the audit log. Returns the newest line."""
    newest, at, endings = outbox.endings_after(database, line)
    if newest == line:
        return line
    for ending in endings:
        for notice in notices:
            if notice.is_meant(ending):
                message = {"notice": notice.key, "tries": 0, "body": body_of(ending, database.home)}
                outbox.post(database.home, f"{ending.id}-{notice.key}", message, ending.time)
    outbox.write_cursor(database.home, newest, at)
    return newest


def body_of(ending: Ending, home: Path) -> dict[str, Any]:
    """What is told of a job: who it is and how it ended, nothing of its recipe."""
    reason = (ending.reason or "").partition("\n")[0][:REASON_LENGTH] or None
    seconds = None if ending.started_at is None else round(max(0.0, ending.time - ending.started_at), 1)
    after = "" if seconds is None else f" after {_span(seconds)}"
    why = f": {reason}" if reason and ending.status != "succeeded" else ""
    return {
        "text": f"Tunedeck: {ending.name} of {ending.experiment} (job {ending.job_id}) {ending.status}{after}{why}",
        "job": ending.job_id,
        "name": ending.name,
        "engine": ending.engine,
        "experiment": {"id": ending.experiment_id, "name": ending.experiment},
        "status": ending.status,
        "reason": reason,
        "attempt": ending.attempt,
        "exit_code": ending.exit_code,
        "seconds": seconds,
        "time": ending.time,
        "home": str(home),
    }


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
