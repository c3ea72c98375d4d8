import threading
import time
from dataclasses import dataclass

import pytest
from textual.message import Message

from cockpit.feed import Feed
from cockpit.messages import ReadFailed, ReadRecovered
from store import jobs


@dataclass
class Counted(Message):
    jobs: int


class Ear:
    """Keeps what was posted to it."""

    def __init__(self):
        self.heard = []

    def post_message(self, message):
        self.heard.append(message)
        return True


@pytest.fixture
def following(database):
    """A feed in its thread, and the ear of the app."""
    app = Ear()
    feed = Feed(database, app, poll_seconds=0.01)
    thread = threading.Thread(target=feed.run)
    thread.start()
    yield feed, app
    feed.stop()
    thread.join()


def count_jobs(database):
    return Counted(len(jobs.list_jobs(database)))


def test_a_watch_is_told_at_once_and_after_each_change(following, bench, until):
    feed, _ = following
    ear = Ear()
    feed.watch(ear, count_jobs)
    until(lambda: ear.heard == [Counted(0)])
    bench.enqueue("one", "two")
    until(lambda: ear.heard == [Counted(0), Counted(2)])


def test_nothing_is_posted_when_what_is_shown_has_not_changed(following, bench, until):
    feed, _ = following
    bench.enqueue("one")
    ear, other = Ear(), Ear()
    feed.watch(ear, count_jobs)
    feed.watch(other, lambda database: Counted(jobs.get_job(database, 1).priority))
    until(lambda: ear.heard and other.heard)
    bench.record(1, {"kind": "progress", "done": 1, "total": 2})
    feed.watch(other, lambda database: Counted(int(jobs.get_job(database, 1).progress_done or 0)))
    until(lambda: Counted(1) in other.heard)
    assert ear.heard == [Counted(1)]


def test_who_no_longer_watches_is_not_told(following, bench, until):
    feed, _ = following
    ear, other = Ear(), Ear()
    feed.watch(ear, count_jobs)
    until(lambda: ear.heard)
    feed.unwatch(ear)
    feed.watch(other, count_jobs)
    bench.enqueue("one")
    until(lambda: Counted(1) in other.heard)
    assert ear.heard == [Counted(0)]


def test_a_read_that_fails_is_reported_once_and_recovers(following, until, tmp_path):
    feed, app = following
    ear = Ear()
    file = tmp_path / "number"
    feed.watch(ear, lambda _: Counted(int(file.read_text())))
    until(lambda: app.heard)
    time_of_first = time.monotonic()
    until(lambda: time.monotonic() > time_of_first + 0.1)
    assert [type(message) for message in app.heard] == [ReadFailed]
    assert "FileNotFoundError" in app.heard[0].text
    file.write_text("7")
    until(lambda: ear.heard == [Counted(7)] and isinstance(app.heard[-1], ReadRecovered))


def test_a_stamp_notices_what_is_not_in_the_database(following, until, tmp_path):
    feed, _ = following
    file = tmp_path / "log"
    file.write_text("a")
    ear = Ear()
    feed.watch(ear, lambda _: Counted(len(file.read_text())), lambda: file.stat().st_size)
    until(lambda: ear.heard == [Counted(1)])
    file.write_text("abc")
    until(lambda: ear.heard == [Counted(1), Counted(3)])


def test_a_read_that_costs_much_waits_its_turn_unless_somebody_acts(following, bench, until):
    feed, _ = following
    ear, other = Ear(), Ear()

    def costly(database):
        end = time.thread_time() + 0.3
        while time.thread_time() < end:
            pass
        return count_jobs(database)

    feed.watch(ear, costly)
    feed.watch(other, count_jobs)
    until(lambda: ear.heard and other.heard)
    bench.enqueue("one")
    until(lambda: Counted(1) in other.heard)
    assert ear.heard == [Counted(0)]
    feed.look_now()
    until(lambda: ear.heard == [Counted(0), Counted(1)], seconds=5)


def test_the_cockpit_shows_a_failing_read_in_a_banner_and_goes_on(visit, bench, database):
    bench.enqueue("one")

    async def look(person):
        await person.sees("queued")
        broken = True

        def read(_database):
            if broken:
                raise OSError("[bold]disk on fire[/]")
            return Counted(1)

        person.app.feed.watch(person.app, read)
        await person.sees("cannot read", "OSError: [bold]disk on fire[/]")
        broken = False
        await person.no_longer_sees("cannot read")
        assert "demo: one" in person.text

    visit(look)
