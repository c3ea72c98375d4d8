import time
from datetime import datetime

import pytest

from cockpit.moments import in_words, moment_of
from engines.recipe.errors import RecipeError
from store.database import StoreError
from store.past_moments import neighbour
from store.schema import Status

NOON = datetime(2026, 11, 20, 12, 0, 0).timestamp()
HOUR = 3600.0


@pytest.fixture
def at_noon(database, bench, monkeypatch):
    """A store with one job that ran from nine to ten and one that waits, looked at from noon."""

    def at(moment):
        monkeypatch.setattr(time, "time", lambda: moment)

    at(NOON - 36 * HOUR)
    bench.enqueue("first", "second")
    at(NOON - 3 * HOUR)
    bench.start()
    at(NOON - 2 * HOUR)
    bench.finish(1)
    at(NOON)
    return database


@pytest.mark.parametrize(
    ("text", "ago"),
    [
        *(("-2h", 2), ("- 1h 30m", 1.5), ("-1d", 24), ("03:00", 9), ("13:00", 23), ("now", 0)),
        *(("2026-11-20 03:00", 9), ("2026-11-20T03:00:00", 9), ("2026-11-20", 12), ("job 1", 3)),
        *(
            ("job 1 start", 3),
            ("job 1 end", 2),
            ("#1 end", 2),
            ("JOB 2 submitted", 36),
            (" job  1   end ", 2),
        ),
    ],
)
def test_a_moment_is_understood_as_people_write_it(at_noon, text, ago):
    assert moment_of(text, at_noon) == pytest.approx(NOON - ago * HOUR)


def test_a_while_counts_from_the_moment_shown_and_a_time_is_of_its_day(at_noon):
    shown = NOON - 24 * HOUR
    assert moment_of("-2h", at_noon, shown) == shown - 2 * HOUR
    assert moment_of("+30m", at_noon, shown) == shown + 0.5 * HOUR
    assert moment_of("13:00", at_noon, shown) == shown + HOUR


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("yesterdayish", "`yesterdayish` is no moment"),
        ("25:00", "`25:00` is no moment"),
        ("+1h", "2026-11-20 13:00:00 .* is still to come"),
        ("2026-11-01", "2026-11-01 00:00:00 .* is before the first job"),
        ("99999-01-01", "is no moment"),
        *(
            (text, "is no moment")
            for text in ("", "-" + "9" * 400 + "d", "+" + "9" * 20 + "h", "nan", "job " + "9" * 30)
        ),
        *((text, "^`x{59}…` is no moment") for text in ("x" * 100_000, "\x1b]0;owned\x07" + "x" * 80)),
        ("job 1 dance", "`dance` is nothing that happens to a job"),
    ],
)
def test_what_is_no_moment_is_answered_in_words(at_noon, text, said):
    with pytest.raises(RecipeError, match=said) as found:
        moment_of(text, at_noon)
    assert "hint:" in str(found.value)


def test_an_event_that_has_not_come_is_said_to_be_missing(at_noon):
    with pytest.raises(StoreError, match="job 2: has no end yet; it is queued"):
        moment_of("job 2 end", at_noon)
    with pytest.raises(StoreError, match="job 7: there is no such job"):
        moment_of("job 7", at_noon)


def test_without_a_job_there_is_no_past(database):
    with pytest.raises(RecipeError, match="there is no past yet"):
        moment_of("-2h", database)


def test_the_events_before_and_after_a_moment_are_changes_of_status(at_noon, bench):
    start, end = NOON - 3 * HOUR, NOON - 2 * HOUR
    assert neighbour(at_noon, NOON, False) == end
    assert neighbour(at_noon, end, False) == start
    assert neighbour(at_noon, start, True) == end
    assert neighbour(at_noon, end, True) is None
    assert neighbour(at_noon, NOON, False, job_id=2) == NOON - 36 * HOUR
    bench.record(2, {"kind": "message", "text": "none of a status"})
    assert neighbour(at_noon, end, True) is None


def test_a_moment_is_told_with_its_zone(monkeypatch):
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        assert in_words(1_790_000_000.0) == "2026-09-21 16:13:20 CEST"
    finally:
        monkeypatch.undo()
        time.tzset()


def test_statuses_that_end_a_job_are_all_final(at_noon, bench):
    bench.start()
    bench.finish(2, Status.LOST, "vanished")
    assert moment_of("job 2 end", at_noon) == NOON
