"""Series of points and their charts."""

import math
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store import metrics
from store.database import Database, open_database
from store.lifecycle import NewJob, enqueue

Values = list[float | None]


def fill(database: Database, values: Values, batch: int = 1000, start_step: int = 0) -> int:
    """A job with one metric `loss`, logged in batches. Returns its id."""
    _, [job_id] = enqueue(database, "test", [NewJob("a", "command", {})])
    extend(database, job_id, values, batch, start_step)
    return job_id


def extend(database: Database, job_id: int, values: Values, batch: int = 1000, start_step: int = 0) -> None:
    rows = [("loss", start_step + i, value, float(i)) for i, value in enumerate(values)]
    for i in range(0, len(rows), batch):
        with database.write() as connection:
            metrics.append(connection, job_id, 1, rows[i : i + batch])


def check_chart(database: Database, job_id: int, values: Values, width: int) -> None:
    """Every point is in exactly one bucket, whose extremes are its points' extremes."""
    buckets = metrics.chart(database, job_id, "loss", width)
    assert len(buckets) >= min(width, len(values))
    assert len(buckets) <= 8 * width + 8 * 8
    position = 0
    for bucket in buckets:
        inside = values[bucket.first_step : bucket.last_step + 1]
        present = [value for value in inside if value is not None]
        assert bucket.first_step == position
        assert (bucket.low, bucket.high) == ((min(present), max(present)) if present else (None, None))
        assert bucket.missing == len(inside) - len(present)
        position = bucket.last_step + 1
    assert position == len(values)


@settings(max_examples=25, deadline=None)
@given(
    values=st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), min_size=1, max_size=700),
    batch=st.integers(1, 100),
    width=st.integers(1, 200),
)
def test_a_chart_keeps_every_extreme_whatever_the_batches(
    values: Values, batch: int, width: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    database = open_database(tmp_path_factory.mktemp("home"))
    check_chart(database, fill(database, values, batch), values, width)
    database.close()


def test_the_last_point_stands_alone_at_any_width(database: Database) -> None:
    values: Values = [float(i % 97) for i in range(5001)]
    job_id = fill(database, values)

    for width in (1, 10, 80, 500):
        last = metrics.chart(database, job_id, "loss", width)[-1]
        assert last.last_step == 5000
        assert last.first_step >= 4992


def test_summaries_do_not_change_as_points_arrive(database: Database) -> None:
    job_id = fill(database, [math.sin(i) for i in range(4000)])
    before = metrics.chart(database, job_id, "loss", 50)
    extend(database, job_id, [math.sin(i) for i in range(4000, 4096 - 1)], start_step=4000)
    after = metrics.chart(database, job_id, "loss", 50)

    complete = [bucket for bucket in before if bucket.last_step - bucket.first_step == 63]
    assert complete == after[: len(complete)]


def test_a_resume_takes_back_what_lies_beyond_its_checkpoint(database: Database) -> None:
    job_id = fill(database, [float(i) for i in range(1000)])
    with database.write() as connection:
        metrics.retract(connection, job_id, after_step=599)
    new: Values = [float(-i) for i in range(600, 1000)]
    extend(database, job_id, new, start_step=600)

    check_chart(database, job_id, [*map(float, range(600)), *new], 20)
    retracted = list(metrics.read_points(database, job_id, "loss", retracted=True))
    assert [point.step for point in retracted] == list(range(600, 1000))
    (series,) = metrics.list_series(database, [job_id])
    assert (series.length, series.last_step, series.last_value) == (1000, 999, -999.0)


def test_nan_is_kept_and_infinity_too(database: Database) -> None:
    job_id = fill(database, [1.0, None, math.inf, -math.inf])

    values = [point.value for point in metrics.read_points(database, job_id, "loss")]
    assert values[0] == 1.0
    assert math.isnan(values[1])
    assert values[2:] == [math.inf, -math.inf]


def test_a_million_points_are_read_to_a_charts_width_without_touching_most_of_them(
    database: Database,
) -> None:
    job_id = fill(database, [1 / (i + 1) for i in range(1_000_000)], batch=100_000)
    buckets = metrics.chart(database, job_id, "loss", 160)

    assert len(buckets) < 8 * 160 + 64
    assert buckets[-1].last_step == 999_999
    with database.read() as connection:
        plan = connection.exec_driver_sql(
            "EXPLAIN QUERY PLAN SELECT low FROM rollups WHERE series_id = 1 AND level = 3 AND bucket >= 0 AND bucket < 9"
        ).all()
    assert "USING PRIMARY KEY (series_id=? AND level=? AND bucket>? AND bucket<?)" in plan[0][-1]


@pytest.mark.parametrize(("first", "last"), [(0, 100), (1234, 1300), (4000, 4999), (4990, 9000), (-5, -1)])
def test_a_part_of_a_series_is_charted_as_fine_as_it_fits(database: Database, first: int, last: int) -> None:
    values: Values = [math.sin(i / 7) if i % 13 else None for i in range(5000)]
    job_id = fill(database, values)
    for width in (5, 40, 400):
        buckets = metrics.chart(database, job_id, "loss", width, first, last)
        inside = range(max(first, 0), min(last, 4999) + 1)
        assert len(buckets) >= min(width, len(inside)) and len(buckets) <= 8 * width + 64
        if inside:
            assert buckets[0].first_step <= inside[0] and buckets[-1].last_step >= inside[-1]
        for bucket in buckets:
            part = [v for v in values[int(bucket.first_step) : int(bucket.last_step) + 1] if v is not None]
            assert (bucket.low, bucket.high) == ((min(part), max(part)) if part else (None, None))
        assert all(one.last_step + 1 == other.first_step for one, other in pairwise(buckets))


def test_the_times_of_a_few_points_tell_when_steps_were_logged(database: Database) -> None:
    job_id = fill(database, [1.0] * 5000)
    times = metrics.step_times(database, job_id, "loss", 50)
    assert 50 <= len(times) <= 110 and times[0] == (0, 0.0) and times[-1][0] == 4999
    assert metrics.step_times(database, job_id, "loss", 3, 10, 12)[0] == (9, 9.0)
    assert metrics.step_times(database, job_id, "none", 3) == []


def test_an_unknown_metric_has_an_empty_chart(database: Database) -> None:
    assert metrics.chart(database, fill(database, [1.0]), "accuracy", 80) == []


def test_a_home_that_cannot_be_made_is_explained(tmp_path: Path) -> None:
    from store.database import StoreError

    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be used as the home directory"):
        open_database(tmp_path / "file")
