"""What the feed tells screens and widgets: what was read, and whether it could be."""

from dataclasses import dataclass, field

from textual.message import Message

from cockpit.axes import Axis
from cockpit.checkpoints import Checkpoint
from cockpit.comparison import Comparison
from cockpit.cosine_map import CosineMap
from cockpit.forecast import Forecast
from cockpit.health import Verdict
from cockpit.heat_maps import HeatMap
from cockpit.log_windows import LogLine
from cockpit.overlay import Overlay
from cockpit.parts import Cells
from cockpit.report.rounds import Round
from cockpit.rollouts import Rollout
from cockpit.studies import Study
from store.jobs import Job
from store.lanes import Lane
from store.metrics import Bucket, Series
from store.results import Artifact, Attempt, Score, ScoredExample, Transition
from store.results import Message as Note
from store.schema import Status
from store.tree import TreeRow


@dataclass
class ReadFailed(Message):
    """A read of the store or of a run directory failed; what is shown may be stale."""

    text: str


@dataclass
class ReadRecovered(Message):
    """Reads work again."""


@dataclass(frozen=True)
class Slots:
    """The machine in one line: jobs by status, slots taken, and whether a daemon is there."""

    counts: tuple[tuple[Status, int], ...]
    cpu_taken: int
    cpu_slots: int
    gpus: tuple[int | None, ...]
    """For each GPU, the job that holds it."""
    daemon_running: bool | None
    """None where it is not known, in the past."""
    daemon_pid: int | None

    def count(self, *statuses: Status) -> int:
        return sum(count for status, count in self.counts if status in statuses)


@dataclass
class SlotsRead(Message):
    slots: Slots


@dataclass
class QueueRead(Message):
    """A window of the queue: the lines from `offset` on, of `count`, and the seconds left of each job that runs."""

    count: int
    jobs: int
    """How many jobs match; lines of experiments are none."""
    offset: int
    rows: list[TreeRow]
    seconds_left: dict[int, float]


@dataclass
class ForecastRead(Message):
    """When waiting jobs will start and the queue will be empty."""

    forecast: Forecast


@dataclass
class LanesRead(Message):
    """The GPUs, and how busy they were."""

    lanes: list[Lane]


@dataclass
class PanelRead(Message):
    """What a panel shows: lines of cells, plain already."""

    lines: list[list[tuple[str, str]]]


@dataclass
class JobRead(Message):
    """A job, the jobs it waits for, its newest values, what it scored and what it warns of."""

    job: Job
    seconds_left: float | None
    waits_for: list[str]
    series: list[Series]
    scores: list[Score]
    warning: str | None = None
    """The newest that its worker gave in this attempt."""
    health: list[Verdict] = field(default_factory=list)
    """What its curves say is wrong, the worst first."""
    has_samples: bool = False
    """It has logged completions to look at."""


@dataclass
class CurvesRead(Message):
    """Charts of some metrics of a job, as buckets by name."""

    job_id: int
    curves: dict[str, list[Bucket]]
    last_values: dict[str, float | None]
    total: float | None
    """Where the job will end, on the axis; None where that is not known."""
    axis: Axis
    overlays: dict[str, list[Overlay]] = field(default_factory=dict)
    """By metric, the curves of other runs."""


@dataclass
class OverlayRead(Message):
    """Curves of several models: by metric, then by the name of the model."""

    charts: dict[str, dict[str, list[Bucket]]]
    last_values: dict[str, dict[str, float | None]]
    without: list[str]
    """Models of which no curve is known."""


@dataclass
class LogRead(Message):
    """Lines of a log around the place that was asked for (None: its end), made plain, and the log's size in bytes."""

    place: int | None
    lines: list[LogLine]
    size: int
    unknown: str = ""
    """Of a past moment, what cannot be told, in words."""


@dataclass
class HistoryRead(Message):
    """Everything that happened to a job."""

    notes: list[Note]
    attempts: list[Attempt]
    transitions: list[Transition]


@dataclass
class ResultsRead(Message):
    scores: list[Score]
    artifacts: list[Artifact]
    heat_maps: list[HeatMap]
    cosines: CosineMap | None
    studies: list[Study]
    checkpoints: list[Checkpoint]
    rounds: list[Round]


@dataclass
class RecipeRead(Message):
    """A job with its resolved recipe, and where it came from, as (label, text)."""

    job: Job
    provenance: list[tuple[str, str]]


@dataclass
class RolloutRead(Message):
    """A completion that the job logged; None where there is none."""

    found: Rollout | None


@dataclass
class ComparisonRead(Message):
    """Models side by side; without a table, why there is none. With one, `problem` says what was left out."""

    table: Comparison | None
    problem: str
    cells: Cells = field(default_factory=dict)
    folded: tuple[Comparison, Cells] | None = None
    """The same with a row for all seeds of a method; None where there is nothing to fold."""


@dataclass
class ExampleRead(Message):
    """The completions of two models for one question."""

    key: tuple[str, int]
    baseline: ScoredExample | None
    entry: ScoredExample | None
