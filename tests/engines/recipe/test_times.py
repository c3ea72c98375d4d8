"""Times and amounts as people write them."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import tzlocal

from engines.recipe.cron import next_time
from engines.recipe.sizes import bytes_of
from engines.recipe.times import time_of


@pytest.fixture(autouse=True)
def in_berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A zone with daylight saving."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    _look_at_the_clock()
    yield
    monkeypatch.undo()
    _look_at_the_clock()


def _look_at_the_clock() -> None:
    """Both the C library and tzlocal remember the zone."""
    time.tzset()
    tzlocal.reload_localzone()


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-12-24T18:00", "2026-12-24T18:00+01:00"),
        ("2026-12-24 18:00:30", "2026-12-24T18:00:30+01:00"),
        ("2026-12-24T18:00Z", "2026-12-24T18:00+00:00"),
        ("22:30", "2026-11-21T22:30+01:00"),
        ("9:00", "2026-11-22T09:00+01:00"),
        ("12:00", "2026-11-22T12:00+01:00"),
        ("+90m", "2026-11-21T13:30+01:00"),
        ("+2d", "2026-11-23T12:00+01:00"),
    ],
)
def test_a_time_is_a_date_or_a_time_of_day_or_a_while(text: str, expected: str) -> None:
    assert time_of(text, at("2026-11-21T12:00+01:00")) == at(expected)


def test_the_same_time_of_day_is_another_23_hours_later_when_the_clock_goes_forward() -> None:
    now = at("2026-03-28T12:00+01:00")

    assert time_of("11:00", now) - now == 22 * 3600


@pytest.mark.parametrize("text", ["", "soon", "25:00", "+2", "+-2h", "12:60", "2026-13-01"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no time"):
        time_of(text, 0.0)


@pytest.mark.parametrize(
    ("line", "after", "expected"),
    [
        ("0 22 * * *", "2026-11-21T12:00+01:00", "2026-11-21T22:00+01:00"),
        ("0 22 * * *", "2026-11-21T22:00+01:00", "2026-11-22T22:00+01:00"),
        ("*/15 * * * *", "2026-11-21T12:07+01:00", "2026-11-21T12:15+01:00"),
        ("@daily", "2026-11-21T12:00+01:00", "2026-11-22T00:00+01:00"),
        # The 21st of November 2026 is a Saturday. 0 and 7 are Sunday, 1 is Monday.
        ("0 9 * * 0", "2026-11-21T12:00+01:00", "2026-11-22T09:00+01:00"),
        ("0 9 * * 7", "2026-11-21T12:00+01:00", "2026-11-22T09:00+01:00"),
        ("0 9 * * 1-5", "2026-11-21T12:00+01:00", "2026-11-23T09:00+01:00"),
        ("0 9 * * 5-7", "2026-11-21T12:00+01:00", "2026-11-22T09:00+01:00"),
        ("0 9 * * fri,mon", "2026-11-21T12:00+01:00", "2026-11-23T09:00+01:00"),
        ("0 9 * * */2", "2026-11-21T12:00+01:00", "2026-11-22T09:00+01:00"),
        # Cron takes either of day and weekday when both are given.
        ("0 9 1 * 2", "2026-11-21T12:00+01:00", "2026-11-24T09:00+01:00"),
        ("0 9 25 * 5", "2026-11-21T12:00+01:00", "2026-11-25T09:00+01:00"),
        ("30 12 29 2 *", "2026-11-21T12:00+01:00", "2028-02-29T12:30+01:00"),
        ("0 12 * * *", "2026-03-28T13:00+01:00", "2026-03-29T12:00+02:00"),
    ],
)
def test_a_cron_line_means_what_cron_makes_of_it(line: str, after: str, expected: str) -> None:
    found = next_time(line, at(after))

    assert found is not None
    assert datetime.fromtimestamp(found, UTC) == datetime.fromisoformat(expected)


@pytest.mark.parametrize("line", ["", "* * * *", "61 * * * *", "* * * * 8", "* * * * mon-foo", "x * * * *"])
def test_what_is_no_cron_line_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        next_time(line, 0.0)


def test_amounts_of_memory_are_binary_or_decimal_as_they_say() -> None:
    assert [bytes_of(text) for text in ("20GiB", "1.5 GiB", "16GB", "512MiB")] == [
        20 << 30,
        3 << 29,
        16 * 10**9,
        512 << 20,
    ]
    for text in ("20", "GiB", "0GiB", "-1GiB", "20TiB"):
        with pytest.raises(ValueError, match="no amount of memory"):
            bytes_of(text)
