"""Series of points, and reading a million of them down to the width of a chart.

Beside the points stands a pyramid of summaries: level n has one row for every complete bucket of FAN_OUT ** n points,
with the lowest and highest value inside. Rows are added when a bucket fills and never change, so a curve does not
change its shape while it grows; the points behind the last complete bucket come from the levels below, down to the
raw ones, so the last point is exact.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from store.database import Database, StoreError
from store.schema import series

FAN_OUT = 8
OBSERVED = "gpu/"
"""How the names of series begin that the daemon samples."""


@dataclass(frozen=True)
class Series:
    """A metric of a job, with its newest point."""

    id: int
    job_id: int
    name: str
    length: int
    last_step: int | None
    last_value: float | None


@dataclass(frozen=True)
class Bucket:
    """Neighbouring points of a series: their steps and extreme values. `low` is None where all values are NaN."""

    first_step: float
    last_step: float
    low: float | None
    high: float | None
    missing: int


@dataclass(frozen=True)
class Point:
    """One logged value. NaN is NaN."""

    step: int
    value: float
    time: float
    attempt: int


def list_series(database: Database, job_ids: Sequence[int]) -> list[Series]:
    query = select(series).where(series.c.job_id.in_(job_ids)).order_by(series.c.job_id, series.c.name)
    with database.read() as connection:
        return [Series(**row._mapping) for row in connection.execute(query)]


def chart(
    database: Database,
    job_id: int,
    name: str,
    width: int,
    first_step: float | None = None,
    last_step: float | None = None,
) -> list[Bucket]:
    """The series as at least `width` buckets (if it has that many points) and at most about 8 times as many, in order.

    With steps given, of what lies between them alone, and a little on either side. Steps are taken to rise.
    """
    with database.read() as connection:
        row = _row(connection, job_id, name)
        if row is None:
            return []
        start, end = _between(connection, *row, first_step, last_step)
        level = 0
        while (end - start) // FAN_OUT ** (level + 1) >= width:
            level += 1
        return [Bucket(*values) for values in _buckets(connection, row[0], start, end, row[1], level)]


def step_times(
    database: Database,
    job_id: int,
    name: str,
    count: int,
    first_step: float | None = None,
    last_step: float | None = None,
) -> list[tuple[int, float]]:
    """(step, Unix seconds) of about `count` points, evenly spread over the series or a part of it; the last is there."""
    with database.read() as connection:
        row = _row(connection, job_id, name)
        if row is None or not row[1]:
            return []
        start, end = _between(connection, *row, first_step, last_step)
        ordinals = {*range(start, end, max((end - start) // max(count, 1), 1)), max(end - 1, start)}
        rows = connection.exec_driver_sql(
            f"SELECT step, time FROM points WHERE series_id = ? AND ordinal IN ({', '.join('?' * len(ordinals))})"
            " ORDER BY ordinal",
            (row[0], *sorted(ordinals)),
        ).all()
    return [(step, logged_at) for step, logged_at in rows]


def read_points(database: Database, job_id: int, name: str, *, retracted: bool = False) -> Iterator[Point]:
    """Every point, in the order logged. `retracted` gives those taken back by a resume instead."""
    with database.read() as connection:
        series_id = connection.execute(
            select(series.c.id).where(series.c.job_id == job_id, series.c.name == name)
        ).scalar()
        if series_id is None:
            raise StoreError(f"job {job_id}: has no metric `{name}`")
        table, order = ("retracted_points", "id") if retracted else ("points", "ordinal")
        rows = connection.exec_driver_sql(
            f"SELECT step, value, time, attempt FROM {table} WHERE series_id = ? ORDER BY {order}",
            (series_id,),
        ).all()
    for step, value, logged_at, attempt in rows:
        yield Point(step, math.nan if value is None else value, logged_at, attempt)


def append(
    connection: Connection,
    job_id: int,
    attempt: int,
    rows: Iterable[tuple[str, int, float | None, float]],
) -> None:
    """Adds points, given as (name, step, value or None for NaN, time), and fills the buckets that they complete."""
    by_name: dict[str, list[tuple[int, float | None, float]]] = {}
    for name, step, value, logged_at in rows:
        by_name.setdefault(name, []).append((step, value, logged_at))
    known = {
        row.name: (row.id, row.length)
        for row in connection.execute(
            select(series.c.id, series.c.name, series.c.length).where(series.c.job_id == job_id)
        )
    }
    for name, new in by_name.items():
        series_id, count = known.get(name) or (_create(connection, job_id, name), 0)
        connection.exec_driver_sql(
            "INSERT INTO points (series_id, ordinal, step, value, time, attempt) VALUES (?, ?, ?, ?, ?, ?)",
            [
                (series_id, count + i, step, value, logged_at, attempt)
                for i, (step, value, logged_at) in enumerate(new)
            ],
        )
        roll_up(connection, series_id, count, count + len(new))
        step, value, _ = new[-1]
        connection.execute(
            series.update()
            .where(series.c.id == series_id)
            .values(length=count + len(new), last_step=step, last_value=value)
        )


def retract(connection: Connection, job_id: int, after_step: int | None) -> None:
    """Takes back what earlier attempts logged beyond the step that a new one resumes from (None: all of it).

    What the daemon observed of the job's GPUs has happened, and counts seconds: it stays.
    """
    logged = series.c.name.not_like(f"{OBSERVED}%")
    for row in connection.execute(
        select(series.c.id, series.c.length).where(series.c.job_id == job_id, logged)
    ).all():
        first = connection.exec_driver_sql(
            "SELECT min(ordinal) FROM points WHERE series_id = ? AND step > ?",
            (row.id, -math.inf if after_step is None else after_step),
        ).scalar()
        if first is None:
            continue
        connection.exec_driver_sql(
            "INSERT INTO retracted_points (series_id, step, value, time, attempt)"
            " SELECT series_id, step, value, time, attempt FROM points WHERE series_id = ? AND ordinal >= ?"
            " ORDER BY ordinal",
            (row.id, first),
        )
        connection.exec_driver_sql("DELETE FROM points WHERE series_id = ? AND ordinal >= ?", (row.id, first))
        level = 1
        while FAN_OUT**level <= row.length:
            connection.exec_driver_sql(
                "DELETE FROM rollups WHERE series_id = ? AND level = ? AND bucket >= ?",
                (row.id, level, first // FAN_OUT**level),
            )
            level += 1
        last = connection.exec_driver_sql(
            "SELECT step, value FROM points WHERE series_id = ? AND ordinal = ?", (row.id, first - 1)
        ).first()
        step, value = last or (None, None)
        connection.execute(
            series.update()
            .where(series.c.id == row.id)
            .values(length=first, last_step=step, last_value=value)
        )


def _create(connection: Connection, job_id: int, name: str) -> int:
    key = connection.execute(series.insert().values(job_id=job_id, name=name)).inserted_primary_key
    assert key is not None
    return int(key[0])


# A raw point seen as a bucket of one, so that every level reads alike.
_LEVEL_ROWS = {
    True: "SELECT ordinal AS bucket, step AS first_step, step AS last_step, value AS low, value AS high,"
    " value IS NULL AS missing FROM points WHERE series_id = :series AND ordinal >= :start AND ordinal < :end",
    False: "SELECT bucket, first_step, last_step, low, high, missing FROM rollups"
    " WHERE series_id = :series AND level = :level AND bucket >= :start AND bucket < :end",
}


def roll_up(connection: Connection, series_id: int, old_count: int, new_count: int) -> None:
    """Fills the buckets that a series of `new_count` points completes and one of `old_count` did not."""
    level = 1
    while True:
        start, end = old_count // FAN_OUT**level, new_count // FAN_OUT**level
        if start == end:
            return
        connection.exec_driver_sql(
            "INSERT INTO rollups (series_id, level, bucket, first_step, last_step, low, high, missing)"
            f" SELECT :series, :level + 1, bucket / {FAN_OUT}, min(first_step), max(last_step), min(low), max(high),"
            f" sum(missing) FROM ({_LEVEL_ROWS[level == 1]}) GROUP BY bucket / {FAN_OUT}",
            {"series": series_id, "level": level - 1, "start": start * FAN_OUT, "end": end * FAN_OUT},
        )
        level += 1


def _row(connection: Connection, job_id: int, name: str) -> tuple[int, int] | None:
    """Id and length of a series."""
    query = select(series.c.id, series.c.length).where(series.c.job_id == job_id, series.c.name == name)
    row = connection.execute(query).first()
    return (row.id, row.length) if row else None


def _between(
    connection: Connection, series_id: int, length: int, first_step: float | None, last_step: float | None
) -> tuple[int, int]:
    """The ordinals, from..to (exclusive), of the points between two steps, with one point more on either side."""

    def step(ordinal: int) -> float:
        query = "SELECT step FROM points WHERE series_id = ? AND ordinal = ?"
        return float(connection.exec_driver_sql(query, (series_id, ordinal)).scalar_one())

    start = 0 if first_step is None else bisect_left(range(length), first_step, key=step) - 1
    end = length if last_step is None else bisect_right(range(length), last_step, key=step) + 1
    return max(start, 0), min(end, length)


def _buckets(
    connection: Connection, series_id: int, start: int, end: int, length: int, level: int
) -> Iterator[Sequence[Any]]:
    """Complete buckets of `level` that cover start..end, then of each level below for what is left, then single points."""
    size = FAN_OUT**level
    count = min(-(-end // size) * size, length)
    place = start // size
    while level >= 0:
        stop = count // FAN_OUT**level
        rows = connection.exec_driver_sql(
            _LEVEL_ROWS[level == 0] + " ORDER BY 1",
            {"series": series_id, "level": level, "start": place, "end": stop},
        )
        yield from (row[1:] for row in rows)
        place, level = stop * FAN_OUT, level - 1
