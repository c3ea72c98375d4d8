"""The tables as they were at a past moment, as views that have the tables' names.

SQLite looks for an unqualified name in the `temp` schema first. So on a connection that has these views every query of
the store reads the past, and not a row of the points is copied: they are cut off where the moment is, by bisection.
Rows that later changes have overwritten stand in tables beside, which `store/past.py` fills for the moment.
"""

from sqlalchemy import Table

from store import schema
from store.metrics import FAN_OUT
from store.records import RESUMES

AT = "(SELECT at FROM temp.moment)"
_BITS = FAN_OUT.bit_length() - 1

CUT = f"""(CASE
    WHEN coalesce((SELECT time FROM main.points WHERE series_id = s.id AND ordinal = 0), 1e99) > {AT} THEN 0
    WHEN (SELECT time FROM main.points WHERE series_id = s.id AND ordinal = s.length - 1) <= {AT} THEN s.length
    ELSE (
        WITH RECURSIVE part(low, high) AS (
            SELECT 0, s.length
            UNION ALL
            SELECT CASE WHEN p.time <= {AT} THEN p.ordinal + 1 ELSE low END,
                   CASE WHEN p.time <= {AT} THEN high ELSE p.ordinal END
            FROM part CROSS JOIN main.points AS p
            WHERE low < high AND p.series_id = s.id AND p.ordinal = (low + high) / 2
        )
        SELECT low FROM part WHERE low >= high)
    END)"""
"""How many points of the series `s` were logged by the moment. Times are taken to rise with the ordinals."""

TAKEN_BACK = f"""EXISTS (
    SELECT 1 FROM main.messages AS m
    WHERE m.job_id = s.job_id AND m.kind = 'started' AND m.time > r.time AND m.time <= {AT}
    AND (m.text NOT LIKE '{RESUMES}%' OR r.step > CAST(substr(m.text, {len(RESUMES) + 1}) AS INTEGER)))"""
"""Whether the retracted point `r` of the series `s` had been retracted by the moment."""

TABLES = f"""
CREATE TEMP TABLE moment (at REAL NOT NULL);
CREATE TEMP TABLE then_jobs (id INTEGER PRIMARY KEY,
    {", ".join(f'"{c.name}"' for c in schema.jobs.c if c.name not in ("id", "recipe"))}, settled);
CREATE INDEX temp.then_turn ON then_jobs (status, priority DESC, id);
CREATE INDEX temp.then_experiment ON then_jobs (experiment_id);
CREATE TEMP TABLE then_later (job_id INTEGER PRIMARY KEY, is_simple);
CREATE TEMP TABLE then_series (series_id INTEGER PRIMARY KEY, cut, length, last_step, last_value);
CREATE TEMP TABLE then_points (series_id, ordinal, step, value, time, attempt, retracted_id,
    PRIMARY KEY (series_id, ordinal)) WITHOUT ROWID;
CREATE TEMP TABLE then_rollups (series_id, level, bucket, first_step, last_step, low, high, missing,
    PRIMARY KEY (series_id, level, bucket)) WITHOUT ROWID;
"""
"""`then_later` has the jobs of which something is logged after the moment, `then_series`  the series of which points have been retracted since, `then_points` those points."""


def _ran(what: str) -> str:
    return f"""EXISTS (SELECT 1 FROM main.transitions AS t WHERE t.job_id = o.job_id AND t.attempt = o.number
        AND t.time <= {AT} AND {what})"""


_RAN = _ran("t.to_status = 'running'")
_OVER = _ran("t.from_status IN ('starting', 'running') AND t.to_status NOT IN ('starting', 'running')")


def _if(condition: str, *columns: str) -> dict[str, str]:
    return {name: f"CASE WHEN {condition} THEN o.{name} END" for name in columns}


def _rows(table: Table, where: str, **changed: str) -> str:
    """The rows of a table, which is `o`, with other expressions for some of its columns."""
    columns = ", ".join(f'{changed.get(c.name, f"""o."{c.name}" """)} AS "{c.name}"' for c in table.c)
    return f"SELECT {columns} FROM main.{table.name} AS o WHERE {where}"


_POINTS = "ordinal, step, value, time, attempt"
_SUMMARY = "series_id, level, bucket, first_step, last_step, low, high, missing"
_LAST = f"(SELECT {{0}} FROM main.points WHERE series_id = s.id AND ordinal = {CUT} - 1)"
_REWRITTEN = "s.id IN (SELECT series_id FROM then_series)"


def _of_series(column: str, otherwise: str) -> str:
    then = f"(SELECT {column} FROM then_series WHERE series_id = s.id)"
    return f"CASE WHEN {_REWRITTEN} THEN {then} ELSE {otherwise} END AS {column}"


VIEWS: dict[str, str] = {
    "jobs": "SELECT {}, (SELECT recipe FROM main.jobs WHERE id = then_jobs.id) AS recipe FROM then_jobs".format(
        ", ".join(f'"{c.name}"' for c in schema.jobs.c if c.name != "recipe")
    ),
    "experiments": _rows(
        schema.experiments, f"o.created_at <= {AT}", **_if(f"o.failures_since <= {AT}", "failures_since")
    ),
    "dependencies": _rows(schema.dependencies, "o.job_id IN (SELECT id FROM then_jobs)"),
    "attempts": _rows(
        schema.attempts,
        f"o.claimed_at <= {AT}",
        **_if(_RAN, "started_at", "process"),
        **_if(_OVER, "ended_at", "exit_code", "outcome", "usage"),
        # Of the rest, such as its state there, only the last word is kept.
        slurm=f"CASE WHEN {_OVER} THEN o.slurm WHEN o.slurm IS NOT NULL THEN json_object('profile',"
        " json_extract(o.slurm, '$.profile'), 'name', json_extract(o.slurm, '$.name')) END",
    ),
    "gpu_reservations": "SELECT d.value AS uuid, j.id AS job_id, j.gpu_memory AS memory_bytes FROM then_jobs AS j"
    " JOIN main.attempts AS a ON a.job_id = j.id AND a.number = j.attempt JOIN json_each(a.devices) AS d"
    " WHERE j.status IN ('starting', 'running')",
    # Their limits, pauses and times have no history.
    "groups": _rows(schema.groups, "0"),
    "schedules": _rows(schema.schedules, "0"),
    "transitions": _rows(schema.transitions, f"o.time <= {AT}"),
    "messages": _rows(schema.messages, f"o.time <= {AT}"),
    "artifacts": _rows(schema.artifacts, f"o.time <= {AT}"),
    # No times of their own: those of a job that had ended for good are known to have been there.
    "scores": _rows(schema.scores, "(SELECT settled FROM then_jobs WHERE id = o.job_id)"),
    "examples": _rows(schema.examples, "(SELECT settled FROM then_jobs WHERE id = o.job_id)"),
    "series": f"SELECT s.id, s.job_id, s.name, {_of_series('length', CUT)},"
    f" {_of_series('last_step', _LAST.format('step'))}, {_of_series('last_value', _LAST.format('value'))}"
    f" FROM main.series AS s WHERE {CUT} > 0 OR EXISTS"
    f" (SELECT 1 FROM main.retracted_points AS r WHERE r.series_id = s.id AND r.time <= {AT})",
    "points": f"SELECT s.id AS series_id, {_POINTS} FROM main.series AS s CROSS JOIN main.points AS p"
    f" WHERE p.series_id = s.id AND p.ordinal < {CUT}"
    f" UNION ALL SELECT series_id, {_POINTS} FROM then_points",
    "retracted_points": _rows(
        schema.retracted_points,
        f"o.time <= {AT} AND o.id NOT IN (SELECT retracted_id FROM then_points)",
    ),
    # Summaries of buckets that were not complete yet are never asked for: the length of the series says how far to read.
    "rollups": f"SELECT {_SUMMARY} FROM main.rollups AS r WHERE NOT EXISTS (SELECT 1 FROM then_series AS s"
    f" WHERE s.series_id = r.series_id AND ((r.bucket + 1) << ({_BITS} * r.level)) > s.cut)"
    f" UNION ALL SELECT {_SUMMARY} FROM then_rollups",
    # The one that runs, or ran last; of those before it nothing is kept, and of its cards not who else used them.
    "daemon": _rows(
        schema.daemon,
        f"o.started_at <= {AT}",
        seen_at=f"min(o.seen_at, {AT})",
        wish="NULL",
        slurm="NULL",
        gpus="(SELECT json_group_array(json_remove(value, '$.blocked')) FROM json_each(o.gpus))",
        **_if(f"o.stopped_at <= {AT}", "stopped_at"),
    ),
}
"""A query for every table of the store."""

SCRIPT = "\n".join(
    [
        TABLES,
        *(f"CREATE TEMP VIEW {name} AS {query};" for name, query in VIEWS.items()),
        # What fills the pyramid of summaries fills that of the retracted points.
        f"CREATE TEMP TRIGGER then_summary INSTEAD OF INSERT ON rollups BEGIN INSERT INTO then_rollups ({_SUMMARY})"
        f" VALUES ({', '.join(f'NEW.{name}' for name in _SUMMARY.split(', '))}); END;",
    ]
)
"""Makes all of it on a new connection."""
