"""A person looks back: the cockpit shows what it showed then, and nothing of it can be changed."""

import asyncio
import os
import time
from datetime import datetime

import pytest
from click.testing import CliRunner

from cockpit.__main__ import cli
from cockpit.app import run
from cockpit.feed import Feed
from cockpit.messages import SlotsRead
from cockpit.reads import read_forecast, read_slots, read_wait
from cockpit.screens.report import ReportScreen
from engines.recipe.errors import RecipeError
from store import jobs
from store.past import Past
from store.schema import Status

THEN = datetime(2026, 11, 20, 3, 0, 0).timestamp()
HOUR = 3600.0


@pytest.fixture
def night(bench, monkeypatch):
    """At three o'clock job 1 trains and job 2 waits; by now, at five, both have ended."""
    real = time.time

    def at(moment):
        monkeypatch.setattr(time, "time", lambda: moment)

    at(THEN - 2 * HOUR)
    bench.enqueue("base", "prep", experiment="night")
    at(THEN - HOUR)
    bench.start()
    for minute, last in ((30, 20), (10, 40)):
        at(THEN - 60 * minute)
        bench.train(1, last - 19, last)
    at(THEN + HOUR)
    bench.train(1, 41, 100)
    bench.score(1, [True, False])
    bench.finish(1)
    bench.start()
    at(THEN + 1.5 * HOUR)
    bench.finish(2, Status.FAILED, "ran out of luck")
    at(THEN + 2 * HOUR)
    bench.enqueue("late", experiment="morning")
    now = THEN + 2 * HOUR
    began = real()
    # From here on time passes as it does: workers of the app look at the clock.
    monkeypatch.setattr(time, "time", lambda: now + real() - began)
    return bench


async def go_to(person, text):
    await person.press("at")
    await person.sees("Which moment?")
    person.app.screen.query_one("#answer").value = text
    await person.press("enter")


def test_the_queue_shows_what_it_showed_then(night, visit):
    async def scenario(person):
        await person.sees("late", "1 done")
        await go_to(person, "03:00")
        await person.sees("THE PAST: 2026-11-20 03:00:00", "! now", "@ moment")
        await person.no_longer_sees("late")
        await person.sees("base", "prep", "1 running", "1 waiting", "40%")
        await person.press("exclamation_mark")
        await person.sees("late", "failed")
        await person.no_longer_sees("THE PAST")

    visit(scenario, size=(120, 30))


def test_keys_step_to_events_hours_and_minutes_and_back_to_now(night, visit):
    async def scenario(person):
        await person.sees("late")
        await person.press("left_parenthesis", "left_parenthesis")
        await person.sees("THE PAST: 2026-11-20 04:30:00", "1 done", "1 failed")
        await person.press("left_parenthesis")
        await person.sees("04:00:00")
        await person.press("left_curly_bracket", "ctrl+left")
        await person.sees("02:59:00", "1 running")
        await person.press("ctrl+right", "right_curly_bracket", "right_parenthesis")
        await person.sees("04:30:00")
        await person.press("right_curly_bracket")
        await person.no_longer_sees("THE PAST")

    visit(scenario, size=(120, 30))


def test_the_moment_that_is_offered_is_the_one_that_is_shown(night, visit):
    """It is written in whole seconds: back at the start of its second, the job would not have started yet."""

    async def scenario(person):
        await person.sees("late")
        person.app.arrive(THEN - HOUR + 0.75)
        await person.sees("02:00:00", "base")
        await person.press("at")
        await person.sees("Which moment?")
        await person.press("enter")
        await person.no_longer_sees("Which moment?")
        await person.press("ctrl+left")
        await person.sees("01:59:00")
        assert person.app.moment == THEN - HOUR - 60 + 0.75

    visit(scenario)


def test_what_could_not_be_read_of_the_past_is_read_again(night, visit):
    async def scenario(person):
        await go_to(person, "03:00")
        await person.sees("THE PAST", "base")
        tries = []

        def read(store):
            tries.append(store.moment)
            if len(tries) < 3:
                raise OSError("not now")
            return SlotsRead(read_slots(store).slots)

        person.app.feed.watch(person.app, read)
        await person.until(lambda: len(tries) == 3 and person.app.trouble is None, "another try")
        assert set(tries) == {THEN}

    visit(scenario)


def test_quick_steps_are_all_taken(night, visit):
    async def scenario(person):
        await person.sees("late")
        await go_to(person, "04:45")
        await person.sees("04:45:00")
        await person.pilot.press(*["ctrl+left"] * 20)
        await person.sees("04:25:00")

    visit(scenario)


def test_a_job_shows_its_curve_and_history_up_to_then(night, visit):
    async def scenario(person):
        await go_to(person, "02:55")
        await person.sees("THE PAST", "base")
        await person.press("enter")
        await person.sees("40/100", "loss")
        assert "100/100" not in person.text
        await person.press("4")
        await person.sees("claimed")
        assert "succeeded" not in person.text
        await person.press("right_parenthesis")
        await person.sees("04:00:00", "succeeded")
        await person.press("5")
        await person.sees("strict")
        await person.press("left_parenthesis")
        await person.sees("02:00:00")
        await person.no_longer_sees("50.0%")

    visit(scenario, size=(100, 30))


def test_a_log_says_what_cannot_be_known_of_it(night, visit, database):
    log = database.run_dir(1) / "worker.log"
    log.parent.mkdir(parents=True)
    log.write_text("one line\ntwelfth line\n")
    os.utime(log, (THEN + HOUR, THEN + HOUR))

    async def scenario(person):
        await go_to(person, "job 1 end")
        await person.sees("THE PAST")
        await person.press("end", "enter", "2")
        await person.sees("twelfth line")
        await person.press("left_curly_bracket")
        await person.sees("not known: this log has grown since")
        assert "twelfth" not in person.text

    visit(scenario, size=(110, 24))


def test_the_past_cannot_be_changed(night, visit, database):
    async def scenario(person):
        await go_to(person, "03:00")
        await person.sees("THE PAST", "prep")
        await person.press("end", "h")
        await person.sees("in which nothing can be changed")
        for key in ("n", "S", "M"):
            await person.press(key)
            await person.sees("has no history")
            assert len(person.app.screen_stack) == 2
        await person.press("D")

    visit(scenario, size=(120, 30))
    assert not jobs.get_job(database, 2).held


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("yesterdayish", "is no moment"),
        ("2026-11-01", "is before the first job"),
        ("2030-01-01 12:00", "is still to come"),
        ("job 9 end", "there is no such job"),
    ],
)
def test_a_bad_moment_is_answered_in_words_and_leaves_what_is_shown(night, visit, text, said):
    async def scenario(person):
        await person.sees("late")
        await go_to(person, text)
        await person.sees(said)
        assert "THE PAST" not in person.text

    visit(scenario, size=(100, 30))


def test_a_job_screen_does_not_go_back_to_before_its_job(night, visit):
    async def scenario(person):
        await person.sees("late")
        await person.press("home", "enter")
        await person.sees("morning: late", "Curves")
        await person.press("left_curly_bracket")
        await person.sees("job 3 was not there yet")
        assert "THE PAST" not in person.text

    visit(scenario, size=(100, 30))


def test_a_screen_without_history_is_left_first(night, visit):
    async def scenario(person):
        await person.sees("late")
        await person.press("S")
        await person.sees("No groups")
        await person.press("left_curly_bracket")
        await person.sees("leave it first")
        assert "THE PAST" not in person.text

    visit(scenario, size=(100, 30))


def test_it_opens_on_a_moment(night, visit):
    async def scenario(person):
        await person.sees("THE PAST: 2026-11-20 03:00:00", "base")
        assert "late" not in person.text

    visit(scenario, moment=THEN)


def test_the_bar_names_the_keys_of_the_keymap(night, visit):
    async def scenario(person):
        await person.sees("f9 now")
        await person.press("f9")
        await person.no_longer_sees("THE PAST")

    visit(scenario, moment=THEN, keymap={"replay.now": "f9"})


def test_the_past_is_read_once_a_step_and_not_by_the_clock(night, database):
    class Ear:
        def post_message(self, message):
            return True

    past = Past(database, THEN)
    looked = []

    def read(store):
        looked.append(store.moment)
        return len(looked)

    feed = Feed(past, Ear(), poll_seconds=0.001)

    async def scenario():
        thread = asyncio.create_task(asyncio.to_thread(feed.run))
        feed.watch(Ear(), read)
        for moment in (THEN, THEN - 5, THEN - 6):
            past.seek(moment)
            feed.show(past)
            while moment not in looked:
                await asyncio.sleep(0.001)
        night.enqueue("another")
        feed.show(database)
        while looked[-1] is not None:
            await asyncio.sleep(0.001)
        feed.stop()
        await thread

    asyncio.run(scenario())
    past.close()
    assert looked == [THEN, THEN - 5, THEN - 6, None]


def test_a_comparison_is_of_what_was_known_then(bench, visit, monkeypatch):
    at = THEN

    def clock():
        return at

    monkeypatch.setattr(time, "time", clock)
    bench.enqueue("base", "full", engine="eval")
    for wrong in (20, 2):
        at += 600
        job_id = bench.start()
        at += 600
        bench.score(job_id, [False] * wrong + [True] * (30 - wrong))
        bench.finish(job_id)
    at += 600

    async def scenario(person):
        await person.sees("full", "93.3%")
        await person.press("v")
        await person.sees("strict grading", "93.3%")
        await person.press("left_parenthesis", "left_parenthesis")
        await person.sees("THE PAST: 2026-11-20 03:30:00")
        await person.no_longer_sees("93.3%")
        await person.sees("33.3%")
        await person.press("right_parenthesis")
        await person.sees("93.3%")

    visit(scenario, size=(120, 30))


def test_the_option_is_refused_where_it_names_no_moment(night, home):
    with pytest.raises(RecipeError, match="`yesterdayish` is no moment"):
        run(home, at="yesterdayish")


def test_the_option_is_for_the_terminal_ui_alone(home):
    refused = CliRunner().invoke(cli, ["--at", "-2h", "jobs"])
    assert refused.exit_code == 2
    assert "--say are for the terminal UI" in refused.output


def test_the_palette_finds_the_past_by_name(night, visit):
    async def scenario(person):
        await person.sees("late")
        await person.press("ctrl+p")
        await person.press(*"everything")
        await person.sees("Past: Show everything as it was")

    visit(scenario, size=(110, 30))


def test_a_log_with_times_ends_where_the_moment_is_for_a_search_too(night, visit, database):
    log = database.run_dir(1) / "worker.log"
    log.parent.mkdir(parents=True)
    log.write_text("2026-11-20 02:50:00 warms up\nno time\n2026-11-20 03:30:00 melts\n")

    async def scenario(person):
        await go_to(person, "03:00")
        await person.sees("THE PAST", "base")
        await person.press("home", "enter", "2")
        await person.sees("warms up", "known up to here")
        assert "melts" not in person.text
        await person.press("slash", *"melts", "enter")
        await person.sees("`melts` is not below")

    visit(scenario, size=(160, 24))


def test_the_line_on_top_counts_what_it_counted_then(night, database, monkeypatch):
    past = Past(database, THEN)
    then = read_slots(past).slots
    assert dict(then.counts) == {Status.RUNNING: 1, Status.QUEUED: 1}
    assert (then.cpu_taken, then.daemon_running) == (1, None)
    assert read_wait(past, 2).lines[-1] == [("it was ready; what it waited for then is not on record", "")]
    assert read_forecast(past).forecast.empty is None
    past.close()


def test_a_report_of_the_past_is_of_its_moment_and_stays_there(night, visit):
    async def scenario(person):
        await go_to(person, "job 1 end")
        await person.sees("THE PAST", "base")
        person.app.push_screen(ReportScreen(person.app.feed, 1))
        await person.until(lambda: isinstance(person.app.screen, ReportScreen))
        await person.press("left_curly_bracket")
        await person.sees("this screen stays at its moment", "2026-11-20 04:00:00")

    visit(scenario, size=(110, 30))
