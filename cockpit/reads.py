"""What each screen shows, read from the store: plain functions from a database to a message. The feed calls them."""

from collections.abc import Callable, Hashable, Sequence
from pathlib import Path

from cockpit import axes, cosine_map, heat_maps, studies
from cockpit.checkpoints import read_checkpoints
from cockpit.figures import Pace
from cockpit.forecast import Forecast, forecast
from cockpit.health_reads import HealthCheck
from cockpit.log_times import size_at
from cockpit.log_windows import read_window
from cockpit.messages import (
    CurvesRead,
    ForecastRead,
    HistoryRead,
    JobRead,
    LogRead,
    PanelRead,
    QueueRead,
    RecipeRead,
    ResultsRead,
    RolloutRead,
    Slots,
    SlotsRead,
)
from cockpit.overlay import read_overlays
from cockpit.plain_text import plain_line
from cockpit.queue_view import QueueView
from cockpit.report.rounds import rounds_from
from cockpit.rollouts import read_rollout, rollout_file
from cockpit.waiting import explain_wait
from store import jobs, machine, metrics, results, slurm
from store.database import Database
from store.queue import JobRow, read_rows
from store.schema import ACTIVE, Status
from store.tree import TreeRow, read_tree
from store.workload import read_workload


def read_slots(database: Database) -> SlotsRead:
    counts = jobs.count_by_status(database)
    daemon = machine.get_daemon(database)
    held = machine.reservations(database)
    owners = {owner.job_id for on_card in held.values() for owner in on_card}
    active = sum(counts.get(status, 0) for status in ACTIVE) - sum(slurm.count_active(database).values())
    running = _daemon_runs(database, daemon)
    return SlotsRead(
        Slots(
            counts=tuple(sorted(counts.items())),
            cpu_taken=max(active - len(owners), 0),
            cpu_slots=daemon.cpu_slots if daemon else 0,
            gpus=tuple(_holder(held.get(str(gpu.get("uuid")), [])) for gpu in daemon.gpus) if daemon else (),
            daemon_running=running,
            daemon_pid=daemon.pid if daemon and running else None,
        )
    )


def _daemon_runs(database: Database, daemon: machine.Daemon | None) -> bool | None:
    """Whether one runs, or ran at the past moment; None where that is not known."""
    if database.moment is None:
        return machine.daemon_is_running(database.home)
    return None if daemon is None else daemon.stopped_at is None


def _holder(on_card: list[machine.Reservation]) -> int | None:
    return on_card[0].job_id if on_card else None


def read_queue(database: Database, pace: Pace, view: QueueView, offset: int, limit: int) -> QueueRead:
    """A window of the queue; as a tree where there are folds."""
    rows: list[TreeRow]
    if view.folds is None:
        count, found = read_rows(database, where=view.where, sort=view.sort, offset=offset, limit=limit)
        matching, rows = count, [*found]
    else:
        count, matching, rows = read_tree(
            database, where=view.where, sort=view.sort, folds=view.folds, offset=offset, limit=limit
        )
    running = [row for row in rows if isinstance(row, JobRow) and row.status is Status.RUNNING]
    left = {row.id: seconds for row in running if (seconds := pace.seconds_left(row)) is not None}
    return QueueRead(count, matching, offset, rows, left)


def read_forecast(database: Database) -> ForecastRead:
    if database.moment is not None:
        return ForecastRead(Forecast(why="for this is the past"))
    daemon = machine.get_daemon(database)
    if daemon is None or not machine.daemon_is_running(database.home):
        return ForecastRead(Forecast(why="no daemon is running"))
    cards = sum("blocked" not in gpu for gpu in daemon.gpus)
    return ForecastRead(forecast(read_workload(database), daemon.cpu_slots, cards, database.now()))


def read_wait(database: Database, job_id: int) -> PanelRead:
    """Why a job is waiting, for a panel."""
    job = jobs.get_job(database, job_id)
    first, *cards = explain_wait(database, job).split("\n")
    lines = [
        [(f"{plain_line(job.name, 200)} is {job.status}", "strong")],
        [],
        [(plain_line(first, 1000), "")],
    ]
    return PanelRead([*lines, *([(plain_line(card, 300), "muted")] for card in cards)])


def read_job(database: Database, pace: Pace, health: HealthCheck, job_id: int) -> JobRead:
    job = jobs.get_job(database, job_id)
    waits_for = [
        f"{needed.name} ({needed.status})"
        for needed, _ in jobs.needs_of(database, job_id)
        if job.status is Status.BLOCKED and needed.status is not Status.SUCCEEDED
    ]
    left = pace.seconds_left(job) if job.status is Status.RUNNING else None
    series = metrics.list_series(database, [job_id])
    warning = results.newest_warning(database, job_id, since=job.started_at or 0.0)
    scores = results.list_scores(database, [job_id])
    has_samples = _as_it_was(database, rollout_file(database.run_dir(job_id)))
    found = health.judge(database, job, series)
    return JobRead(job, left, waits_for, series, scores, warning, found, has_samples)


def read_curves(
    database: Database,
    job_id: int,
    names: Sequence[str],
    width: int,
    axis_name: str = axes.STEP,
    part: tuple[float, float] | None = None,
    others: Sequence[int] = (),
) -> CurvesRead:
    """`others` are jobs whose curves go beside. `part` is the steps to show, from..to; what the daemon samples counts seconds, and is shown whole."""
    job = jobs.get_job(database, job_id)
    last = {series.name: series.last_value for series in metrics.list_series(database, [job_id])}
    first_step, last_step = part or (None, None)
    logged = [name for name in names if name in last and not name.startswith(metrics.OBSERVED)]
    observed = [name for name in names if name in last and name.startswith(metrics.OBSERVED)]
    axis = axes.read_axis(database, job_id, axis_name, logged, first_step, last_step)
    curves = {
        name: axes.placed(metrics.chart(database, job_id, name, width, first_step, last_step), axis)
        for name in logged
    } | {name: metrics.chart(database, job_id, name, width) for name in observed}
    total = job.progress_total if job.progress_unit == "step" and axis.name == axes.STEP else None
    overlays = read_overlays(database, job, others, logged, width, axis.name, part)
    return CurvesRead(job_id, curves, {name: last[name] for name in curves}, total, axis, overlays)


def read_history(database: Database, job_id: int) -> HistoryRead:
    return HistoryRead(
        results.list_messages(database, job_id),
        results.list_attempts(database, job_id),
        results.list_transitions(database, job_id),
    )


def read_results(database: Database, job_id: int) -> ResultsRead:
    scores, run_dir = results.list_scores(database, [job_id]), database.run_dir(job_id)
    maps, cosines, told = (
        _as_it_was(database, run_dir / name) for name in (heat_maps.FILE, cosine_map.FILE, studies.FILE)
    )
    return ResultsRead(
        scores,
        results.list_artifacts(database, job_id),
        heat_maps.read_heat_maps(run_dir) if maps else [],
        cosine_map.read_cosine_map(run_dir) if cosines else None,
        studies.read_studies(run_dir) if told else [],
        read_checkpoints(database, job_id),
        rounds_from({score.name: score for score in scores}),
    )


def read_recipe(database: Database, job_id: int) -> RecipeRead:
    from cockpit.origins import provenance_lines

    job = jobs.get_job(database, job_id)
    return RecipeRead(job, provenance_lines(database, job))


def read_sample(database: Database, run_dir: Path, index: int | None) -> RolloutRead:
    return RolloutRead(read_rollout(run_dir, index) if _as_it_was(database, rollout_file(run_dir)) else None)


def read_log(database: Database, path: Path, place: int | None) -> LogRead:
    """The lines of a log around a byte offset, or its last ones (None), however long it is."""
    if database.moment is None:
        return LogRead(place, *read_window(path, place))
    known, unknown = size_at(path, database.moment)
    return LogRead(place, *read_window(path, place, known), unknown)


def _as_it_was(database: Database, path: Path | None) -> bool:
    """Whether a file is there, and as it was: one that has changed since a past moment says nothing of it."""
    try:
        return path is not None and (database.moment is None or path.stat().st_mtime <= database.moment)
    except FileNotFoundError:
        return False


def file_stamp(*paths: Path) -> Callable[[], Hashable]:
    """Differs when a file has grown or was replaced."""
    return lambda: tuple(map(_stamp, paths))


def _stamp(path: Path) -> Hashable:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return (status.st_ino, status.st_size, status.st_mtime_ns)
