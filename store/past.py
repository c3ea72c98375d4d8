"""The store as it was at a past moment, to be read by whatever reads the store, and written by nobody.

Each connection has views with the names of the tables (`store/past_views.py`), and the rows that are not today's any more
beside them, told again from the log for the moment (`store/past_jobs.py`). It goes by when things happened: what a worker
reported counts from then, not from when the daemon had read it.

What the past cannot tell, for the store keeps no time or only the last word of it:

    scores, examples           of a job while it ran, and before it was graded again or ran once more: not shown
    progress                   where its events are gone: the last step that was logged, if it counts steps, else nothing
    groups, schedules          their limits, pauses and times: not shown
    the daemon                 before the one that runs or ran last: not shown, nor what its cards were blocked by
    a cancel that was wished   of a job that ran: not shown until it ended
    hold, priority, pauses     see `store/past_jobs.py`
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event

from store import metrics, paths
from store.database import Database, make_engine
from store.past_files import progress_at
from store.past_jobs import Line, Times, job_then
from store.past_views import AT, CUT, SCRIPT, TAKEN_BACK
from store.schema import jobs


class Past(Database):
    """Another view of a store, to be closed by itself. `seek` takes it to another moment."""

    def __init__(self, present: Database, moment: float) -> None:
        """`moment` in Unix seconds."""
        engine = make_engine(paths.database(present.home), "ro")

        @event.listens_for(engine, "connect")
        def _set_up(connection: Any, _record: Any) -> None:
            connection.execute("PRAGMA temp_store=MEMORY")
            connection.executescript(SCRIPT)

        super().__init__(present.home, engine)
        self._moment = moment

    @property
    def moment(self) -> float:
        return self._moment

    def now(self) -> float:
        return self._moment

    def seek(self, moment: float) -> None:
        """Every read that begins after this is of that moment."""
        self._moment = moment

    @contextmanager
    def read(self) -> Iterator[Connection]:
        with self._explained(), self._engine.connect() as connection:
            moment = self._moment
            with connection.begin():
                # A later attempt or grading takes rows away that views had shown: the tables beside have to know of it.
                told = (moment, *connection.exec_driver_sql(_NEWEST).one())
                if connection.info.get("told") != told:
                    # Temporary tables are rolled back as well: what they hold is only known once this is over.
                    connection.info["told"] = None
                    _travel(connection, moment, self.run_dir)
                yield connection
            connection.info["told"] = told

    @contextmanager
    def changes(self) -> Iterator[Callable[[], float]]:
        """The past changes when somebody seeks another moment of it, and not by itself."""
        yield self.now


_NEWEST = "SELECT (SELECT max(id) FROM main.transitions), (SELECT max(id) FROM main.retracted_points)"


def _travel(connection: Connection, moment: float, run_dir: Callable[[int], Path]) -> None:
    """Fills the tables beside the views."""
    run = connection.exec_driver_sql
    for table in ("moment", "then_jobs", "then_later", "then_series", "then_points", "then_rollups"):
        run(f"DELETE FROM temp.{table}")
    run("INSERT INTO temp.moment VALUES (?)", (moment,))
    run(
        f"INSERT INTO then_jobs (id, {_COLUMNS}, settled) SELECT id, {_COLUMNS}, 1 FROM main.jobs WHERE created_at <= {AT}"
    )
    run(_OPEN)
    run(_SIFT)
    run(_NOT_STARTED)
    if rows := list(_rewritten(connection)):
        names = [name for name in rows[0] if name != "id"]
        run(f"UPDATE then_jobs SET {', '.join(f'{name} = :{name}' for name in names)} WHERE id = :id", rows)
    _restore_points(connection)
    run(_NOT_BEGUN)
    _restore_progress(connection, moment, run_dir)


_COLUMNS = ", ".join(f'"{c.name}"' for c in jobs.c if c.name not in ("id", "recipe"))
# Nothing has happened to these since but what leaves no line in the log.
_OPEN = """UPDATE then_jobs SET cancel_requested = 0, settled = 0, reason = CASE WHEN slurm IS NULL THEN reason END
    WHERE status IN ('starting', 'running')"""
_GONE_ON = f"SELECT id FROM then_jobs WHERE progress_at > {AT} AND attempt > 0"
_LAST_TIME = "SELECT time FROM {} WHERE series_id = s.id AND ordinal = s.length - 1"
_PROGRESS = f"""UPDATE then_jobs SET (progress_done, progress_at) = (
        SELECT max(s.last_step), coalesce(({_LAST_TIME.format("then_points")}), ({_LAST_TIME.format("main.points")}))
        FROM series AS s WHERE s.job_id = then_jobs.id AND s.name NOT LIKE '{metrics.OBSERVED}%'
        AND then_jobs.progress_unit = 'step')
    WHERE progress_at > {AT} AND attempt > 0"""
_NO_PROGRESS = """UPDATE then_jobs SET progress_total = NULL, progress_unit = NULL
    WHERE progress_done IS NULL AND progress_total IS NOT NULL"""
_NOT_BEGUN = """UPDATE then_jobs SET progress_done = NULL, progress_at = NULL
    WHERE progress_done IS NOT NULL AND attempt = 0"""
# Most of them had only been submitted: their rows need no going through, and ten thousand of them no half second.
_SIFT = f"""INSERT INTO then_later SELECT job_id, coalesce(
        sum(time <= {AT}) = 1 AND sum(time <= {AT} AND from_status IS NULL AND to_status IN ('queued', 'blocked')) = 1
        AND sum(from_status IS to_status) = 0 AND sum(coalesce(reason, '') LIKE '%; queued again%') = 0, 0)
    FROM main.transitions GROUP BY job_id HAVING max(time) > {AT}"""
_NOT_STARTED = """UPDATE then_jobs SET attempt = 0, reason = NULL, started_at = NULL, ended_at = NULL, exit_code = NULL,
        cancel_requested = 0, not_before = NULL, settled = 0,
        status = (SELECT to_status FROM main.transitions WHERE job_id = then_jobs.id AND from_status IS NULL)
    WHERE id IN (SELECT job_id FROM then_later WHERE is_simple)"""
_LATER = """SELECT j.id, j.status, j.priority, j.held, j.not_before, j.retries_left, j.fallbacks, j.ended_at,
        j.cancel_requested, CASE WHEN EXISTS (
            SELECT 1 FROM main.transitions AS n WHERE n.job_id = j.id AND n.reason LIKE 'priority %'
        ) THEN (SELECT json_extract(recipe, '$.priority') FROM main.jobs AS n WHERE n.id = j.id) END
    FROM then_later AS l JOIN then_jobs AS j ON j.id = l.job_id WHERE NOT l.is_simple"""
_TODAY = (
    *("id", "status", "priority", "held", "not_before", "retries_left", "fallbacks", "ended_at"),
    *("cancel_requested", "recipe_priority"),
)


def _rewritten(connection: Connection) -> Iterator[dict[str, Any]]:
    """The rows of the jobs to which something has happened since."""
    today = {row[0]: dict(zip(_TODAY, row, strict=True)) for row in connection.exec_driver_sql(_LATER)}
    lines: dict[int, list[Line]] = defaultdict(list)
    attempts: dict[int, dict[int, Times]] = defaultdict(dict)
    for row in connection.exec_driver_sql(
        f"SELECT job_id, time, from_status, to_status, attempt, reason, time <= {AT} FROM then_later"
        " CROSS JOIN main.transitions USING (job_id) WHERE NOT is_simple ORDER BY id"
    ):
        lines[row[0]].append(Line(*row[1:]))
    for row in connection.exec_driver_sql(
        "SELECT job_id, number, started_at, ended_at, exit_code FROM then_later CROSS JOIN main.attempts USING (job_id)"
        " WHERE NOT is_simple"
    ):
        attempts[row[0]][row[1]] = Times(*row[2:])
    for job_id, its_row in today.items():
        yield {"id": job_id} | job_then(its_row, lines[job_id], attempts[job_id])


def _restore_progress(connection: Connection, moment: float, run_dir: Callable[[int], Path]) -> None:
    """Of the jobs that have gone on since, what their workers had reported; else what their steps tell."""
    told = []
    for job_id in connection.exec_driver_sql(_GONE_ON).scalars().all():
        if columns := progress_at(run_dir(job_id), moment):
            told.append({"id": job_id} | columns)
    connection.exec_driver_sql(_PROGRESS)
    connection.exec_driver_sql(_NO_PROGRESS)
    if told:
        changes = ", ".join(f"{name} = :{name}" for name in told[0] if name != "id")
        connection.exec_driver_sql(f"UPDATE then_jobs SET {changes} WHERE id = :id", told)


def _restore_points(connection: Connection) -> None:
    """Puts the points back that were retracted since, and their summaries."""
    run = connection.exec_driver_sql
    if run("SELECT 1 FROM main.retracted_points LIMIT 1").first() is None:
        return
    alive = f"r.series_id = s.id AND r.time <= {AT} AND NOT {TAKEN_BACK}"
    run(
        f"INSERT INTO then_series (series_id, cut) SELECT s.id, {CUT} FROM then_jobs AS j"
        " JOIN main.series AS s ON s.job_id = j.id WHERE EXISTS (SELECT 1 FROM main.messages AS m"
        f" WHERE m.job_id = j.id AND m.kind = 'started' AND m.time > {AT})"
        f" AND EXISTS (SELECT 1 FROM main.retracted_points AS r WHERE {alive})"
    )
    # In the order logged: one that was retracted twice over has the larger id, whichever came first.
    run(
        "INSERT INTO then_points SELECT s.id, t.cut + row_number() OVER (PARTITION BY s.id ORDER BY r.time, r.id) - 1,"
        " r.step, r.value, r.time, r.attempt, r.id FROM then_series AS t JOIN main.series AS s ON s.id = t.series_id"
        f" JOIN main.retracted_points AS r ON {alive}"
    )
    run(
        "UPDATE then_series SET (length, last_step, last_value) = (SELECT p.ordinal + 1, p.step, p.value FROM"
        " then_points AS p WHERE p.series_id = then_series.series_id ORDER BY p.ordinal DESC LIMIT 1)"
    )
    for series_id, cut, length in run("SELECT series_id, cut, length FROM then_series").all():
        metrics.roll_up(connection, series_id, cut, length)
