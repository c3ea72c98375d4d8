"""Which series of a job are judged for what. Curves are read at the width of a screen, and not at every new point."""

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from cockpit import health
from cockpit.health import Verdict
from store import metrics
from store.database import Database
from store.jobs import Job
from store.metrics import Bucket, Series
from store.schema import Status

_LOSSES = ("loss", "lm_loss", "jepa_loss", "eval_loss")
_FINITE = (*_LOSSES, "grad_norm", "reward", "train_reward_mean", "validation_reward_mean")
_WIDTH = 200
AGAIN_SECONDS = 5.0
"""A job that logs is judged no more often."""

Judge = Callable[[list[Bucket]], Verdict | None]


class HealthCheck:
    """Remembers what it found until there are new points, and a little longer."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: tuple[object, ...] | None = None
        self._at = 0.0
        self._found: list[Verdict] = []

    def judge(self, database: Database, job: Job, series: Sequence[Series]) -> list[Verdict]:
        """The verdicts on a job, the worst first."""
        seen = (job.status, *((one.name, one.length) for one in series))
        status_changed = self._seen is not None and self._seen[0] != job.status
        due = self._seen is None or status_changed or self._clock() - self._at >= AGAIN_SECONDS
        # Each moment of the past is looked at once.
        if seen != self._seen and (due or database.moment is not None):
            self._seen, self._at = seen, self._clock()
            self._found = judge(database, job, series)
        return self._found


def judge(database: Database, job: Job, series: Sequence[Series]) -> list[Verdict]:
    """Reads and judges every series that something can be said about."""
    names = [one.name for one in series]
    found = []
    for name, judges in _judges(names, running=job.status is Status.RUNNING):
        buckets = metrics.chart(database, job.id, name, _WIDTH)
        found += [verdict for judge in judges if (verdict := judge(buckets))]
    return sorted(found, key=lambda verdict: -verdict.severity)


def _judges(names: Sequence[str], running: bool) -> Iterator[tuple[str, list[Judge]]]:
    learns_by_reward = "reward" in names
    for name in names:
        judges: list[Judge] = []
        if name in _FINITE:
            judges.append(partial(health.not_finite, name))
        # The loss of a policy gradient is a difference around zero: its height means nothing.
        if name in _LOSSES and not learns_by_reward:
            judges += [partial(health.spike, name), partial(health.divergence, name)]
            if running and name != "eval_loss":
                judges.append(partial(health.plateau, name))
        judges += _of_rewards(name) if learns_by_reward else []
        if running:
            judges += _of_hardware(name, learns_by_reward)
        if judges:
            yield name, judges


def _of_rewards(name: str) -> list[Judge]:
    if name == "frac_reward_zero_std":
        words = "groups whose completions all earn the same, and teach nothing"
        return [lambda buckets: health.stays_above("dead-groups", words, buckets, 0.8, 0.95)]
    if name == "clipped_ratio":
        words = "completions are cut off at the longest length"
        return [lambda buckets: health.stays_above("clipped", words, buckets, 0.25, 0.5)]
    if name == "entropy":
        return [health.entropy_collapse]
    return [health.length_growth] if name == "length" else []


def _of_hardware(name: str, learns_by_reward: bool) -> list[Judge]:
    # Completions that grow make steps of reinforcement learning longer, but not its tokens.
    rate = "tokens_per_second" if learns_by_reward else "steps_per_second"
    if name == rate:
        return [lambda buckets: health.slower(buckets, rate.replace("_per_", " a ").replace("_", " "))]
    if name.startswith(metrics.OBSERVED) and name.endswith("/util"):
        return [partial(health.idle_gpu, name.split("/")[1])]
    return []
