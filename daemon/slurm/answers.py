"""What Slurm says about our jobs, read from the text of its commands."""

from collections.abc import Sequence
from dataclasses import dataclass, field

SQUEUE = ("squeue", "--noheader", "--states=all", "--format=%i|%T|%N|%r|%j")
"""All jobs of ours in one question. The name comes last: it alone may hold the separator."""
SACCT = ("sacct", "--noheader", "--parsable2", "--allocations", "--format=JobID,State")

OVER = frozenset(
    [
        "BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED",
        "REVOKED", "TIMEOUT",
    ]
)  # fmt: skip
"""Nothing of the job lives any more. A job that is COMPLETING is not over yet."""


@dataclass(frozen=True)
class Seen:
    """One job, as squeue has it."""

    number: str
    state: str
    nodes: str
    reason: str
    name: str

    def words(self) -> str:
        """Where it is, for people."""
        if self.state == "PENDING":
            return f"pending in Slurm as {self.number}: {self.reason}"
        if self.state == "RUNNING":
            return f"runs in Slurm as {self.number} on {self.nodes}"
        return f"{self.state.lower().replace('_', ' ')} in Slurm as {self.number}"


@dataclass(frozen=True)
class Answer:
    """A whole answer to a question that was asked at `begun_at` (monotonic seconds)."""

    begun_at: float
    jobs: dict[str, Seen] = field(default_factory=dict)
    """By Slurm's number."""
    numbers: dict[str, str] = field(default_factory=dict)
    """By the job's name there."""


def read_squeue(lines: Sequence[str], begun_at: float) -> Answer:
    """The jobs of a whole answer. Lines that are none of ours may look any way."""
    jobs, numbers = {}, {}
    for line in lines:
        parts = line.split("|", 4)
        if len(parts) == 5:
            number, state, nodes, reason, name = parts
            jobs[number] = Seen(number, state, nodes, reason, name.strip())
            numbers[name.strip()] = number
    return Answer(begun_at, jobs, numbers)


def read_sacct(lines: Sequence[str], number: str) -> str | None:
    """How a job has ended, where the accounting knows it: `CANCELLED by 1000` is CANCELLED."""
    for line in lines:
        job, _, state = line.partition("|")
        word = state.split(" ")[0].rstrip("+")
        if job == number and word in OVER:
            return word
    return None


def refusal(words: str) -> str:
    """What sbatch has said on stderr, without its prefixes, on one line."""
    lines = [line.removeprefix("sbatch: ").removeprefix("error: ").strip() for line in words.splitlines()]
    return "; ".join(dict.fromkeys(filter(None, lines)))
